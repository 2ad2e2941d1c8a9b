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

/// Passes of a body that are the same.
struct LanePasses {
  std::span<const LayerCopies> copies;  ///< of each MoE layer
  std::int64_t experts = 0;             ///< that they copy in all
  std::size_t distance = 1;             ///< a layer announces for the one so many layers later
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

  /// The passes that follow are of this body, which outlives them. `loads`: of each MoE layer, in its loads.
  void begin_body(const LaneBody& body, std::span<const std::uint16_t> loads);
  /// Adds to the totals, but what the path is made of; `duration` of one of the passes.
  void run(const LanePasses& passes, LaneValues& duration, LaneTotals& totals);
  /// No more passes of the body: adds what their paths are made of.
  void end_body(LaneSums& path);

 private:
  /// Where the counts stand in a number, by their lowest bits.
  struct Packing {
    unsigned bits = 0;                              ///< of all but the copies, which stand above the others
    unsigned bits_of_layers = 0;                    ///< of the count of a gate or of experts
    std::vector<unsigned> gates, experts;           ///< by load
    std::vector<unsigned> computed;                 ///< by place
    std::vector<std::int64_t> gate, expert, other;  ///< one of each
  };
  /// How often the paths went through what, of the body's passes so far.
  struct Passages {
    std::vector<LaneCell> gates, experts, computed;
    LaneValues copies{};
  };
  void pack();
  void count_packed(const LaneValues& path, std::int64_t times);

  const LaneBody* body_ = nullptr;
  std::span<const std::uint16_t> loads_;
  LaneValues computing_{};  // of a pass: all operations but copies
  Packing packing_;
  Passages passages_;
  LaneSums summed_{};             // of paths whose counts have no room
  std::vector<LaneCell> copies_;  // by how many experts, how long
  std::vector<LaneCell> ready_, ready_counts_, latencies_;
  std::vector<LaneSums> ready_sums_;
};

}  // namespace pregate::sim
