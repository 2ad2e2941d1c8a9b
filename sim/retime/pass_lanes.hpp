// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/cost/gpu_time.hpp"
#include "sim/engine/counted_clock.hpp"
#include "sim/retime/copy_log.hpp"
#include "sim/retime/lane_histograms.hpp"
#include "sim/retime/lane_values.hpp"

namespace pregate::sim {

/// What layers of one load take, of each machine.
struct LaneLoad {
  LaneValues before_experts{}, experts{};  ///< whole; the former with the read-back
  LaneSums before_sums{}, experts_sums{};
};

/// What is computed before MoE layer `layer` of a body, behind the one before it, or behind the last.
struct LaneComputed {
  std::size_t layer = 0;
  LaneValues whole{};
  LaneSums sums{};
};

/// A body priced for each machine.
struct LaneBody {
  std::vector<LaneLoad> loads;
  std::vector<LaneComputed> computed;  ///< by layer, ascending
};

/// Sums over passes, of each machine.
struct LaneTotals {
  LaneValues exposed_transfer{};
  LaneSums path{};
  LaneHistograms blocks;
};

/// Passes that are the same.
struct LanePasses {
  std::span<const std::uint16_t> loads;  ///< of each MoE layer: in LaneBody::loads
  std::span<const LayerCopies> copies;   ///< likewise
  std::size_t first_announced = 0;       ///< layers from there on wait for what was announced for them,
  std::size_t distance = 1;              ///< so many layers before
  bool records_blocks = true;
  std::int64_t times = 1;
};

/// Times of passes whose layers announce, of several machines at once: the steps of CountedClock::run(), the
/// critical path carried forward instead of followed back. No copy outlives its pass, as the layer that it
/// was announced for waits for it, so that passes do not depend on each other.
///
/// What the path is made of is carried as how often it goes through what: through the gates of each load,
/// its experts, what is computed between, and copies. Those counts stand side by side in one number where it
/// has bits for them all (few loads: every decode step of one token), else the path's sums are carried.
///
/// Precondition: attention, gate and read-back of a layer take time, and so do experts; else what ends at the
/// same time decides, and a pass would depend on those before it.
class PassLanes {
 public:
  /// `copy`: of one expert; a layer copies `most_copied` at once at most.
  PassLanes(const LaneValues& copy, std::size_t most_copied);

  /// The passes that follow are of this body, which outlives them.
  void begin_body(const LaneBody& body) { body_ = &body; }
  /// Adds to the totals; `duration` of one of the passes.
  void run(const LanePasses& passes, LaneValues& duration, LaneTotals& totals);

 private:
  /// Where the counts stand in a number, by their lowest bits.
  struct Packing {
    struct Load {
      unsigned gates = 0, experts = 0;
    };
    std::vector<Load> loads;
    std::vector<unsigned> computed;
    unsigned copies = 0, bits_of_layers = 0;
  };
  bool pack(const LanePasses& passes);
  void add_packed(const LaneValues& path, std::int64_t times, LaneSums& sums) const;
  void prepare(const LanePasses& passes);

  const LaneBody* body_ = nullptr;
  Packing packing_;
  std::vector<LaneCell> copies_;  // by how many experts, how long
  std::vector<LaneCell> ready_, ready_counts_, latencies_;
  std::vector<LaneSums> ready_sums_;
};

}  // namespace pregate::sim
