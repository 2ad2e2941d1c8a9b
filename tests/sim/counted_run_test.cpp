// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "sim/engine/stream_clock.hpp"
#include "sim/planner/by_counts.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/report/report.hpp"
#include "sim/run/counted_run.hpp"
#include "sim/run/drive.hpp"
#include "sim/run/layer_run.hpp"
#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

struct Case {
  const char* capacity;
  const char* eviction;
  CacheScope scope;
  std::int64_t chunk;
};

struct Prepared {
  ModelSpec model = test::tiny_model(4, 16, 3);
  MachineSpec machine = test::tiny_machine();
  PolicySpec policy = load_policy("on-demand");
  test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 30);

  [[nodiscard]] bool is_served() {
    const PreparedTrace trace(source, model, "test");
    SimulationResult result;
    const auto plan =
        plan_run(model, memory_limits(machine), policy, trace, source, CountedExperts::all, result);
    return plan && decides_by_counts(*plan, trace.scan());
  }

  [[nodiscard]] SimulationResult run_counted() {
    return run([this](const PreparedTrace& trace, const Plan& plan, CostModel& costs, const auto& drive) {
      const Topology topology = topology_of(machine);
      CountedRun runner(topology, trace.map(), plan, costs);
      drive(runner);
    });
  }
  [[nodiscard]] SimulationResult run_layers() {
    return run([this](const PreparedTrace& trace, const Plan& plan, CostModel& costs, const auto& drive) {
      const Topology topology = topology_of(machine, policy.transfer.queue->order());
      StreamClock clock(topology, costs);
      LayerRun runner(topology, trace.map(), plan, work_shape(costs), nullptr, clock);
      drive(runner);
    });
  }

 private:
  template <class Run>
  SimulationResult run(Run&& with_runner) {
    const PreparedTrace trace(source, model, "test");
    CostModel costs(model, machine, policy);
    SimulationResult result;
    result.topology = topology_of(machine);
    const auto plan =
        plan_run(model, memory_limits(machine), policy, trace, source, CountedExperts::all, result);
    with_runner(trace, *plan, costs, [&](PassRunner& runner) {
      drive_trace(model, trace, *plan, layer_class_of(costs), source, {}, runner, result);
    });
    return result;
  }
};

/// Steps of one token whose layers activate 3, 2, 1 or no expert of the recorded ones, batches among them.
test::ListSource source_with_dropped_experts() {
  std::mt19937_64 random(11);
  test::ListSource source(test::decoder_info(4, 16, 3));
  for (int step = 0; step < 60; ++step) {
    const int tokens = step % 7 == 0 ? 3 : 1;
    auto ids = test::random_experts(random, 4, 16, 3, tokens);
    for (std::uint16_t& id : ids) {
      if (step % 3 == 0 && random() % 4 == 0) id = trace::no_expert;
    }
    source.add(trace::Phase::decode, tokens, ids, step == 0, {}, 0, tokens);
  }
  return source;
}

void expect_equal(const SimulationResult& a, const SimulationResult& b, const std::string& what) {
  SCOPED_TRACE(what);
  EXPECT_GT(a.tally.fetches, 0);
  test::expect_same_run(a, b);
}

// A train of copies and no slots give what single copies into slots give, in every figure of a report and in
// every sum behind it.
TEST(CountedRun, EqualsThePlannerThatKeepsSlots) {
  for (const Case& c :
       {Case{"0", "lru", CacheScope::layer, 0}, Case{"25%", "lru", CacheScope::layer, 0},
        Case{"25%", "lru", CacheScope::layer, 40'000}, Case{"1 slots", "lru", CacheScope::layer, 0},
        Case{"100%", "lru", CacheScope::layer, 0}, Case{"40%", "lru", CacheScope::global, 0},
        Case{"25%", "belady", CacheScope::layer, 0}, Case{"25%", "random", CacheScope::layer, 0},
        Case{"25%", "lfu-decay", CacheScope::layer, 0}, Case{"40%", "hobbit", CacheScope::global, 0},
        Case{"25%", "window-oracle", CacheScope::layer, 0}}) {
    Prepared p;
    p.policy.cache.capacity = parse_capacity(c.capacity, "test");
    p.policy.cache.eviction = c.eviction;
    p.policy.cache.scope = c.scope;
    p.policy.transfer.chunk = Bytes{c.chunk};
    for (const double rate : {1e8, 1e9, 1e11}) {
      p.machine.h2d.bandwidth = {rate};
      ASSERT_TRUE(p.is_served());
      expect_equal(p.run_counted(), p.run_layers(), std::string(c.capacity) + ' ' + c.eviction);
    }
  }
}

TEST(CountedRun, EqualsItWhereTokensLackExperts) {
  for (const char* capacity : {"0", "25%"}) {
    Prepared p;
    p.source = source_with_dropped_experts();
    p.policy.cache.capacity = parse_capacity(capacity, "test");
    ASSERT_TRUE(p.is_served());
    expect_equal(p.run_counted(), p.run_layers(), capacity);
  }
}

// Slow links let copies run into the layers after; fast ones hide them.
TEST(CountedRun, EqualsItWhereLayersAnnounce) {
  for (const std::string kind : {"pre-gate", "all-next"}) {
    for (const int distance : {1, 2, 3, 7}) {
      for (const char* capacity : {"0", "25%", "2 slots"}) {
        for (const bool dropped : {false, true}) {
          for (const double rate : {1e8, 1e9, 1e10, 1e12}) {
            Prepared p;
            if (dropped) p.source = source_with_dropped_experts();
            choose(p.policy.lookahead.predictor, built_in_parts().predictors, kind);
            p.policy.lookahead.distance = distance;
            p.policy.cache.capacity = parse_capacity(capacity, "test");
            p.policy.transfer.chunk = Bytes{distance == 2 ? 40'000 : 0};
            p.machine.h2d.bandwidth = {rate};
            if (distance == 3) p.machine.overhead.gate_readback = {};
            ASSERT_TRUE(p.is_served());
            expect_equal(p.run_counted(), p.run_layers(),
                         std::to_string(distance) + " ahead, " + capacity + ", " + std::to_string(rate));
          }
        }
      }
    }
  }
}

// Residents of a layer that nobody announced may not leave while it is looked up: which ones stay is the
// eviction's.
TEST(CountedRun, EqualsItWhereWholeLayersAreAnnounced) {
  for (const char* eviction : {"lru", "belady", "random", "lfu", "lfu-decay", "window-oracle", "s3-fifo"}) {
    for (const char* capacity : {"2 slots", "40%", "100%"}) {
      for (const int distance : {1, 2}) {
        Prepared p;
        choose(p.policy.lookahead.predictor, built_in_parts().predictors, "all-next");
        p.policy.lookahead.distance = distance;
        p.policy.cache.capacity = parse_capacity(capacity, "test");
        p.policy.cache.eviction = eviction;
        ASSERT_TRUE(p.is_served());
        expect_equal(p.run_counted(), p.run_layers(), std::string(eviction) + ' ' + capacity);
      }
    }
  }
}

TEST(CountedRun, EqualsItWhereHitsAreGiven) {
  Prepared p;
  p.policy.cache.capacity = parse_capacity("50%", "test");
  p.policy.cache.eviction = "given-rate";
  p.policy.cache.hit_rate = 0.6;
  for (const std::string kind : {"none", "pre-gate"}) {
    choose(p.policy.lookahead.predictor, built_in_parts().predictors, kind);
    ASSERT_TRUE(p.is_served());
    expect_equal(p.run_counted(), p.run_layers(), "given rate");
  }
}

TEST(CountedRun, LeavesToThePlannerWhatNeedsSlots) {
  EXPECT_TRUE(Prepared{}.is_served());
  Prepared staging, whole, decreed, shared, overtaking, each, pinned, waves;
  staging.policy.transfer.staging_copies = 1;
  EXPECT_FALSE(staging.is_served());
  choose(whole.policy.lookahead.predictor, built_in_parts().predictors, "all-next");
  whole.policy.cache.capacity = parse_capacity("25%", "test");
  EXPECT_TRUE(whole.is_served());
  decreed.policy = whole.policy;
  decreed.policy.cache.eviction = "given-rate";
  decreed.policy.cache.hit_rate = 0.5;
  EXPECT_FALSE(decreed.is_served()) << "a hit that is not there is fetched with the layer";
  whole.policy.cache.scope = CacheScope::global;
  EXPECT_FALSE(whole.is_served());
  choose(shared.policy.lookahead.predictor, built_in_parts().predictors, "pre-gate");
  shared.policy.cache.capacity = parse_capacity("25%", "test");
  EXPECT_TRUE(shared.is_served());
  shared.policy.cache.scope = CacheScope::global;
  EXPECT_FALSE(shared.is_served());
  test::queue(overtaking.policy, "demand-first");
  EXPECT_TRUE(overtaking.is_served());  // nothing to overtake
  choose(overtaking.policy.lookahead.predictor, built_in_parts().predictors, "pre-gate");
  EXPECT_FALSE(overtaking.is_served());
  each.policy.compute.experts = ExpertCompute::per_expert;
  EXPECT_FALSE(each.is_served());
  test::place(pinned.policy, "popular", 1);
  EXPECT_FALSE(pinned.is_served());
  // A prefill has the decode buffers beside its own: so many slots may be lacking, and not one more.
  const SimulationResult roomy = waves.run_counted();
  waves.machine.gpu.memory =
      waves.machine.gpu.reserved + roomy.memory.total() - test::tiny_expert * roomy.buffer_slots;
  EXPECT_TRUE(waves.is_served());
  waves.machine.gpu.memory.count -= 1;
  EXPECT_FALSE(waves.is_served());
}

}  // namespace
}  // namespace pregate::sim
