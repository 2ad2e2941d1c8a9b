// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/engine/request.hpp"
#include "sim/engine/tally.hpp"

namespace pregate::sim {

/// As PathPoint; in the timed executor nothing ever waits without a cause.
struct TimedPoint {
  Picoseconds finish;
  CauseSums spent;
  OpId id = no_op;

  [[nodiscard]] bool decides_over(const TimedPoint& other) const {
    return finish > other.finish || (finish == other.finish && id < other.id);
  }
  static constexpr TimedPoint before_all() { return {Picoseconds{-1}, {}, no_op}; }
};

/// Executor in virtual time for in-order streams without shared resources: each operation's start is decided
/// when it is issued, so its times are computed there and then and nothing is kept. The event engine gives
/// the same answer.
class TimedExecutor {
 public:
  using Handle = TimedPoint;
  static constexpr Handle nothing{};
  static constexpr bool records = false;  ///< whether names of experts and slots are of any use to it

  /// The decisive dependency among copies and among everything else. Refers to the handles, which must
  /// outlive it.
  class Dependencies {
   public:
    void add(const Handle& handle) { take(others_, handle); }
    void add_copy(const Handle& handle) { take(copies_, handle); }
    void add(Handle&&) = delete;
    void add_copy(Handle&&) = delete;

   private:
    friend TimedExecutor;
    static void take(const Handle*& last, const Handle& handle) {
      if (last == nullptr || handle.decides_over(*last)) last = &handle;
    }
    const Handle* copies_ = nullptr;
    const Handle* others_ = nullptr;
  };

  /// The copies of one expert: one, or its chunks.
  struct CopyTrain {
    std::int64_t operations;
    Picoseconds duration;        ///< of all of them, one after the other
    Picoseconds at_host_memory;  ///< as much of it as runs at the rate of the host's memory
    Bytes bytes;
  };

  void begin_step(std::int64_t, int, int) {}

  [[gnu::always_inline]] Handle issue(const Request& request, const Dependencies& dependencies) {
    Handle& stream = streams_[static_cast<std::size_t>(request.stream)];
    const Handle* const last = decisive(stream, dependencies);
    const Picoseconds start = last->finish;
    if (request.stream == StreamId::compute) {
      const Picoseconds others =
          dependencies.others_ == nullptr ? stream.finish : dependencies.others_->finish;
      tally_.add_idle(request.kind, stream.finish, others, start);
    }
    if (request.kind == OpKind::fetch) {
      ++tally_.fetches;
      tally_.fetched += request.copy->bytes;
    }
    tally_.busy[static_cast<std::size_t>(request.stream)] += request.duration;
    spend(request, tally_.spent);
    Handle done = *last;
    spend(request, done.spent);
    done.finish = start + request.duration;
    done.id = tally_.operations++;
    stream = done;
    return done;
  }

  /// A MoE layer of an on-demand run, in whose beginning no stream but the compute stream is busy: attention,
  /// gate, read-back, copies and experts then follow each other, whatever ran before.
  struct OnDemandLayer {
    GpuTime attention, gate;
    Picoseconds readback;
    GpuTime experts;
    CopyTrain expert;         ///< the copies of one expert
    std::int64_t misses = 0;  ///< experts that are copied
    bool records_block = true;
  };

  /// Issues `layers` such layers, as so many calls of issue() would. As each only adds its durations, their
  /// order among themselves and among operations that wait for nothing does not matter.
  void issue_layers(const OnDemandLayer& layer, std::int64_t layers) {
    const GpuTime computing = layer.attention + layer.gate + layer.experts;
    const Picoseconds copying = layer.expert.duration * layer.misses;
    const Picoseconds all = computing.whole() + layer.readback + copying;
    const std::int64_t copies = layer.expert.operations * layer.misses;
    constexpr std::int64_t others = 4;  // attention, gate, read-back, experts
    const auto busy = [&](StreamId stream) -> Picoseconds& {
      return tally_.busy[static_cast<std::size_t>(stream)];
    };
    busy(StreamId::compute) += computing.whole() * layers;
    busy(StreamId::d2h) += layer.readback * layers;
    busy(StreamId::h2d) += copying * layers;
    tally_.exposed_host += layer.readback * layers;
    tally_.exposed_transfer += copying * layers;
    tally_.fetches += copies * layers;
    tally_.fetched += layer.expert.bytes * (layer.misses * layers);
    tally_.operations += (others + copies) * layers;
    if (layer.records_block) tally_.block_latency.add(all, layers);
    Handle& stream = streams_[static_cast<std::size_t>(StreamId::compute)];
    stream.finish += all * layers;
    const Picoseconds at_host_memory = layer.expert.at_host_memory * layer.misses;
    for (CauseSums* const spent : {&stream.spent, &tally_.spent}) {
      (*spent)[Cause::gpu_memory] += computing.memory * layers;
      (*spent)[Cause::kernels] += computing.kernels * layers;
      (*spent)[Cause::launches] += computing.launches * layers;
      (*spent)[Cause::gate] += layer.readback * layers;
      (*spent)[Cause::link] += (copying - at_host_memory) * layers;
      (*spent)[Cause::copied_host_memory] += at_host_memory * layers;
    }
    stream.id = tally_.operations - 1;
  }

  /// The last operation of the compute stream.
  [[nodiscard]] const Handle& last_computed() const {
    return streams_[static_cast<std::size_t>(StreamId::compute)];
  }

  /// A block runs from the start of `first`, which takes `first_duration`, to the end of `last`.
  void record_block(const Handle& first, Picoseconds first_duration, const Handle& last) {
    tally_.block_latency.add(last.finish - first.finish + first_duration);
  }

  /// The host waits for `last`; returns when that is.
  Picoseconds end_step(const Handle& last) { return last.finish; }
  void finish() {}
  [[nodiscard]] const Tally& tally() const { return tally_; }
  /// Of the operation that ends last.
  [[nodiscard]] PathPoint end() const {
    Handle last = Handle::before_all();
    for (const Handle& stream : streams_) {
      if (stream.decides_over(last)) last = stream;
    }
    return {last.finish, last.spent, {}, last.id};
  }

 private:
  /// Which of the stream's last operation and the dependencies decides the start of the next one.
  [[gnu::always_inline]] static const Handle* decisive(const Handle& stream,
                                                       const Dependencies& dependencies) {
    const Handle* last = &stream;
    if (dependencies.others_ != nullptr && dependencies.others_->decides_over(*last)) {
      last = dependencies.others_;
    }
    if (dependencies.copies_ != nullptr && dependencies.copies_->decides_over(*last)) {
      last = dependencies.copies_;
    }
    return last;
  }

  std::array<Handle, stream_count> streams_{};
  Tally tally_;
};

}  // namespace pregate::sim
