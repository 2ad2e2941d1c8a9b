// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Who is on the GPU before the run, after a prompt, and by which budget.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "models/error.hpp"
#include "sim/planner/slot_budgets.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/run/replay.hpp"
#include "tests/models/error_of.hpp"
#include "tests/sim/served.hpp"
#include "tests/sim/tiny.hpp"
#include "tests/sim/trace_file.hpp"

namespace pregate::sim {
namespace {

using testing::HasSubstr;

test::ListSource single_experts(const std::vector<std::uint16_t>& experts) {
  test::ListSource source(test::decoder_info(1, 4, 1));
  for (const std::uint16_t expert : experts) source.add(trace::Phase::decode, 1, {expert});
  return source;
}

std::int64_t misses(const SimulationResult& result) {
  return result.decode_cache.misses + result.other_cache.misses;
}

// 0 0 1 1 1 1: the whole trace pins 1 (2 misses), its first third 0 (4), another trace 2 (6).
TEST(Popular, IsOfThisTraceOfItsFirstStepsOrOfAnother) {
  const ModelSpec model = test::tiny_model(1, 4, 1);
  test::ListSource source = single_experts({0, 0, 1, 1, 1, 1}), other = single_experts({2, 2, 1});
  const test::TraceFile file(other);
  PolicySpec policy = load_policy("on-demand");
  test::place(policy, "popular", 1);
  EXPECT_EQ(misses(test::run(model, test::tiny_machine(), policy, source)), 2);
  PolicySpec first = policy, another = policy;
  first.placement.kind.set("share", "0.34");
  const SimulationResult by_first = test::run(model, test::tiny_machine(), first, source);
  EXPECT_EQ(misses(by_first), 4);
  EXPECT_THAT(by_first.notes, testing::Contains(HasSubstr("first 34 %")));
  another.placement.kind.set("profile", file.path());
  const SimulationResult by_another = test::run(model, test::tiny_machine(), another, source);
  EXPECT_EQ(misses(by_another), 6);
  EXPECT_THAT(by_another.notes, testing::Contains(HasSubstr("another trace")));
  another.placement.kind.set("share", "0.5");
  EXPECT_THAT(test::error_of([&] { test::run(model, test::tiny_machine(), another, source); }),
              HasSubstr("placement.share"));
}

// As many as asked for in each layer, others by another seed: of tokens that activate every expert alike the
// share that is there hits.
TEST(Drawn, HoldsASetOfEachLayer) {
  const ModelSpec model = test::tiny_model(8, 64, 2);
  test::ListSource source(test::decoder_info(8, 64, 2));
  for (int step = 0; step < 64; ++step) {
    std::vector<std::uint16_t> ids;
    for (int layer = 0; layer < 8; ++layer) {
      for (const int expert : {step, (step + 7 * layer + 1) % 64})
        ids.push_back(static_cast<std::uint16_t>(expert));
    }
    for (std::size_t i = 0; i < ids.size(); i += 2)
      ids[i + 1] = ids[i + 1] == ids[i] ? ids[i] ^ 1U : ids[i + 1];
    source.add(trace::Phase::decode, 1, ids, step == 0);
  }
  PolicySpec policy = load_policy("on-demand");
  test::place(policy, "random", 48);
  const SimulationResult run = test::run(model, test::tiny_machine(), policy, source);
  EXPECT_NEAR(run.decode_cache.hit_rate(), 0.75, 0.01);
  EXPECT_EQ(run.memory.peak[static_cast<std::size_t>(MemoryPurpose::resident_experts)],
            test::tiny_expert * (8 * 48));
  std::set<std::int64_t> by_seed;  // misses of one step
  test::ListSource once(test::decoder_info(8, 64, 2));
  once.add(trace::Phase::decode, 1, {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, true);
  for (const char* seed : {"1", "2", "3", "4", "5", "6"}) {
    policy.placement.kind.set("seed", seed);
    by_seed.insert(misses(test::run(model, test::tiny_machine(), policy, once)));
  }
  EXPECT_GT(by_seed.size(), 1U);
  test::place(policy, "random", 64);
  EXPECT_EQ(misses(test::run(model, test::tiny_machine(), policy, source)), 0);
}

TEST(Popular, OfATraceOfAnotherModelIsRefused) {
  test::ListSource source = single_experts({0}), other = test::random_source(1, 2, 8, 2, 1, 3, 3);
  const test::TraceFile file(other);
  PolicySpec policy = load_policy("on-demand");
  test::place(policy, "popular", 1);
  policy.placement.kind.set("profile", file.path());
  EXPECT_THAT(
      test::error_of([&] { test::run(test::tiny_model(1, 4, 1), test::tiny_machine(), policy, source); }),
      HasSubstr("other MoE layers"));
}

// AdapMoE: misses of two layers with 0..3 slots, 3 slots: (1, 2) leaves .6 + .2 = .8, (2, 1) .4 + .3 = .7.
TEST(SlotBudgets, AdapMoE) {
  const std::vector<std::vector<double>> misses{{1, .6, .4, .3}, {1, .3, .2, .15}};
  EXPECT_THAT(slot_budgets(misses, 3), testing::ElementsAre(2, 1));
  EXPECT_THAT(slot_budgets(misses, 0), testing::ElementsAre(0, 0));
  EXPECT_THAT(slot_budgets(misses, 100), testing::ElementsAre(3, 3)) << "no more than there are experts";
  // One by one, the first slot would go to the second layer, where it gains .1 at once; three in the first
  // gain 1.
  EXPECT_THAT(slot_budgets({{1, 1, 1, 0}, {1, .9, .9, .9}}, 3), testing::ElementsAre(3, 0));
}

// The curves are those of the cache itself, from as many slots on as a step activates.
TEST(SlotBudgets, CurvesAreThoseOfAnLru) {
  test::ListSource source = test::random_source(3, 3, 16, 2, 2, 1, 60);
  const ExpertMap map(source.info());
  const auto curves = lru_misses(source, map, std::vector<std::uint8_t>(map.keys()));
  for (int slots = 2; slots <= 16; ++slots) {
    double sum = 0;
    for (const auto& layer : curves) sum += layer[static_cast<std::size_t>(slots)];
    PolicySpec policy;
    policy.cache.capacity = {CapacityKind::slots, slots, {}, 0};
    const ReplayResult replayed = replay(source, policy);
    EXPECT_EQ(static_cast<double>(replayed.accesses - replayed.hits), sum) << slots;
  }
}

// A layer that uses few experts needs few slots: 4 layers that have 8 of which the first two choose among 2.
TEST(SlotBudgets, MissNoMoreThanAnEvenSplit) {
  const ModelSpec model = test::tiny_model(4, 8, 1);
  test::ListSource source(test::decoder_info(4, 8, 1));
  std::mt19937_64 random(5);
  for (int step = 0; step < 80; ++step) {
    std::vector<std::uint16_t> experts;
    for (int layer = 0; layer < 4; ++layer)
      experts.push_back(static_cast<std::uint16_t>(random() % (layer < 2 ? 2 : 8)));
    source.add(trace::Phase::decode, 1, experts);
  }
  PolicySpec even = load_policy("on-demand-cache");
  even.cache.capacity = parse_capacity("50%", "test");
  PolicySpec budgets = even;
  budgets.cache.split = CacheSplit::budgets;
  const SimulationResult a = test::run(model, test::tiny_machine(), even, source),
                         b = test::run(model, test::tiny_machine(), budgets, source);
  EXPECT_EQ(a.cache_slots, b.cache_slots);
  EXPECT_LT(misses(b), misses(a));
  EXPECT_THAT(b.notes, testing::Contains(HasSubstr("each layer 2 to ")));
  budgets.cache.scope = CacheScope::global;
  EXPECT_THAT(test::error_of([&] { validate(budgets, "test"); }), HasSubstr("cache.split"));
}

// DAOP: residents 1 and 2; the prompt's tokens choose 1 five times, 2 once, 3 four times: 3 comes for 2, one
// copy. In the prompt 3 misses; then 3 hits and 2 misses.
TEST(PerRequest, DAOP) {
  const ModelSpec model = test::tiny_model(1, 5, 1);
  test::ListSource other(test::decoder_info(1, 5, 1)), source(test::decoder_info(1, 5, 1));
  other.add(trace::Phase::decode, 1, {1});
  other.add(trace::Phase::decode, 1, {2});
  const test::TraceFile file(other);
  source.add(trace::Phase::prefill, 10, {1, 1, 1, 1, 1, 2, 3, 3, 3, 3}, true);
  source.add(trace::Phase::decode, 1, {3});
  source.add(trace::Phase::decode, 1, {2});
  const std::string text = "[cache]\ncapacity = \"2 slots\"\neviction = \"per-request\"\n";
  const PolicySpec policy = parse_policy_toml(text + "profile = \"" + file.path() + "\"", "test");
  const ReplayResult replayed = replay(source, policy);
  EXPECT_EQ(replayed.swaps, 1);
  EXPECT_EQ(replayed.hits, 3);
  const SimulationResult result = test::run(model, test::tiny_machine(), policy, source);
  EXPECT_EQ(misses(result), 2);
  EXPECT_EQ(result.tally.fetches, 2 + 1);
  // A prompt that is too short teaches nothing: 3 misses again.
  const PolicySpec longer =
      parse_policy_toml(text + "prompt_tokens = 11\nprofile = \"" + file.path() + "\"", "test");
  EXPECT_EQ(replay(source, longer).swaps, 0);
  // Without a profile 0 and 1 are there first, and 3 comes for 0.
  const ReplayResult by_ids = replay(source, parse_policy_toml(text, "test"));
  EXPECT_EQ(by_ids.swaps, 1);
  EXPECT_EQ(by_ids.hits, 2);
}

// The rest of the prompt's hottest are there, whatever the order of the chunks that it is taken in.
TEST(PerRequest, DecodeChangesNothing) {
  test::ListSource source(test::decoder_info(1, 4, 1));
  source.add(trace::Phase::prefill, 3, {0, 1, 1}, true);
  for (int step = 0; step < 5; ++step) source.add(trace::Phase::decode, 1, {3});
  const PolicySpec policy =
      parse_policy_toml("[cache]\ncapacity = \"2 slots\"\neviction = \"per-request\"", "test");
  EXPECT_EQ(replay(source, policy).swaps, 0);
  EXPECT_EQ(replay(source, policy).decode_hits, 0);
}

TEST(PerRequest, NeedsPassesOverPromptsAlone) {
  test::ListSource source = test::random_source(1, 2, 8, 2, 3, 4, 5);
  const PolicySpec policy =
      parse_policy_toml("[cache]\ncapacity = \"2 slots\"\neviction = \"per-request\"", "test");
  const auto run = [&](const char* prompts) {
    return test::run(test::tiny_model(2, 8, 2), test::tiny_machine(), policy, source,
                     {.serving = test::continuous({{"prompts", prompts}})});
  };
  EXPECT_GT(run("before").output_tokens, 0);
  EXPECT_THAT(test::error_of([&] { run("beside"); }), HasSubstr("serve.prompts=before"));
}

// Huang et al.: an expert of d 2048 and 8192 in fp16 is 64 MiB; a GPU has 16 of each of the decoder's 6 MoE
// layers. Buffers of 10 save 6 x 6 x 64 MiB = 2.25 GiB, of 1 5.625 GiB: 32.1 % of the encoder's 6 GiB of
// experts, the decoder's 6 GiB and 2.96e9 other parameters.
TEST(ExpertBuffering, Huang) {
  const ModelSpec model = parse_model_toml(
      "description = \"MT\"\nsource = \"test\"\nfamily = \"mixtral\"\nd_model = 2048\nvocabulary = 100\n"
      "[weights]\nexperts = \"fp16\"\ndense = \"fp16\"\nkv_cache = \"fp16\"\n[decoder]\nlayers = 6\n"
      "[decoder.attention]\nheads = 16\nkv_heads = 16\nhead_dim = 128\n"
      "[decoder.moe]\nexperts = 16\ntop_k = 2\nffn_dim = 8192\ngated = false\n",
      "mt");
  test::ListSource source = test::random_source(1, 6, 16, 2, 1, 1, 4);
  const auto bytes = [&](const std::string& policy, MemoryPurpose purpose) {
    const SimulationResult result =
        test::run(model, test::tiny_machine(), parse_policy_toml(policy, "test"), source);
    return result.memory.peak[static_cast<std::size_t>(purpose)].count;
  };
  const std::int64_t all = bytes("placement.kind = \"all\"", MemoryPurpose::resident_experts);
  const auto saved = [&](int slots) {
    return all - bytes("[cache]\neviction = \"lifo-inactive-first\"\ncapacity = \"" + std::to_string(slots) +
                           " slots\"",
                       MemoryPurpose::expert_cache);
  };
  constexpr std::int64_t gib = 1LL << 30;
  EXPECT_EQ(saved(10), 9 * gib / 4);
  EXPECT_EQ(saved(1), 45 * gib / 8);
  const double whole = 2.0 * static_cast<double>(all) + 2.96e9 * 2;
  EXPECT_NEAR(100 * static_cast<double>(saved(1)) / whole, 32.1, 0.05);
}

// KTransformers: of uniform routing, the CPU computes what the GPU has not, exactly.
TEST(GivenHits, LeaveTheRestToTheCpu) {
  const ModelSpec model = test::tiny_model(4, 16, 2);
  test::ListSource source = test::random_source(5, 4, 16, 2, 1, 1, 100);
  PolicySpec policy = load_policy("on-demand-cache");
  policy.cache.capacity = parse_capacity("50%", "test");
  policy.cache.eviction = "given-rate";
  choose(policy.miss.service, built_in_parts().miss_services, "compute-on-cpu");
  for (const double rate : {0.0, 0.25, 0.5, 1.0}) {
    policy.cache.hit_rate = rate;
    const SimulationResult result = test::run(model, test::tiny_machine(), policy, source);
    const auto& decode = result.decode_cache;
    EXPECT_EQ(decode.computed_on_cpu, decode.misses);
    EXPECT_NEAR(decode.hit_rate(), rate, 0.006)
        << rate;  // a layer has 200 look-ups, and is off by one at most
    EXPECT_EQ(result.tally.fetches, 0);
  }
}

}  // namespace
}  // namespace pregate::sim
