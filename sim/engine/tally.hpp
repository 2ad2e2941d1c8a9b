// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/cause.hpp"
#include "sim/engine/histogram.hpp"
#include "sim/platform/topology.hpp"
#include "sim/schedule/operation.hpp"

namespace pregate::sim {

/// Finish time of an operation with the make-up of the critical path that leads to it; arithmetic of the GPU
/// is the rest of `finish`. `id` is the issue order, which breaks ties.
struct PathPoint {
  Picoseconds finish;
  CauseSums spent;
  Picoseconds waiting;
  OpId id = no_op;

  /// Nothing happens from then until `time`, if that is later.
  void wait_until(Picoseconds time) {
    if (finish >= time) return;
    waiting += time - finish;
    finish = time;
  }
  [[nodiscard]] Picoseconds transfer() const { return spent.transfer(); }
  [[nodiscard]] Picoseconds cpu() const { return spent.cpu(); }
  [[nodiscard]] Picoseconds host() const { return spent[Cause::gate]; }
  [[nodiscard]] Picoseconds compute() const { return finish - transfer() - cpu() - host() - waiting; }
  [[nodiscard]] Picoseconds gpu_arithmetic() const { return finish - spent.total() - waiting; }

  /// Decides over nothing: earlier than every operation.
  static constexpr PathPoint before_all() { return {Picoseconds{-1}, {}, {}, no_op}; }

  /// True when this one, rather than `other`, decides a common successor: it ends later, or was issued first.
  [[nodiscard]] bool decides_over(const PathPoint& other) const {
    return finish > other.finish || (finish == other.finish && id < other.id);
  }
};

/// What both executors count while operations run; all sums are exact integers.
struct Tally {
  Tally() = default;
  explicit Tally(const Topology& topology)
      : busy(topology.platform.streams.size()),
        gpu_streams(topology.streams_of(PlaceKind::gpu)),
        leading(topology[topology.first(PlaceKind::gpu)].compute) {}

  std::vector<Picoseconds> busy;  ///< by stream
  std::vector<bool> gpu_streams;  ///< by stream: a GPU computes on it
  StreamId leading{};             ///< of the GPU that runs the layers, whose idle times are counted
  CauseSums spent;                ///< of all operations, on the critical path or not
  Picoseconds exposed_transfer;   ///< compute stream idle because a copy was not there
  Picoseconds exposed_cpu;        ///< compute stream idle until what the CPU computes is there
  Picoseconds
      exposed_host;  ///< compute stream idle for another reason: gate results on their way to the host
  Picoseconds held_by_copies;  ///< of the layer that is computed: how long its read-backs waited for copies
  Picoseconds reading;         ///< GPUs compute, and wait for what their kernels read over a link
  std::int64_t operations = 0;
  std::int64_t fetches = 0;
  Bytes fetched;  ///< expert weights that came over the link, copied or read
  Histogram block_latency;

  [[nodiscard]] Picoseconds gpu_arithmetic() const {
    Picoseconds computing;
    for (std::size_t stream = 0; stream < busy.size(); ++stream)
      computing += gpu_streams[stream] ? busy[stream] : Picoseconds{};
    return computing - spent.gpu() - reading;
  }

  [[nodiscard]] bool is_of_gpu(StreamId stream) const { return gpu_streams[number_of(stream)]; }

  /// An operation is over, which brought so many bytes of experts. What its time is spent on is the caller's
  /// to add.
  void add(OpKind kind, std::size_t stream, Picoseconds took, Bytes weights) {
    busy[stream] += took;
    ++operations;
    fetches += kind == OpKind::fetch && weights.count > 0 ? 1 : 0;
    fetched += weights;
  }
  /// An operation of this kind, in the order in which they start. A read-back of ids that waits for copies as
  /// well as for the gate holds up its layer's experts for them.
  void add_wait(OpKind kind, bool for_copies, Picoseconds others, Picoseconds start) {
    if (kind == OpKind::gate) held_by_copies = {};
    if (kind == OpKind::gate_readback && for_copies && start > others) held_by_copies += start - others;
  }
  /// A compute operation of this kind started at `start`; its stream was free from `free`, its dependencies
  /// other than copies done at `others`.
  void add_idle(OpKind kind, Picoseconds free, Picoseconds others, Picoseconds start) {
    const Picoseconds ids = others - held_by_copies;
    const Picoseconds without_copies = ids > free ? ids : free;
    (kind == OpKind::combine ? exposed_cpu : exposed_host) += without_copies - free;
    exposed_transfer += start - without_copies;
  }
};

}  // namespace pregate::sim
