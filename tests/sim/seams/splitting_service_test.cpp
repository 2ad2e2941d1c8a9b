// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A miss service that parts a layer's misses between the link and the CPU by what both have still to do.
// Defined here, in one file.
#include <gtest/gtest.h>

#include "sim/engine/event_engine.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

/// One after the other, each to whoever would be done with it first; a tie goes to the CPU.
class ByBacklog final : public MissService {
 public:
  void decide(const Moment& moment, const Misses& misses, std::span<Serving> of_each) override {
    Picoseconds link = moment.backlog(moment.fetches);
    std::int64_t on_cpu = 0;
    std::uint32_t routed = 0;
    for (std::size_t i = 0; i < of_each.size(); ++i) {
      const Picoseconds fetched = link + moment.estimates->fetch();
      const Picoseconds computed =
          moment.backlog(moment.cpu) +
          moment.estimates->on_cpu(moment.layer_class, on_cpu + 1, routed + misses.tokens[i]);
      if (computed <= fetched) {
        of_each[i] = computed_at(moment.cpu);
        ++on_cpu;
        routed += misses.tokens[i];
      } else {
        link = fetched;
      }
    }
  }
};

const MissServiceEntry& by_backlog() {
  static const MissServiceEntry entry = [] {
    MissServiceEntry made;
    made.name = "by-backlog";
    made.make = [](const std::any&) { return std::make_unique<ByBacklog>(); };
    made.uses_cpu = made.needs_clock = true;
    return made;
  }();
  return entry;
}

struct SplittingService : testing::Test {
  ModelSpec model = test::tiny_model(1, 16, 5);
  MachineSpec machine = test::tiny_machine();
  test::ListSource source{test::decoder_info(1, 16, 5)};
  PolicySpec policy = load_policy("on-demand");

  /// The CPU reads an expert in 40 us and does nothing else; the bus has room for that and the link.
  SplittingService() {
    source.add(trace::Phase::decode, 1, {0, 1, 2, 3, 4}, true);
    policy.miss.service = by_backlog();
    machine.host.memory_bandwidth = {static_cast<double>(test::tiny_expert.count) / 20e-6};
    machine.host.compute.bandwidth_efficiency = 0.5;
    machine.host.compute.fixed = {};
    machine.host.rate = {1e18};
  }
};

// The CPU is done with its n-th expert at 40 n us, the link with its n-th at n c. Of five experts, with
// c = 100 us: CPU 40, 80 (100 is later), then 120 against 100: link; 120 (200 is later), 160: CPU. With
// c = 120 us the third is a tie, and the CPU's, as is the fourth: 160 against 120: link.
TEST_F(SplittingService, GivesEachToWhoeverIsDoneFirst) {
  machine.h2d.latency = {};
  const auto fetched = [&](std::int64_t copy_ps) {
    machine.h2d.per_copy = Picoseconds{copy_ps} - time_at(test::tiny_expert, machine.h2d.bandwidth);
    machine.h2d.latency = {};
    const SimulationResult result = recorded(model, policy, source, machine);
    std::vector<int> experts;
    for (std::size_t i = 0; i < result.schedule.size(); ++i) {
      const Operation& operation = result.schedule.operation(static_cast<OpId>(i));
      if (operation.kind == OpKind::fetch) experts.push_back(operation.expert);
    }
    EXPECT_EQ(result.decode_cache.computed_on_cpu + static_cast<std::int64_t>(experts.size()), 5);
    EXPECT_EQ(result.decode_cache.misses, 5);
    return experts;
  };
  machine.h2d.bandwidth = {static_cast<double>(test::tiny_expert.count) / 80e-6};
  EXPECT_EQ(fetched(100 * us), (std::vector<int>{2}));
  EXPECT_EQ(fetched(120 * us), (std::vector<int>{3}));
  EXPECT_EQ(fetched(120 * us - 1), (std::vector<int>{2}));
}

// Both work at once, and the layer ends when the later of the two has: four experts in 160 us on the CPU,
// with activations there and back, or one copy of 100 us and its computation.
TEST_F(SplittingService, BothWorkAtOnce) {
  machine.h2d.bandwidth = {static_cast<double>(test::tiny_expert.count) / 80e-6};
  machine.h2d.latency = {};
  machine.h2d.per_copy = Picoseconds{100 * us} - time_at(test::tiny_expert, machine.h2d.bandwidth);
  const SimulationResult result = recorded(model, policy, source, machine);
  Picoseconds ids, fetched, computed, sent, combined;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    const Picoseconds finish = result.timeline.finish[i];
    switch (result.schedule.operation(static_cast<OpId>(i)).kind) {
      case OpKind::gate_readback:
        ids = finish;
        break;
      case OpKind::fetch:
        fetched = finish;
        break;
      case OpKind::activations:
        if (sent.count == 0) sent = finish;
        break;
      case OpKind::cpu_experts:
        computed = finish;
        break;
      case OpKind::combine:
        combined = result.timeline.start[i];
        break;
      default:
        break;
    }
  }
  EXPECT_EQ(fetched - ids, Picoseconds{100 * us});
  EXPECT_EQ(computed - sent, Picoseconds{160 * us});
  EXPECT_GE(combined, computed);
  EXPECT_EQ(sim::run(result.schedule), result.timeline);
}

// A layer that finds one of them in the cache has no more than the others to part.
TEST_F(SplittingService, HitsStayOnTheGpu) {
  source.add(trace::Phase::decode, 1, {0, 1, 2, 3, 4});
  machine.h2d.bandwidth = {static_cast<double>(test::tiny_expert.count) / 80e-6};
  machine.h2d.latency = {};
  machine.h2d.per_copy = Picoseconds{100 * us} - time_at(test::tiny_expert, machine.h2d.bandwidth);
  policy.cache.capacity = parse_capacity("2 slots", "test");
  const SimulationResult result = test::run(model, machine, policy, source);
  // First: expert 2 is fetched and stays. Then it hits; of 0, 1, 3, 4 the third goes over the link.
  EXPECT_EQ(result.decode_cache.hits, 1);
  EXPECT_EQ(result.decode_cache.misses, 9);
  EXPECT_EQ(result.decode_cache.computed_on_cpu, 7);
  EXPECT_EQ(result.tally.fetches, 2);
}

// One that asks the clock without saying so is told, not answered as if no time had passed.
TEST_F(SplittingService, MustSayThatItNeedsTheClock) {
  MissServiceEntry silent = by_backlog();
  silent.needs_clock = false;
  policy.miss.service = silent;
  EXPECT_THROW(test::run(model, machine, policy, source), std::logic_error);
}

}  // namespace
}  // namespace pregate::sim
