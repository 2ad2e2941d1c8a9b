// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/planner/layer_planner.hpp"
#include "sim/run/pass_runner.hpp"

namespace pregate::sim {

/// A planner and the executor of its programs.
class LayerRun final : public PassRunner {
 public:
  /// As LayerPlanner.
  LayerRun(const Topology& topology, const ExpertMap& map, const Plan& plan, const WorkShape& shape,
           const Estimates* estimates, Executor& executor)
      : executor_(executor),
        program_(shape),
        planner_(topology, topology.first(PlaceKind::gpu), map, plan, estimates, executor, program_) {}

  /// As LayerPlanner.
  [[nodiscard]] std::vector<SlotUse> held_at_start() const { return planner_.held_at_start(); }

  Picoseconds run(const Pass& pass) override {
    executor_.begin_pass(pass.info);
    planner_.begin_pass(pass.info.step);
    planner_.cut_pass(pass.micro_batches);
    planner_.announce_pass(pass.routing, pass.predictions);
    int ordinal = pass.first_ordinal;
    int layer = 0;
    for (const PassLayer& described : pass.layers) {
      if (described.moe) {
        planner_.begin_moe_layer(ordinal, described.layer_class);
        planner_.gate_known(ordinal, pass.routing, pass.predictions);
        ++ordinal;
      } else {
        planner_.dense_layer(layer, described.layer_class);
      }
      ++layer;
    }
    return executor_.end_pass(planner_.end_pass(pass.info.step.phase != trace::Phase::encoder));
  }
  void idle_until(Picoseconds time) override { executor_.idle_until(time); }
  void finish() override { executor_.finish(); }

  [[nodiscard]] const AccessCounts& decode_counts() const override { return planner_.decode_counts(); }
  [[nodiscard]] const AccessCounts& other_counts() const override { return planner_.other_counts(); }
  [[nodiscard]] Tally tally() const override { return executor_.tally(); }
  [[nodiscard]] PathPoint end() const override { return executor_.end(); }

 private:
  Executor& executor_;
  LayerProgram program_;
  LayerPlanner planner_;
};

}  // namespace pregate::sim
