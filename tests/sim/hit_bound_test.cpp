// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The bound on hits against all that a cache could do, tried one by one, and against every policy of the
// catalogue.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <map>

#include "models/error.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/report/shares.hpp"
#include "sim/run/hit_bound.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

std::optional<Plan> plan_of(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                            const PreparedTrace& prepared, trace::StepSource& source) {
  SimulationResult result;
  result.topology = topology_of(machine);
  return plan_run(model, memory_limits(machine), policy, prepared, source, CountedExperts::all, result, 0);
}

struct Batch {
  std::uint32_t domain = 0, keys = 0;  ///< keys: a bit each
  bool counts = false;
};

std::vector<Batch> batches_of(trace::StepSource& source, const ExpertMap& map, bool global,
                              bool decode_only) {
  std::vector<Batch> batches;
  StepRouting routing(map);
  trace::Step step;
  source.rewind();
  while (source.next(step)) {
    routing.load(step);
    const auto [first, last] = map.ordinals(step.stack);
    for (int ordinal = first; ordinal < last; ++ordinal) {
      Batch batch{.domain = global ? 0U : static_cast<std::uint32_t>(ordinal),
                  .counts = !decode_only || step.phase == trace::Phase::decode};
      for (const ExpertKey key : routing.activated(ordinal)) batch.keys |= 1U << key;
      batches.push_back(batch);
    }
  }
  source.rewind();
  return batches;
}

/// The most hits of a domain, by every set that it could hold after every batch.
std::int64_t most_hits(const std::vector<Batch>& batches, std::uint32_t domain, int capacity) {
  std::map<std::uint32_t, std::int64_t> best{{0U, 0}};  // by residents
  for (const Batch& batch : batches) {
    if (batch.domain != domain) continue;
    std::map<std::uint32_t, std::int64_t> next;
    for (const auto& [held, hits] : best) {
      const std::int64_t now = hits + (batch.counts ? std::popcount(held & batch.keys) : 0);
      const std::uint32_t all = held | batch.keys;
      for (std::uint32_t kept = all;; kept = (kept - 1) & all) {
        if (std::popcount(kept) <= capacity) {
          const auto [at, is_new] = next.emplace(kept, now);
          if (!is_new) at->second = std::max(at->second, now);
        }
        if (kept == 0) break;
      }
    }
    best = std::move(next);
  }
  std::int64_t most = 0;
  for (const auto& [held, hits] : best) most = std::max(most, hits);
  return most;
}

// Prompts come between decode steps, whose hits alone count; without any decode step all do.
TEST(HitBound, IsTheMostOfAllThatACacheCouldDo) {
  const MachineSpec machine = test::tiny_machine();
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    for (const bool decodes : {true, false}) {
      for (const bool global : {false, true}) {
        const int layers = 2, experts = global ? 4 : 6;
        const ModelSpec model = test::tiny_model(layers, experts, 2);
        test::ListSource source =
            test::random_source(seed, layers, experts, 2, decodes ? 4 : 12, 2, decodes ? 5 : 0);
        const PreparedTrace prepared(source, model, "test");
        const std::vector<Batch> batches = batches_of(source, prepared.map(), global, decodes);
        for (const int slots : {1, 2, 3, 5}) {
          PolicySpec policy = load_policy("on-demand-cache");
          policy.cache.scope = global ? CacheScope::global : CacheScope::layer;
          policy.cache.capacity = parse_capacity(std::to_string(slots) + " slots", "test");
          const auto plan = plan_of(model, machine, policy, prepared, source);
          ASSERT_TRUE(plan);
          ASSERT_FALSE(why_no_hit_bound(*plan, {}, source.info()));
          const HitBound bound = hit_bound(*plan, prepared.map(), source);
          std::int64_t most = 0, accesses = 0;
          for (std::uint32_t domain = 0; domain < (global ? 1U : 2U); ++domain)
            most += most_hits(batches, domain, slots);
          for (const Batch& batch : batches) accesses += batch.counts ? std::popcount(batch.keys) : 0;
          EXPECT_EQ(bound.hits, most) << seed << ' ' << slots << ' ' << global << ' ' << decodes;
          EXPECT_EQ(bound.accesses, accesses);
        }
      }
    }
  }
}

// Where there are decode steps alone it is what the eviction `belady` gives when it may keep experts out.
TEST(HitBound, IsBeladyWhereAllPassesCount) {
  const ModelSpec model = test::tiny_model(3, 16, 3);
  const MachineSpec machine = test::tiny_machine();
  test::ListSource source = test::random_source(3, 3, 16, 3, 2, 0, 60);
  const PreparedTrace prepared(source, model, "test");
  for (const char* capacity : {"10%", "40%", "90%"}) {
    PolicySpec policy = load_policy("on-demand-cache");
    policy.cache.eviction = "belady";
    policy.cache.admission = built_in_parts().admissions.find("bypass", "test");
    policy.cache.capacity = parse_capacity(capacity, "test");
    const auto plan = plan_of(model, machine, policy, prepared, source);
    ASSERT_TRUE(plan);
    EXPECT_DOUBLE_EQ(hit_bound(*plan, prepared.map(), source).rate(),
                     hit_rate(simulate(model, machine, policy, prepared, source, {})));
  }
}

// Every policy that keeps a cache, whoever it predicts and wherever it computes, with other evictions too:
// none hits more often.
TEST(HitBound, NoPolicyOfTheCatalogueExceedsIt) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  const MachineSpec machine = test::tiny_machine();
  int bounded = 0, unbounded = 0;
  for (const std::string& name : policy_names()) {
    for (const char* eviction : {"", "lru", "lfu", "fifo", "belady"}) {
      for (const char* capacity : {"10%", "30%", "70%"}) {
        SCOPED_TRACE(name + " " + eviction + " " + capacity);
        test::ListSource source = test::random_source(9, 4, 16, 3, 6, 5, 25);
        source.weigh_by_halves(3);
        try {
          PolicySpec policy = load_policy(name);
          if (policy.cache.capacity.kind == CapacityKind::none) continue;
          policy.cache.capacity = parse_capacity(capacity, "test");
          if (*eviction != 0) {
            policy.cache.eviction = eviction;
            policy.cache.eviction_parameters = {};
          }
          const PreparedTrace prepared(source, model, "test");
          const auto plan = plan_of(model, machine, policy, prepared, source);
          if (!plan) continue;
          if (why_no_hit_bound(*plan, {}, source.info())) {
            ++unbounded;
            continue;
          }
          const SimulationResult result = simulate(model, machine, policy, prepared, source, {});
          const HitBound bound = hit_bound(*plan, prepared.map(), source);
          EXPECT_LE(hit_rate(result), bound.rate() + 1e-12);
          EXPECT_EQ(bound.accesses, result.decode_cache.hits + result.decode_cache.misses);
          ++bounded;
        } catch (const InputError&) {
          continue;  // needs another machine or trace
        }
      }
    }
  }
  EXPECT_GE(bounded, 100);
  EXPECT_GE(unbounded, 3);
}

}  // namespace
}  // namespace pregate::sim
