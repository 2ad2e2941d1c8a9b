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
#include "sim/engine/histogram.hpp"
#include "sim/retime/decision_log.hpp"

namespace pregate::sim {

/// Machines that are timed side by side.
inline constexpr std::size_t lane_count = 4;

// A number of each machine: element-wise arithmetic, comparisons give masks (GCC's and Clang's vectors).
// Aligned for whoever has registers as wide, whatever a file is compiled for.
using LaneValues [[gnu::vector_size(8 * lane_count), gnu::aligned(8 * lane_count)]] = std::int64_t;

/// For containers, which do not see the alignment of a name.
struct LaneCell {
  LaneValues value{};
};

/// CountedSums of each machine, GpuTime as far as it is summed.
struct LaneSums {
  LaneValues memory{}, kernels{}, launches{}, readback{}, experts{};
  void set(std::size_t lane, const CountedSums& sums);
  [[nodiscard]] CountedSums of(std::size_t lane) const;
};

/// What layers of one load take, of each machine.
struct LaneLoad {
  LaneValues before_experts{}, readback{}, experts{};  ///< whole
  LaneSums before_sums{}, experts_sums{};
};

/// What is computed between the MoE layers of a body, of each machine.
struct LaneComputed {
  LaneValues whole{};
  LaneSums sums{};
  bool any = false;
};

/// A body priced for each machine.
struct LaneBody {
  std::vector<LaneLoad> loads;
  std::vector<LaneComputed> before;  ///< of each MoE layer; one more for what follows the last
};

/// Block latencies of each machine, of passes that are the same any number of times.
class LaneHistograms {
 public:
  void add(std::size_t lane, std::int64_t value, std::int64_t times);
  [[nodiscard]] Histogram of(std::size_t lane) const;

 private:
  struct One {
    std::vector<std::int64_t> counts;
    Histogram::Wide sum = 0;
    std::int64_t count = 0, least = INT64_MAX, most = 0;
  };
  std::array<One, lane_count> lanes_;
};

/// Sums over passes, of each machine.
struct LaneTotals {
  LaneValues exposed_transfer{};
  LaneSums path{};
  LaneHistograms blocks;
};

/// Passes that are the same.
struct LanePasses {
  const LaneBody& body;
  std::span<const std::uint16_t> loads;  ///< of each MoE layer: in body.loads
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
/// Precondition: attention, gate and read-back of a layer take time, and so do experts; else what ends at the
/// same time decides, and a pass would depend on those before it.
class PassLanes {
 public:
  /// `copy`: of one expert.
  explicit PassLanes(const LaneValues& copy) : copy_(copy) {}

  /// Adds to the totals; `duration` of one of the passes.
  void run(const LanePasses& passes, LaneValues& duration, LaneTotals& totals);

 private:
  LaneValues copy_;
  std::vector<LaneSums> ready_sums_;
  std::vector<LaneCell> ready_, latencies_;
};

}  // namespace pregate::sim
