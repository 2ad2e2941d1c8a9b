// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "sim/engine/bus_lanes.hpp"
#include "sim/engine/ring.hpp"
#include "sim/engine/tally.hpp"

namespace pregate::sim {

/// What the host does for a layer: activations come, experts are computed, results go back.
struct HostWork {
  const BusFlow *out = nullptr, *experts = nullptr, *back = nullptr;
  bool out_at_memory = false, experts_at_memory = false, back_at_memory = false;  ///< CopyCost::host_bound
  [[nodiscard]] bool any() const { return experts != nullptr; }
};

/// A MoE layer of which the host computes a part. Experts that are copied in the background are numbered from
/// 0 in the order of issue.
struct BusLayer {
  GpuTime attention_and_gate, experts;
  Picoseconds readback;
  HostWork host;
  std::uint32_t copied = 0;   ///< experts copied in the background from now on
  std::int64_t awaited = -1;  ///< the last one, issued in an earlier layer, that its experts wait for
};

/// Virtual time of passes where nothing is fetched on demand: the GPU computes, the host computes beside it
/// what the GPU lacks, and experts are copied in the background; the host's work and the copies share the
/// memory bus and the link. Gives what EventExecutor gives for the operations that are counted here:
/// attention, gate, read-back, the host's three, copies, experts, and what combines both.
class BusClock {
 public:
  BusClock(const Topology& topology, const CopyCost& chunk, const CopyCost& last_chunk, int chunks);

  [[nodiscard]] const BusLanes& lanes() const { return lanes_; }

  /// `records_blocks`: layers of the pass count as blocks.
  void begin_pass(bool records_blocks) { records_blocks_ = records_blocks; }
  /// An operation of the GPU that waits for nothing but the one before it.
  void compute(const GpuTime& time);
  void run(const BusLayer& layer);
  /// The time when the pass ends: that of the GPU.
  [[nodiscard]] Picoseconds end_pass() const { return computed_.finish; }
  /// No pass follows: what still runs ends.
  void finish() { advance_copies(never); }

  [[nodiscard]] Tally tally() const;
  [[nodiscard]] PathPoint end() const;

 private:
  static constexpr std::int64_t no_copy = -1;
  /// What a layer's three operations of the host took and were spent on.
  struct Hosted {
    Picoseconds finish;
    Picoseconds link, copied_memory, memory, arithmetic;
    void add_to(CauseSums& sums) const;
  };
  void issue_copies(const BusLayer& layer, Picoseconds now);
  Hosted run_host(const HostWork& work, Picoseconds now);
  Picoseconds run_host(const BusFlow& flow, std::int64_t& now);
  void run_experts(const BusLayer& layer, Picoseconds ids_known, Hosted* hosted);
  void start_copy(std::int64_t now);
  void end_copy(std::int64_t now);
  void advance_copies(std::int64_t until);

  Tally nothing_;  ///< of the platform
  BusLanes lanes_;
  int chunks_;
  BusFlow chunk_, last_chunk_;
  bool chunk_at_memory_, last_at_memory_;
  StreamId computing_on_, copying_on_, reading_back_on_, hosting_on_;
  bool records_blocks_ = true;
  std::int64_t operations_ = 0;
  PathPoint computed_;  ///< the GPU's last operation
  // copies
  Ring<OpId> waiting_;  ///< experts that have not arrived, by their numbers; their first operations
  int next_chunk_ = 0;  ///< of the first of them
  PathPoint copied_;    ///< the last copy that ended, or what the next one starts after
  std::int64_t arrived_now_ = no_copy;  ///< the expert whose last copy that was
  std::int64_t awaited_ = no_copy;      ///< of the layer at hand
  PathPoint arrived_;                   ///< its copy, once it has ended
  // sums
  CauseSums spent_;
  Picoseconds computing_, copying_, reading_back_, hosting_;
  Picoseconds exposed_transfer_, exposed_cpu_, exposed_host_;
  std::int64_t fetches_ = 0;
  Bytes fetched_;
  Histogram block_latency_;
};

}  // namespace pregate::sim
