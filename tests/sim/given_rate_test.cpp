// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/run/replay.hpp"
#include "tests/sim/tiny.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;

PolicySpec at_rate(const std::string& name, double rate) {
  PolicySpec policy = load_policy(name);
  policy.cache.capacity = parse_capacity("25%", "test");
  policy.cache.eviction = "given-rate";
  policy.cache.hit_rate = rate;
  return policy;
}

double hit_rate(const SimulationResult& result) {
  const auto hits = result.decode_cache.hits + result.other_cache.hits;
  const auto all = hits + result.decode_cache.misses + result.other_cache.misses;
  return static_cast<double>(hits) / static_cast<double>(all);
}

// What was said of an expert before its layer came (an announcement asks) is what then happens.
TEST(GivenRate, SettlesTheNextActivationAheadAndKeepsTheRate) {
  cache::CacheGeometry geometry;
  geometry.domains = 1;
  geometry.first_key = {0, 8};
  geometry.capacity = {2};
  geometry.size.assign(8, 1);
  geometry.hit_rate = 0.3;
  const auto cache = cache::eviction_registry().find("given-rate", "test").make(geometry);
  std::int64_t hits = 0;
  constexpr int batches = 1000;
  for (int i = 0; i < batches; ++i) {
    // Not the experts of the batch before: those are settled when the next batch comes.
    const auto first = static_cast<cache::ExpertKey>(i % 2 == 0 ? 0 : 4);
    const std::vector<cache::ExpertKey> set = {first, first + 1U};
    std::uint32_t said = 0;
    for (const cache::ExpertKey key : set) said += cache->is_resident(key) ? 1U : 0U;
    const std::uint32_t hit = cache->access(0, set);
    EXPECT_EQ(hit, said);
    EXPECT_EQ(cache->misses().size(), 2 - hit);
    EXPECT_TRUE(cache->evicted().empty());
    hits += hit;
  }
  EXPECT_NEAR(static_cast<double>(hits) / (2.0 * batches), 0.3, 0.005);
}

// A rate of 0 is no cache and a rate of 1 copies nothing, in every time and byte.
TEST(GivenRate, EndsAreNoCacheAndNoCopies) {
  const ModelSpec model = test::tiny_model(4, 16, 2);
  for (const char* name : {"on-demand", "pre-gated"}) {
    for (const int staging : {0, 2}) {
      ListSource source = test::random_source(5, 4, 16, 2, 2, 6, 30);
      PolicySpec none = load_policy(name), never = at_rate(name, 0), always = at_rate(name, 1);
      none.transfer.staging_copies = never.transfer.staging_copies = always.transfer.staging_copies = staging;
      const SimulationResult a = run(model, test::tiny_machine(), none, source);
      const SimulationResult b = run(model, test::tiny_machine(), never, source);
      EXPECT_EQ(a.total, b.total) << name;
      EXPECT_EQ(a.tally.fetched, b.tally.fetched);
      EXPECT_EQ(a.tally.busy, b.tally.busy);
      const SimulationResult c = run(model, test::tiny_machine(), always, source);
      EXPECT_EQ(c.tally.fetches, 0);
      EXPECT_EQ(hit_rate(c), 1);
      // A hit skips only the host copy: every look-up still has its staging copies.
      const Picoseconds copies = c.tally.busy[static_cast<std::size_t>(one_gpu::h2d)];
      const std::int64_t lookups = c.decode_cache.hits + c.other_cache.hits;
      const CostModel costs(model, test::tiny_machine(), always);
      EXPECT_EQ(copies, costs.device_copy() * lookups) << staging;
    }
  }
}

// Hand-check of one token in one layer at a time: a hit saves exactly one copy of the critical path.
TEST(GivenRate, OnDemandTimeIsLinearInTheRate) {
  const ModelSpec model = test::tiny_model(2, 16, 1);
  ListSource source = test::random_source(3, 2, 16, 1, 1, 0, 200);
  const auto total = [&](double rate) {
    return run(model, test::tiny_machine(), at_rate("on-demand", rate), source);
  };
  const SimulationResult none = total(0), some = total(0.4);
  const Picoseconds copy = from_seconds(10e-6) + time_at(test::tiny_expert, {1e9});
  EXPECT_NEAR(hit_rate(some), 0.4, 0.01);
  EXPECT_EQ(none.total - some.total, copy * some.decode_cache.hits);
}

TEST(GivenRate, BothEnginesAgreeAndWavesCopyNoHit) {
  const ModelSpec model = test::tiny_model(4, 16, 2);
  for (const char* name : {"on-demand", "pre-gated", "prefetch-all"}) {
    ListSource source = test::random_source(8, 4, 16, 2, 2, 9, 20);
    const PolicySpec policy = at_rate(name, 0.5);
    const SimulationResult timed =
        run(model, test::tiny_machine(), policy, source, {.engine = Engine::timed});
    const SimulationResult event =
        run(model, test::tiny_machine(), policy, source, {.engine = Engine::event});
    EXPECT_EQ(timed.total, event.total) << name;
    EXPECT_EQ(timed.tally.fetched, event.tally.fetched);
    EXPECT_THAT(timed.notes, testing::Contains(testing::HasSubstr("given")));
    MachineSpec small = test::tiny_machine();  // prefills in waves
    small.gpu.memory = small.gpu.reserved + timed.memory.total() - test::tiny_expert * timed.prefill_slots;
    const SimulationResult waves = run(model, small, policy, source);
    if (std::string(name) == "on-demand") {
      EXPECT_EQ(waves.tally.fetched, timed.tally.fetched);
    }
  }
}

TEST(GivenRate, RefusesWhatItCannotMean) {
  ListSource source = test::random_source(1, 2, 8, 1, 1, 0, 3);
  const ModelSpec model = test::tiny_model(2, 8, 1);
  const auto refused = [&](PolicySpec policy, const char* text) {
    try {
      run(model, test::tiny_machine(), policy, source);
      ADD_FAILURE() << "accepted: " << text;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(text));
    }
  };
  PolicySpec lru = at_rate("on-demand", 0.5), no_rate = lru, no_memory = lru, on_cpu = lru;
  lru.cache.eviction = "lru";
  refused(lru, "means nothing");
  no_rate.cache.hit_rate.reset();
  refused(no_rate, "needs the rate");
  no_memory.cache.capacity = {};
  refused(no_memory, "needs memory");
  choose(on_cpu.miss.service, built_in_parts().miss_services, "compute-on-cpu");
  on_cpu.miss.admission = MissAdmission::background;
  refused(on_cpu, "nothing enters the cache");
  EXPECT_THROW(replay(source, at_rate("on-demand", 0.5)), InputError);  // nothing to replay
  for (const char* bad : {"-0.1", "1.5", "nan"}) {
    const std::vector<Override> set = {{"policy.cache.hit_rate", bad}};
    EXPECT_THROW(load_policy("on-demand", set), InputError) << bad;
  }
}

}  // namespace
}  // namespace pregate::sim
