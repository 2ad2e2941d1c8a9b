// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Evictions of published systems, each on a sequence that one can follow by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "models/error.hpp"
#include "sim/cache/activation_matrices.hpp"
#include "tests/sim/driven_cache.hpp"

namespace pregate::cache {
namespace {

using test::Batch;
using test::DrivenCache;
using test::layered;
using testing::ElementsAre;

// Huang et al.: 2 slots, {1,2,3}, {1,3}, {2}. 1 and 2 fill the slots; 3 finds both activated and takes the
// place of the newest, 2. 1 and 3 hit. 2 finds both inactive; the newest, 3, leaves: 2 hits of 6, 4 copies.
TEST(Conformance, HuangLifoInactiveFirst) {
  DrivenCache cache("lifo-inactive-first", layered(1, 4, 2));
  EXPECT_EQ(cache.pass({3, 2, 1}), 0U);
  EXPECT_THAT(cache->misses(), ElementsAre(1, 2, 3));  // by id, whatever the router's order
  EXPECT_TRUE(cache->is_resident(1) && cache->is_resident(3));
  EXPECT_EQ(cache.pass({1, 3}), 2U);
  EXPECT_EQ(cache.pass({2}), 0U);
  EXPECT_TRUE(cache->is_resident(1) && cache->is_resident(2));
  // FIFO without the rule: 1 hit, the best that there is: 2 hits.
  DrivenCache fifo("fifo", layered(1, 4, 2));
  EXPECT_EQ(fifo.pass({1, 2, 3}) + fifo.pass({1, 3}) + fifo.pass({2}), 1U);
}

// 1 would have to take the place of 2 or 3, which have yet to run.
TEST(LifoInactiveFirst, KeepsWhoHasYetToRun) {
  DrivenCache cache("lifo-inactive-first", layered(1, 4, 2));
  cache.pass({2, 3});
  EXPECT_EQ(cache.pass({1, 2, 3}), 2U);
  EXPECT_EQ(cache->bypassed(), 1U);
  EXPECT_THAT(cache->evicted(), ElementsAre());
}

// HOBBIT's score, weights 1/4, 10 tokens, 4 layers, layer 2 runs. A of layer 3: last used at token 8, by 3
// tokens, 2 in high precision: (.8 + .3 + .2 + 1 - 1/4) / 4 = .5125. B of layer 1: token 9, 2 tokens, 1 in
// high precision: (.9 + .2 + .1 + 1 - 3/4) / 4 = .3625. B leaves; by recency alone, A.
TEST(Conformance, HobbitScore) {
  for (const auto& [parameters, leaves] :
       {std::pair{"", 4U}, std::pair{"use_weight = 0\nprecision_weight = 0\ndistance_weight = 0", 12U}}) {
    constexpr ExpertKey a = 12, b = 4, other_a = 13, other_b = 5, incoming = 8;
    DrivenCache cache("hobbit", layered(4, 4, 2, true), parameters);
    for (int token = 1; token <= 10; ++token) {
      cache.begin_pass({.first_of_request = token == 1});
      // Another expert with .7 of the weight makes a use one in low precision.
      if (token == 3) cache.gate(1, {other_b, b}, {}, {0.7F, 0.3F});
      if (token == 9) cache.gate(1, {b, other_b}, {}, {0.7F, 0.3F});
      if (token == 9) cache.access(1, {b});
      if (token == 2) cache.gate(3, {a, other_a}, {}, {0.7F, 0.3F});
      if (token == 5) cache.gate(3, {a, other_a}, {}, {0.5F, 0.5F});
      if (token == 8) cache.gate(3, {other_a, a}, {}, {0.7F, 0.3F});
      if (token == 8) cache.access(3, {a});
      if (token == 10) cache.layer(2, {incoming}, {}, {1.0F});
    }
    EXPECT_THAT(cache->evicted(), ElementsAre(leaves)) << parameters;
  }
}

// A new sequence forgets: what was used nine times in the last one leaves before what was used once in this.
TEST(Hobbit, BeginsAnewWithARequest) {
  DrivenCache cache("hobbit", layered(1, 4, 2));
  for (int token = 0; token < 9; ++token) cache.pass({0}, {}, {}, {.first_of_request = token == 0});
  cache.pass({1}, {}, {}, {.first_of_request = true});
  cache.pass({2});
  EXPECT_THAT(cache->evicted(), ElementsAre(0));
}

// Layer 1 of 4 runs. One activation of layer 2, which is 1 away: 1. Two of layer 0, which is 3 away: .667.
TEST(FreqDistance, PrefersNearLayers) {
  DrivenCache cache("freq-distance", layered(4, 4, 2, true));
  cache.begin_pass();
  cache.layer(0, {0});
  cache.layer(2, {8});
  cache.begin_pass();
  cache.layer(0, {0});
  cache.layer(1, {4});
  EXPECT_THAT(cache->evicted(), ElementsAre(0));
}

// An encoder runs once: its experts leave first, however often they were activated.
TEST(FreqDistance, CountsNothingOfAnEncoder) {
  CacheGeometry geometry = layered(2, 4, 2, true);
  geometry.layers = {{0, 0, 1}, {4, 1, 1}};
  DrivenCache cache("freq-distance", geometry);
  cache.begin_pass();
  cache.layer(1, {4});
  for (int i = 0; i < 5; ++i) {
    cache.begin_pass({.is_encoder = true, .is_decode = false});
    cache.layer(0, {0});
  }
  cache.begin_pass();
  cache.layer(1, {5});
  EXPECT_THAT(cache->evicted(), ElementsAre(0));
}

// Halved after each pass: 0 at passes 1 and 2, 1 at pass 3. At pass 4: (1/2 + 1) / 4 = .375 against 1/2.
TEST(LfuDecay, OldActivationsFade) {
  for (const auto& [decay, leaves] : {std::pair{"decay = 0.5", 0U}, std::pair{"decay = 1", 1U}}) {
    DrivenCache cache("lfu-decay", layered(1, 4, 2), decay);
    for (const ExpertKey key : {0U, 0U, 1U, 2U}) cache.pass({key});
    EXPECT_THAT(cache->evicted(), ElementsAre(leaves)) << decay;
  }
}

// At the fourth expert's miss the clock is at 5: 0 was used 3 times, last at 3: 3 / 3; 1 twice, last at 5: 2
// / 1. lfu would evict 1. In the second sequence (clock 4): 3 / 2 against 1 / 1; lru would evict 0.
TEST(Lfru, WeighsActivationsByAge) {
  DrivenCache cache("lfru", layered(1, 4, 2));
  for (const ExpertKey key : {0U, 0U, 0U, 1U, 1U, 2U}) cache.pass({key});
  EXPECT_THAT(cache->evicted(), ElementsAre(0));
  DrivenCache other("lfru", layered(1, 4, 2));
  for (const ExpertKey key : {0U, 0U, 0U, 1U, 2U}) other.pass({key});
  EXPECT_THAT(other->evicted(), ElementsAre(1));
}

// 0 is used 3 times, 1 six times (clock 9), so 2 comes for 0 (3 / 7). 0 comes back for 2 (1 / 1 against 6 /
// 2). At clock 11 it has 4 / 1, or 1 / 1 from its return, against 6 / 3.
TEST(Lfru, MayForgetWhoLeft) {
  for (const auto& [forget, leaves] : {std::pair{"forget = false", 1U}, std::pair{"forget = true", 0U}}) {
    DrivenCache cache("lfru", layered(1, 5, 2), forget);
    for (const ExpertKey key : {0U, 0U, 0U, 1U, 1U, 1U, 1U, 1U, 1U, 2U, 0U, 3U}) cache.pass({key});
    EXPECT_THAT(cache->evicted(), ElementsAre(leaves)) << forget;
  }
}

// Of all residents, the fewest activations since admission, the least recently used on a tie: lfu-forget; by
// counts that are kept, lfu.
TEST(LfruSampled, OfAllResidentsIsLfu) {
  for (const auto& [parameters, of] :
       {std::pair{"sample = 100", "lfu-forget"}, std::pair{"sample = 100\nkeeps_counts = true", "lfu"}}) {
    std::uint64_t state = 1;
    DrivenCache sampled("lfru-sampled", layered(1, 40, 9), parameters), plain(of, layered(1, 40, 9));
    for (int i = 0; i < 2000; ++i) {
      Batch batch;
      while (batch.size() < 3) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        const auto key = static_cast<ExpertKey>(std::min((state >> 33U) % 40, (state >> 40U) % 40));
        if (std::find(batch.begin(), batch.end(), key) == batch.end()) batch.push_back(key);
      }
      ASSERT_EQ(sampled.pass(batch), plain.pass(batch)) << of << ", " << i;
      ASSERT_THAT(sampled->evicted(), testing::ElementsAreArray(plain->evicted())) << of << ", " << i;
    }
  }
}

// 4 activations against 2, of an age that differs by n tokens: 4 x .25^(n/128) is less than 2 from n = 64 on.
TEST(FrequencyAge, AnActivationIsWorthAQuarterAfter128Tokens) {
  for (const auto& [tokens, leaves] : {std::pair{62U, 1U}, std::pair{65U, 0U}}) {
    DrivenCache cache("frequency-age", layered(1, 4, 2));
    for (int i = 0; i < 4; ++i) cache.pass({0});
    cache.pass({1});
    cache.pass({1}, {}, {}, {.tokens = tokens - 1});  // last used `tokens` after 0
    cache.pass({2});
    EXPECT_THAT(cache->evicted(), ElementsAre(leaves)) << tokens;
  }
}

// Pass 1: 0 gains 1, 1 (absent) is at -.5. Pass 2: 1 at .5, 0 at .75. Pass 3: 0 at .5, 1 at .25, which
// leaves.
TEST(PriorityStep, RisesByUseAndFallsWithout) {
  DrivenCache cache("priority-step", layered(1, 4, 2), "loss = 0.25\nloss_absent = 0.5");
  for (const ExpertKey key : {0U, 1U, 2U}) cache.pass({key});
  EXPECT_THAT(cache->evicted(), ElementsAre(1));
}

// Who is announced stays though it is the least recently used; when its layer has run it is as all others.
TEST(PredictedFirst, KeepsWhoIsAnnounced) {
  DrivenCache cache("predicted-first", layered(1, 6, 2));
  cache.pass({0});
  cache.pass({1});
  cache->hold(0);
  cache.pass({2});
  EXPECT_THAT(cache->evicted(), ElementsAre(1));
  cache->let_go(0);
  cache.pass({3});
  EXPECT_THAT(cache->evicted(), ElementsAre(0));
}

// Half of the newest weights, half of the mean before. 0 gets 1 at pass 1, 1 gets .2 at pass 2, 2 gets .4 at
// pass 3; at pass 4 they are at .0625, .025 and .1. lru would evict 0.
TEST(RecentScore, IsAMovingMeanOfGateWeights) {
  DrivenCache cache("recent-score", layered(1, 5, 3));
  cache.pass({0}, {}, {1.0F});
  cache.pass({1}, {}, {0.2F});
  cache.pass({2}, {}, {0.4F});
  cache.pass({3}, {}, {0.5F});
  EXPECT_THAT(cache->evicted(), ElementsAre(1));
}

// With the largest weight of a token alone 1 and 2 have none, and the older leaves. With all 1 has .4 / 8 =
// .05 at pass 3, and 2 has .15 / 4 = .0375.
TEST(RecentScore, TakesTheLargestOfAToken) {
  for (const auto& [top, leaves] : {std::pair{"top = 1", 1U}, std::pair{"top = 0", 2U}}) {
    DrivenCache cache("recent-score", layered(1, 5, 3), top);
    cache.pass({0, 1}, {}, {0.6F, 0.4F});
    cache.pass({0, 2}, {}, {0.2F, 0.15F});
    cache.pass({0, 3}, {}, {0.6F, 0.4F});
    EXPECT_THAT(cache->evicted(), ElementsAre(leaves)) << top;
  }
}

constexpr ExpertKey cell(std::uint32_t layer, std::uint32_t expert) { return 3 * layer + expert; }

/// Tokens of the experts of a layer, those that have some.
GateOutcome row(std::uint32_t ordinal, const std::vector<std::uint32_t>& tokens, Batch& keys,
                std::vector<std::uint32_t>& counts) {
  keys.clear();
  counts.clear();
  for (std::uint32_t expert = 0; expert < tokens.size(); ++expert) {
    if (tokens[expert] == 0) continue;
    keys.push_back(cell(ordinal, expert));
    counts.push_back(tokens[expert]);
  }
  return {.ordinal = ordinal, .activated = keys, .tokens = counts, .ids = {}, .weights = {}};
}

// MoE-Infinity, 3 layers of 3: the running row 0 is (3,1,0). M1 has rows (4,0,0), (0,4,0), (0,3,1), M2
// (0,4,0), (4,0,0), (1,0,3): cosines 12 / (4 sqrt 10) = .949 and .316, so M1. Rows to come are worth 1 - 1/3
// and 1 - 2/3: (1,1) 1 x .667, (2,1) 3/4 x .333, (2,2) 1/4 x .333.
TEST(Conformance, MoeInfinityMatching) {
  ActivationMatrices matrices(layered(3, 3, 9, true), 128);
  Batch keys;
  std::vector<std::uint32_t> counts;
  const std::vector<std::vector<std::vector<std::uint32_t>>> requests = {{{4, 0, 0}, {0, 4, 0}, {0, 3, 1}},
                                                                         {{0, 4, 0}, {4, 0, 0}, {1, 0, 3}}};
  for (const auto& request : requests) {
    matrices.begin_pass({.first_of_request = true});
    for (std::uint32_t layer = 0; layer < 3; ++layer) matrices.gate(row(layer, request[layer], keys, counts));
  }
  matrices.begin_pass({.first_of_request = true});
  EXPECT_EQ(matrices.probability(cell(1, 1)), 0);  // no layer has run
  matrices.gate(row(0, {3, 1, 0}, keys, counts));
  EXPECT_NEAR(matrices.probability(cell(1, 1)), 2.0 / 3, 1e-12);
  EXPECT_NEAR(matrices.probability(cell(2, 1)), 0.25, 1e-12);
  EXPECT_NEAR(matrices.probability(cell(2, 2)), 1.0 / 12, 1e-12);
  EXPECT_EQ(matrices.probability(cell(1, 0)), 0);
}

// The same through a cache of three: (2,2) is the least likely and leaves, then (2,1), both of the last
// layer.
TEST(ActivationMatrix, EvictsWhoIsUnlikely) {
  DrivenCache cache("activation-matrix", layered(3, 3, 3, true));
  cache.begin_pass({.first_of_request = true});
  cache.gate(0, {cell(0, 0)}, {4});
  cache.gate(1, {cell(1, 1)}, {4});
  cache.gate(2, {cell(2, 1), cell(2, 2)}, {3, 1});
  cache.access(2, {cell(2, 1)});
  cache.access(2, {cell(2, 2)});
  cache.access(1, {cell(1, 1)});
  cache.begin_pass({.first_of_request = true});
  cache.gate(0, {cell(0, 0), cell(0, 1)}, {3, 1});
  cache.access(0, {cell(0, 0), cell(0, 1)});
  EXPECT_THAT(cache->evicted(), ElementsAre(cell(2, 2), cell(2, 1)));
}

TEST(ActivationMatrix, RefusesMoreThanItCouldHold) {
  CacheGeometry geometry = layered(1, 1U << 22U, 1);
  EXPECT_THROW(ActivationMatrices(geometry, 65536), InputError);
}

// Strata: ranked after 2 tokens, 1 swap, nothing fades. After tokens 1 and 2 the absentee 0 has 1, as the
// resident 1 has: no swap. After token 4 it has 3, the residents 1 and 2 have 1 and 2: 0 comes for 1, one
// copy.
TEST(Conformance, StrataPeriodicRank) {
  const std::string parameters = "rank_tokens = 2\nrank_swaps = 1\nrank_decay = 1\n";
  DrivenCache cache("periodic-rank", layered(1, 4, 2), parameters);
  cache.pass({1, 2});
  EXPECT_EQ(cache.pass({0, 2}), 1U);
  EXPECT_FALSE(cache->is_resident(0)) << "no miss evicts anyone";
  EXPECT_EQ(cache.swaps(), 0U);
  cache.pass({0});
  cache.pass({0});
  EXPECT_EQ(cache.swaps(), 1U);
  EXPECT_TRUE(cache->is_resident(0) && cache->is_resident(2));
  EXPECT_FALSE(cache->is_resident(1));
  // llama.cpp's hysteresis: 3 is not more than (1 + 2) x 1.
  DrivenCache slow("periodic-rank", layered(1, 4, 2), parameters + "hysteresis = 2");
  for (const Batch& batch : {Batch{1, 2}, Batch{0, 2}, Batch{0}, Batch{0}}) slow.pass(batch);
  EXPECT_EQ(slow.swaps(), 0U);
}

// The profile's share counts as so many activations, and who never enters is not ranked.
TEST(PeriodicRank, AddsTheProfileAndLeavesOutWhoNeverEnters) {
  CacheGeometry geometry = layered(1, 4, 1);
  geometry.profile = {1, 0, 0.5, 1};
  geometry.excluded = {1, 0, 0, 0};
  DrivenCache cache("periodic-rank", geometry, "rank_tokens = 2\nprofile_weight = 2");
  cache.pass({1});
  cache.pass({1});  // 1 has 2, 3 has 2 of the profile: not more
  EXPECT_EQ(cache.swaps(), 0U);
  cache.pass({3});
  cache.pass({3});  // 1 has 1.94, 3 has 2 + 2
  EXPECT_TRUE(cache->is_resident(3));
}

// A window of 2 passes, 1 slot: 0 fills it. In the window 0 gets 1 token, 1 gets 3, 2 gets 2: 1 comes for 0
// at its end. The next window counts anew: 2 gets 1 token, 1 none.
TEST(WindowLoad, ReplacesAtTheEndsOfWindows) {
  DrivenCache cache("window-load", layered(1, 4, 1), "load_window = 2");
  cache.pass({0, 1}, {1, 3});
  EXPECT_TRUE(cache->is_resident(0));
  cache.pass({2}, {2});
  EXPECT_TRUE(cache->is_resident(1));
  cache.pass({2}, {1});
  EXPECT_TRUE(cache->is_resident(1));
  cache.pass({3}, {0});
  EXPECT_TRUE(cache->is_resident(2));
}

// Read-ME: 2 slots, A B C A B C. lru hits nothing. Of the two next uses the later leaves: C comes for B, A
// hits, B comes for A, which is not needed again, C hits: 2 hits. Without foresight it is lru.
TEST(Conformance, ReadMeOracle) {
  const std::vector<Batch> batches = {{0}, {1}, {2}, {0}, {1}, {2}};
  const std::vector<BatchIndex> future = test::future_of(batches);
  for (const auto& [foresight, most] : {std::pair{"foresight = 100", 2U}, std::pair{"foresight = 0", 0U}}) {
    for (const Admission admission : {Admission::always, Admission::bypass}) {
      CacheGeometry geometry = layered(1, 3, 2);
      geometry.next_use = future;
      geometry.admission = admission;
      DrivenCache cache("window-oracle", geometry, foresight);
      std::uint32_t hits = 0;
      for (const Batch& batch : batches) hits += cache.pass(batch);
      EXPECT_EQ(hits, most) << foresight;
    }
  }
}

}  // namespace
}  // namespace pregate::cache
