// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// KV memory that requests take block by block, and lose to those that joined before them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/served.hpp"

namespace pregate::sim {
namespace {

using test::continuous;
using test::ListSource;
using test::requests_of;
using test::us;
using testing::ElementsAre;
using trace::Phase;

// A layer of tiny_model caches 2 x 4 heads x 16 x 4 B = 512 B a token.
constexpr std::int64_t token_bytes = 512;

ServingSpec paged(int block, std::int64_t tokens, int places, const char* prompts = "before", int chunk = 0) {
  return continuous({{"max_batch", std::to_string(places)},
                     {"prompts", prompts},
                     {"kv_block", std::to_string(block)},
                     {"kv_memory", std::to_string(tokens * token_bytes) + " B"}},
                    chunk);
}

/// "0p4@0" is request 0 with 4 tokens of a prompt after none, of which "(3)" it had before; "1d@3" request 1
/// that decodes after 3.
std::vector<std::string> passes_of(trace::StepSource& source, const ServingSpec& serving,
                                   std::int64_t tokens) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  const auto batcher = serving.make(source, {{&model, Bytes{tokens * token_bytes}}});
  std::vector<std::string> passes;
  for (ServedPass pass; batcher->next({}, pass);) {
    std::string& text = passes.emplace_back();
    for (const Row& row : pass.rows) {
      text += (text.empty() ? "" : " ") + std::to_string(row.request);
      text += row.phase == Phase::decode ? "d" : "p" + std::to_string(row.tokens);
      if (row.recomputed > 0) text += "(" + std::to_string(row.recomputed) + ")";
      text += "@" + std::to_string(row.position);
    }
  }
  return passes;
}

// Four blocks of 2 tokens. Each prompt takes two. 0 needs a third for its fifth token: 1, the newest, loses
// its two, and begins again when 0 is done: 4 tokens of its prompt, and the one that it would have decoded.
TEST(KvBlocks, TheNewestRequestLosesItsBlocksToAnOlderOne) {
  ListSource source = requests_of({{4, 2}, {4, 2}});
  EXPECT_THAT(passes_of(source, paged(2, 8, 2), 8),
              ElementsAre("0p4@0 1p4@0", "0d@4", "0d@5", "1p5(4)@0", "1d@5"));
  // With room for all nothing is different from memory that is there for all.
  EXPECT_THAT(passes_of(source, paged(2, 12, 2), 12), ElementsAre("0p4@0 1p4@0", "0d@4 1d@4", "0d@5 1d@5"));
}

// Blocks of one token: 9 of them. A token each of two that had 4: the first takes the ninth, the second none,
// and is itself the newest. What it said before is recomputed with its prompt.
TEST(KvBlocks, WhatARequestSaidIsRecomputedWithItsPrompt) {
  ListSource source = requests_of({{3, 3}, {3, 3}});
  EXPECT_THAT(passes_of(source, paged(1, 9, 2), 9),
              ElementsAre("0p3@0 1p3@0", "0d@3 1d@3", "0d@4", "0d@5", "1p5(4)@0", "1d@5"));
  // In chunks of 2 the first ones bring nothing.
  EXPECT_THAT(passes_of(source, paged(1, 9, 2, "before", 2), 9),
              ElementsAre("0p2@0", "0p1@2 1p1@0", "1p2@1", "0d@3 1d@3", "0d@4", "0d@5", "1p2(2)@0",
                          "1p2(2)@2", "1p1@4", "1d@5"));
}

// First come first served: of four blocks 2 has room for its one, but 1 was there before, and has none.
TEST(KvBlocks, APromptWaitsForBlocksForTheWholeOfIt) {
  ListSource source = requests_of({{4, 2}, {6, 1}, {2, 1}});
  EXPECT_THAT(passes_of(source, paged(2, 8, 3), 8),
              ElementsAre("0p4@0", "0d@4", "0d@5", "1p6@0 2p2@0", "1d@6", "2p3(2)@0"));
  EXPECT_THAT(passes_of(source, paged(2, 8, 3, "beside"), 8),
              ElementsAre("0p4@0", "0d@4", "0d@5", "1p6@0 2p2@0", "1d@6", "2p3(2)@0"));
}

TEST(KvBlocks, WhatCanNeverFitIsRefused) {
  ListSource source = requests_of({{4, 2}, {8, 2}});
  EXPECT_THROW(passes_of(source, paged(2, 8, 2), 8), InputError);
  EXPECT_NO_THROW(passes_of(source, paged(2, 10, 2), 10));
  ListSource batch(test::decoder_info(1, 8, 2));
  batch.add(Phase::decode, 2, test::two_of_four(2), true, {}, 0, 2);
  EXPECT_THROW(passes_of(batch, paged(2, 10, 2), 10), InputError);
  EXPECT_THROW(test::run(test::tiny_model(1, 8, 2), test::slow_memory(), load_policy("gpu-only"), source,
                         {.serving = continuous({{"kv_memory", "1 MB"}})}),
               InputError);
}

// A pass takes 500.304 us and 0.512 us a token of context that is read (prompt_chunks_test.cpp). What the
// passes of the first test take, one after the other: both prompts, 4 tokens each; 0 after 4 and after 5; 1
// again, which brings its second token; 1 after 5.
TEST(KvBlocks, APreemptedRequestTakesWhatItsPassesTake) {
  ListSource source = requests_of({{4, 2}, {4, 2}});
  const auto run = [&](const ServingSpec& serving) {
    return test::run(test::tiny_model(1, 8, 2), test::slow_memory(), load_policy("gpu-only"), source,
                     {.serving = serving, .keeps_requests = true});
  };
  const SimulationResult result = run(paged(2, 8, 2));
  ASSERT_EQ(result.request_records.size(), 2U);
  const RequestRecord &a = result.request_records[0], &b = result.request_records[1];
  ASSERT_TRUE(result.preempted);
  EXPECT_EQ(result.preempted->times, 1);
  EXPECT_EQ(result.preempted->tokens, 4);
  EXPECT_EQ(a.preemptions, 0);
  EXPECT_EQ(b.preemptions, 1);
  EXPECT_EQ(b.recomputed_tokens, 4);
  EXPECT_EQ(b.prompt_tokens, 4);
  EXPECT_EQ(b.output_tokens, 2);
  EXPECT_EQ(result.output_tokens, 4);
  EXPECT_EQ(a.first_token, b.first_token);  // of the prompts, before anyone was preempted
  EXPECT_EQ(b.later_passes, 2);
  // Alone 5 tokens of a prompt take what they take here, and so do steps after 4 and 5.
  const auto alone = [&](std::initializer_list<std::pair<int, int>> requests) {
    ListSource one = requests_of(requests);
    return test::run(test::tiny_model(1, 8, 2), test::slow_memory(), load_policy("gpu-only"), one,
                     {.keeps_requests = true})
        .request_records.front();
  };
  const RequestRecord four = alone({{4, 2}}), five = alone({{5, 1}});
  EXPECT_EQ(a.end - a.first_token, four.end - four.first_token);
  EXPECT_EQ(b.end - a.end, five.end);
  EXPECT_EQ(five.end, us(2 * 500.304 + (5 + 6) * 0.512));
  EXPECT_EQ(result.memory.peak[static_cast<std::size_t>(MemoryPurpose::kv_cache)], Bytes{8 * token_bytes});
  // Memory for all that may be cached: nobody is preempted, and nothing says so.
  EXPECT_FALSE(run(continuous({{"max_batch", "2"}})).preempted);
}

// Where no size is given, the cache has what is left, at most what all may take, and never less than one
// sequence needs: then the run is out of memory.
TEST(KvBlocks, TheCacheHasWhatAllElseLeaves) {
  ListSource source = requests_of({{4, 2}, {4, 2}, {4, 2}});
  const ServingSpec serving = continuous({{"max_batch", "3"}, {"kv_block", "1"}});
  const ModelSpec model = test::tiny_model(1, 8, 2);
  const PolicySpec policy = load_policy("gpu-only");
  const PreparedTrace prepared(source, model, "test", serving);
  const auto with = [&](std::int64_t bytes) {
    MemoryLimits limits = memory_limits(test::slow_memory());
    limits.gpu = Bytes{bytes};
    return simulate(model, test::slow_memory(), policy, prepared, source,
                    {.serving = serving, .memory = limits});
  };
  const auto kv = [](const SimulationResult& result) {
    return result.memory.peak[static_cast<std::size_t>(MemoryPurpose::kv_cache)].count / token_bytes;
  };
  const SimulationResult ample = with(std::int64_t{1} << 32);
  EXPECT_EQ(kv(ample), 3 * 6);
  EXPECT_EQ(ample.preempted->times, 0);
  const std::int64_t others = ample.memory.total().count - 18 * token_bytes;
  const SimulationResult tight = with(others + 13 * token_bytes + 100);
  EXPECT_EQ(kv(tight), 13);
  EXPECT_GT(tight.preempted->times, 0);
  EXPECT_EQ(tight.output_tokens, ample.output_tokens);
  EXPECT_FALSE(with(others + 6 * token_bytes).out_of_memory);
  EXPECT_TRUE(with(others + 6 * token_bytes - 1).out_of_memory);
}

// However often requests are preempted, each is given its tokens once, with their routing, and what it has
// again is what it had: positions follow each other without a gap.
TEST(KvBlocks, EveryTokenIsPassedWithItsRouting) {
  ListSource source(test::decoder_info(3, 8, 2));
  std::mt19937_64 random(11);
  std::vector<std::vector<std::uint16_t>> of_first_layer;  // by request: ids of its tokens
  for (int request = 0; request < 12; ++request) {
    std::vector<std::uint16_t>& ids = of_first_layer.emplace_back();
    const auto add = [&](Phase phase, int tokens, bool first) {
      const auto experts = test::random_experts(random, 3, 8, 2, tokens);
      ids.insert(ids.end(), experts.begin(), experts.begin() + std::ptrdiff_t{2} * tokens);
      source.add(phase, tokens, experts, first);
    };
    add(Phase::prefill, static_cast<int>(random() % 9) + 1, true);
    for (std::uint64_t step = random() % 9; step > 0; --step) add(Phase::decode, 1, false);
  }
  const ModelSpec model = test::tiny_model(1, 8, 2);
  for (const char* prompts : {"before", "beside"}) {
    for (const int chunk : {0, 4}) {
      for (const int block : {1, 4}) {
        const auto batcher =
            paged(block, 24, 5, prompts, chunk).make(source, {{&model, Bytes{24 * token_bytes}}});
        std::map<std::int64_t, int> next_position, preempted;
        for (ServedPass pass; batcher->next({}, pass);) {
          int first = 0;
          for (const Row& row : pass.rows) {
            if (row.preemptions > preempted[row.request]) next_position[row.request] = 0;
            preempted[row.request] = row.preemptions;
            EXPECT_EQ(row.position, next_position[row.request]);
            next_position[row.request] += row.tokens;
            const auto& ids = of_first_layer[static_cast<std::size_t>(row.request)];
            for (int i = 0; i < 2 * row.tokens; ++i) {
              EXPECT_EQ(pass.step.experts[static_cast<std::size_t>(2 * first + i)],
                        ids[static_cast<std::size_t>(2 * row.position + i)]);
            }
            first += row.tokens;
          }
        }
        int times = 0;
        for (const auto& [request, count] : preempted) times += count;
        EXPECT_GT(times, 0);
        for (std::int64_t request = 0; request < 12; ++request) {
          EXPECT_EQ(2 * static_cast<std::size_t>(next_position[request]),
                    of_first_layer[static_cast<std::size_t>(request)].size());
        }
      }
    }
  }
}

}  // namespace
}  // namespace pregate::sim
