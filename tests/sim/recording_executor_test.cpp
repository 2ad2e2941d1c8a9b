// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "sim/cost/price.hpp"
#include "sim/planner/layer_planner.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

/// An executor that does what it is told with a map from slots to experts, as a real device would.
class SlotKeeper final : public Executor {
 public:
  [[nodiscard]] bool records() const override { return true; }
  void observe(const OperationObservers&) override {}
  void begin_pass(const PassInfo&) override {}
  void run(const LayerProgram& program) override {
    for (const Work& work : program.work()) perform(work, program.uses(work));
  }
  Picoseconds wait(OpId) override { return {}; }
  [[nodiscard]] bool is_done(OpId) const override { return true; }
  [[nodiscard]] Picoseconds backlog(StreamId) const override { return {}; }
  bool cancel(OpId) override { return false; }
  Picoseconds end_pass(OpId) override { return {}; }
  [[nodiscard]] const Tally& tally() const override { return tally_; }
  [[nodiscard]] PathPoint end() const override { return {}; }

  std::vector<ExpertKey> computed;  ///< since somebody cleared it
  std::int64_t pinned_uses = 0;

 private:
  void perform(const Work& work, std::span<const SlotUse> uses) {
    switch (work.kind) {
      case OpKind::fetch:
        for (const SlotUse& use : uses) held_[use.slot] = use.key;
        break;
      case OpKind::device_copy:
        ASSERT_EQ(uses.size(), 1U);
        EXPECT_EQ(held_[uses.front().slot], uses.front().key);
        break;
      case OpKind::experts:
        EXPECT_EQ(work.tokens.size, uses.size());
        for (const SlotUse& use : uses) {
          if (use.slot >= 0) {
            EXPECT_EQ(held_[use.slot], use.key);
          } else {
            ++pinned_uses;
          }
          computed.push_back(use.key);
        }
        break;
      default:
        break;
    }
  }
  std::map<std::int32_t, ExpertKey> held_;
  Tally tally_;
};

// What a program names is enough to compute a layer: every activated expert once, each from the slot that
// holds it.
TEST(RecordingExecutor, IsToldWhichExpertsAreInWhichSlots) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  const MachineSpec machine = test::tiny_machine();
  for (const char* name : {"on-demand-cache", "pre-gated-cache", "prefetch-all-cache", "gpu-only"}) {
    for (const int variant : {0, 1, 2, 3}) {
      PolicySpec policy = load_policy(name);
      if (variant == 1) policy.transfer.staging_copies = 1;
      if (variant == 2) policy.transfer.chunk = Bytes{40'000};
      if (variant == 3) policy.compute.experts = ExpertCompute::per_expert;
      if (variant == 3 && policy.placement.kind->name == "none") {
        test::place(policy, "popular", 2);
      }
      test::ListSource source = test::random_source(3, 4, 16, 3, 2, 7, 20);
      const PreparedTrace prepared(source, model, "test");
      CostModel costs(model, machine, policy);
      SimulationResult result;
      const auto plan =
          plan_run(model, memory_limits(machine), policy, prepared, source, CountedExperts::all, result);
      ASSERT_TRUE(plan.has_value());
      SlotKeeper executor;
      const Topology topology = topology_of(machine);
      LayerProgram program(work_shape(costs));
      LayerPlanner planner(topology, topology.first(PlaceKind::gpu), prepared.map(), *plan, nullptr, executor,
                           program);
      StepRouting routing(prepared.map());
      trace::Step step;
      while (source.next(step)) {
        routing.load(step);
        planner.begin_pass(step);
        for (int layer = 0; layer < 4; ++layer) {
          executor.computed.clear();
          planner.begin_moe_layer(layer, costs.layer_class(0, layer));
          planner.gate_known(layer, routing, nullptr);
          ASSERT_THAT(executor.computed, testing::UnorderedElementsAreArray(routing.activated(layer)))
              << name << ' ' << variant;
        }
        planner.end_pass(true);
      }
      const bool pins = policy.placement.kind->name != "none";
      EXPECT_EQ(executor.pinned_uses > 0, pins) << name << ' ' << variant;
    }
  }
}

}  // namespace
}  // namespace pregate::sim
