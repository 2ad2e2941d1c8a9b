// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "sim/engine/histogram.hpp"
#include "sim/schedule/operation.hpp"

namespace pregate::sim {

/// What a critical path is made of.
enum class PathPart : std::uint8_t { compute, transfer, host };

constexpr PathPart path_part(OpKind kind) {
  switch (kind) {
    case OpKind::fetch:
    case OpKind::write_back:
    case OpKind::device_copy:
    case OpKind::activations:
      return PathPart::transfer;
    case OpKind::gate_readback:
      return PathPart::host;
    default:
      return PathPart::compute;
  }
}

/// Finish time of an operation with the make-up of the critical path that leads to it; compute and waiting
/// are the rest of `finish`. `id` is the issue order, which breaks ties.
struct PathPoint {
  Picoseconds finish;
  Picoseconds transfer, host, waiting;
  OpId id = no_op;

  /// Decides over nothing: earlier than every operation.
  static constexpr PathPoint before_all() { return {Picoseconds{-1}, {}, {}, {}, no_op}; }

  /// True when this one, rather than `other`, decides a common successor: it ends later, or was issued first.
  [[nodiscard]] bool decides_over(const PathPoint& other) const {
    return finish > other.finish || (finish == other.finish && id < other.id);
  }
};

/// Path point of an operation that starts at `start`, decided by `last`, and takes `duration`.
constexpr PathPoint extend(const PathPoint& last, OpId id, PathPart part, Picoseconds start,
                           Picoseconds duration) {
  PathPoint point = last;
  point.waiting += start - last.finish;
  if (part == PathPart::transfer) point.transfer += duration;
  if (part == PathPart::host) point.host += duration;
  point.finish = start + duration;
  point.id = id;
  return point;
}

/// What both executors count while operations run; all sums are exact integers.
struct Tally {
  std::array<Picoseconds, stream_count> busy{};
  Picoseconds exposed_transfer;  ///< compute stream idle because a copy was not there
  Picoseconds
      exposed_host;  ///< compute stream idle for another reason: gate results on their way to the host
  std::int64_t operations = 0;
  std::int64_t fetches = 0;
  Bytes fetched;
  Histogram block_latency;

  /// A compute operation started at `start`; its stream was free from `free`, its dependencies other than
  /// copies done at `others`.
  void add_idle(Picoseconds free, Picoseconds others, Picoseconds start) {
    const Picoseconds without_copies = others > free ? others : free;
    exposed_host += without_copies - free;
    exposed_transfer += start - without_copies;
  }
};

}  // namespace pregate::sim
