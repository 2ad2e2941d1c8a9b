// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/cost/cost_model.hpp"
#include "sim/engine/counted_clock.hpp"
#include "sim/planner/plan.hpp"
#include "sim/run/counted_decisions.hpp"
#include "sim/run/pass_runner.hpp"

namespace pregate::sim {

/// Passes of a plan that decides by counts (sim/planner/by_counts.hpp): the cache is asked for a whole pass
/// how many of each layer's experts hit, and the clock goes on by layers. It keeps no slots, and where
/// nothing is announced it only counts how many of one token's layers miss equally many experts.
///
/// Same decisions as LayerPlanner and the same times to the picosecond; LayerPlanner remains the definition,
/// and tests compare the two (tests/sim/counted_run_test.cpp).
class CountedRun final : public PassRunner {
 public:
  /// Precondition: decides_by_counts(). All outlive this.
  CountedRun(const Topology& topology, const ExpertMap& map, const Plan& plan, CostModel& costs);

  Picoseconds run(const Pass& pass) override;
  void idle_until(Picoseconds time) override { clock_.idle_until(time); }

  [[nodiscard]] const AccessCounts& decode_counts() const override { return decode_counts_; }
  [[nodiscard]] const AccessCounts& other_counts() const override { return other_counts_; }
  [[nodiscard]] Tally tally() const override { return clock_.tally(); }
  [[nodiscard]] PathPoint end() const override { return clock_.end(); }

 private:
  /// MoE layers of a stack that cost the same and have equally many experts a token.
  struct AlikeLayers {
    std::size_t layer_class = 0;
    std::uint32_t activated = 0;        // of a token with distinct experts
    std::vector<std::uint32_t> places;  // among the stack's MoE layers
  };
  /// What passes of a stack that activate every expert for one token have in common.
  struct StackInOrder {
    bool is_known = false;
    std::vector<AlikeLayers> alike;
    std::vector<std::uint32_t> kinds;  // by MoE layer: its place in `alike`
    std::vector<int> dense;            // classes of the layers without experts
  };
  LayerTimes times_of(std::size_t layer_class, std::span<const std::uint32_t> tokens, std::uint32_t routed);
  LayerTimes times_of_alike(std::size_t layer_class, std::uint32_t activated);
  const StackInOrder& in_order(const Pass& pass);
  void run_on_demand(const Pass& pass);
  void run_alike_on_demand(const Pass& pass);
  void run_announcing(const Pass& pass);
  const std::uint32_t* describe_layers(const Pass& pass);

  CostModel& costs_;
  CountedDecisions decisions_;
  bool measures_all_phases_;
  CountedClock clock_;
  std::vector<StackInOrder> stacks_;
  std::vector<std::uint32_t> ones_;
  std::vector<std::int64_t> layers_;  // that are alike, by misses
  std::vector<std::uint32_t> kinds_;  // of layers that each are of their own
  int tokens_ = 0;                    // of the pass

  AccessCounts decode_counts_, other_counts_;
};

}  // namespace pregate::sim
