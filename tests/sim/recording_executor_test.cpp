// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "sim/policy/planner.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

/// An executor that does what it is told with a map from slots to experts, as a real device would.
class SlotKeeper {
 public:
  using Handle = int;
  static constexpr Handle nothing = 0;
  static constexpr bool records = true;
  struct Dependencies {
    void add(Handle) {}
    void add_copy(Handle) {}
  };

  Handle issue(const Request& request, const Dependencies&) {
    switch (request.kind) {
      case OpKind::fetch:
        EXPECT_LT(request.chunk, request.chunks);
        // The expert is there with its last chunk.
        held_[request.slot] = request.chunk + 1 == request.chunks ? request.key : cache::no_key;
        break;
      case OpKind::device_copy:
        if (request.slot >= 0) {
          EXPECT_EQ(held_[request.slot], request.key);
        } else {
          EXPECT_EQ(request.uses.size(), 1U);
          for (const SlotUse& use : request.uses) EXPECT_EQ(held_[use.slot], request.key);
        }
        break;
      case OpKind::experts:
        EXPECT_EQ(static_cast<std::size_t>(request.count), request.uses.size());
        for (const SlotUse& use : request.uses) {
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
    return ++issued_;
  }
  void record_block(Handle, Picoseconds, Handle) {}

  std::vector<ExpertKey> computed;  ///< since somebody cleared it
  std::int64_t pinned_uses = 0;

 private:
  std::map<std::int32_t, ExpertKey> held_;
  int issued_ = 0;
};

// What a request names is enough to compute a layer: every activated expert once, each from the slot that
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
      if (variant == 3 && policy.placement.kind == PlacementKind::none) {
        policy.placement.kind = PlacementKind::popular;
        policy.placement.count = 2;
      }
      test::ListSource source = test::random_source(3, 4, 16, 3, 2, 7, 20);
      const PreparedTrace prepared(source, model, "test");
      CostModel costs(model, machine, policy);
      SimulationResult result;
      const auto plan = plan_run(model, machine, policy, prepared, source, CountedExperts::all, result);
      ASSERT_TRUE(plan.has_value());
      SlotKeeper executor;
      Planner<SlotKeeper> planner(prepared.map(), *plan, costs, executor);
      StepRouting routing(prepared.map());
      trace::Step step;
      while (source.next(step)) {
        routing.load(step);
        costs.begin_step({.phase = step.phase, .tokens = step.tokens, .position = step.position});
        planner.begin_step(step);
        for (int layer = 0; layer < 4; ++layer) {
          executor.computed.clear();
          planner.begin_moe_layer(layer, costs.layer_class(0, layer));
          planner.gate_known(layer, routing, nullptr);
          ASSERT_THAT(executor.computed, testing::UnorderedElementsAreArray(routing.activated(layer)))
              << name << ' ' << variant;
        }
        planner.end_step();
      }
      const bool pins = policy.placement.kind != PlacementKind::none;
      EXPECT_EQ(executor.pinned_uses > 0, pins) << name << ' ' << variant;
    }
  }
}

}  // namespace
}  // namespace pregate::sim
