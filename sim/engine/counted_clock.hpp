// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "sim/cost/gpu_time.hpp"
#include "sim/engine/tally.hpp"

namespace pregate::sim {

/// The last operation of a stream and what the critical path to it is made of. Nothing ever waits without a
/// cause here.
struct StreamHead {
  Picoseconds finish;
  OpId id = no_op;
  Picoseconds memory, kernels, launches;  ///< of the GPU's operations
  Picoseconds readback;
  std::int64_t experts = 0;  ///< copied

  [[nodiscard]] bool decides_over(const StreamHead& other) const {
    return finish > other.finish || (finish == other.finish && id < other.id);
  }
  void add(const GpuTime& time, std::int64_t times) {
    memory += time.memory * times;
    kernels += time.kernels * times;
    launches += time.launches * times;
  }
};

/// The copies of one expert: one, or its chunks.
struct CopyTrain {
  std::int64_t operations = 1;
  Picoseconds duration;        ///< of all of them, one after the other
  Picoseconds at_host_memory;  ///< as much of it as runs at the rate of the host's memory
  Bytes bytes;
};

/// A MoE layer by counts: how many experts are copied for it and in it, not which.
struct CountedLayer {
  GpuTime attention_and_gate, experts;
  Picoseconds readback;
  bool records_block = true;
  std::int64_t misses = 0;            ///< experts copied because this layer's gate chose them
  std::int64_t announced = 0;         ///< experts copied, after those, for a later layer
  const StreamHead* ready = nullptr;  ///< the last copy announced earlier for this layer; null: none
};

/// Virtual time of passes whose decisions follow from counts: two in-order streams, computation and copies,
/// each layer a step of a (max, +) recurrence. Gives what StreamClock gives for the operations that are
/// counted here: attention, gate, read-back, copies of the layer's own misses, announced copies, experts. A
/// read-back never waits for another, as the experts of the layer before waited for that.
class CountedClock {
 public:
  /// `reads_back`: the host must know each layer's ids, as something can be missing.
  CountedClock(const CopyTrain& expert, bool reads_back) : expert_(expert), reads_back_(reads_back) {}

  /// An operation on the compute stream that waits for nothing but the one before it.
  void compute(const GpuTime& time);
  /// One layer. Returns the last of the announced copies (meaningless without any), until the next call.
  const StreamHead& run(const CountedLayer& layer);
  /// Layers that announce nothing, in whose beginnings no copy is under way, `layers[n]` of them with n
  /// misses (CountedLayer::misses is not read): as so many calls of run() would. As each only adds its
  /// durations, their order among themselves and among operations that wait for nothing does not matter.
  void run_on_demand(const CountedLayer& layer, std::span<const std::int64_t> layers);

  [[nodiscard]] Picoseconds computed() const { return compute_.finish; }
  [[nodiscard]] Tally tally() const;
  [[nodiscard]] PathPoint end() const;

 private:
  [[nodiscard]] CauseSums spent(const StreamHead& head) const;
  [[nodiscard]] std::int64_t operations() const { return others_ + expert_.operations * all_.experts; }

  CopyTrain expert_;
  bool reads_back_;
  StreamHead compute_, copies_;
  StreamHead all_;           ///< sums over all operations; its finish is the time of the compute stream's
  std::int64_t others_ = 0;  ///< operations that are no copies
  Picoseconds exposed_transfer_;
  Histogram block_latency_;
};

}  // namespace pregate::sim
