// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/prompt_chunks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/tiny.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using testing::ElementsAre;
using trace::Phase;
using Ids = std::vector<std::uint16_t>;

/// A step with entries of its own.
struct Taken {
  trace::Step step;
  Ids experts, predicted;
  std::vector<trace::SequencePart> parts;
};

std::vector<Taken> all_of(trace::StepSource& source) {
  std::vector<Taken> steps;
  trace::Step step;
  source.rewind();
  while (source.next(step)) {
    steps.push_back({step,
                     {step.experts.begin(), step.experts.end()},
                     {step.predicted.begin(), step.predicted.end()},
                     {step.parts.begin(), step.parts.end()}});
  }
  return steps;
}

/// Two layers, of top-1 and of top-2.
trace::TraceInfo uneven_info() {
  trace::TraceInfo info = test::decoder_info(2, 16, 2);
  info.layers[0].top_k = 1;
  info.has_predictions = true;
  return info;
}

/// Of tokens `first` to first + n - 1: token t has expert t in the first layer, t and t + 1 in the second.
Ids ids_of(int first, int n, int add = 0) {
  Ids ids;
  const auto push = [&](int id) { ids.push_back(static_cast<std::uint16_t>(id + add)); };
  for (int t = first; t < first + n; ++t) push(t);
  for (int t = first; t < first + n; ++t) push(t), push(t + 1);
  return ids;
}

TEST(PromptChunks, TakeTheEntriesOfTheirTokens) {
  ListSource source(uneven_info());
  source.add(Phase::prefill, 10, ids_of(0, 10), true, ids_of(0, 10, 1));
  source.add(Phase::decode, 1, ids_of(3, 1), false, ids_of(3, 1, 1));
  const auto chunks = cut_prompts(source, 4);
  for (int round = 0; round < 2; ++round) {  // a rewound source says the same again
    const std::vector<Taken> steps = all_of(*chunks);
    ASSERT_EQ(steps.size(), 4U);
    const std::vector<std::pair<int, int>> tokens = {{0, 4}, {4, 4}, {8, 2}};
    for (std::size_t i = 0; i < 3; ++i) {
      const auto [first, count] = tokens[i];
      const trace::Step& step = steps[i].step;
      EXPECT_EQ(step.phase, Phase::prefill);
      EXPECT_EQ(step.tokens, count);
      EXPECT_EQ(step.position, first);
      EXPECT_EQ(step.index, static_cast<std::int64_t>(i));
      EXPECT_EQ(step.first_of_request, i == 0);
      EXPECT_EQ(steps[i].experts, ids_of(first, count));
      EXPECT_EQ(steps[i].predicted, ids_of(first, count, 1));
      ASSERT_TRUE(step.chunk);
      EXPECT_EQ(step.chunk->last, i == 2);
      EXPECT_THAT(steps[i].parts, ElementsAre(trace::SequencePart{count, first, i == 2, -1, 0}));
      EXPECT_EQ(step.chunk->context, 10);
    }
    EXPECT_EQ(steps[3].step.index, 3);
    EXPECT_EQ(steps[3].step.position, 10);
    EXPECT_FALSE(steps[3].step.chunk);
    EXPECT_EQ(steps[3].experts, ids_of(3, 1));
  }
}

// Prompts of 7, 2 and 3 tokens at 6 tokens a pass: 2 + 2 + 2, then 3 + 1 (at most 3 each), then 2.
TEST(PromptChunks, OfABatchTakeEquallyManyTokensOfEachSequence) {
  ListSource source(uneven_info());
  for (const auto& [first, count] : {std::pair{0, 7}, {8, 2}, {11, 3}})
    source.add(Phase::prefill, count, ids_of(first, count), true, ids_of(first, count));
  const auto batch = trace::compose_batches(source, 3);
  const auto chunks = cut_prompts(*batch, 6);
  const std::vector<Taken> steps = all_of(*chunks);
  ASSERT_EQ(steps.size(), 3U);
  const auto is = [&](std::size_t i, int tokens, int sequences, int position, int ended) {
    const trace::Step& step = steps[i].step;
    EXPECT_EQ(step.tokens, tokens);
    EXPECT_EQ(step.sequences, sequences);
    EXPECT_EQ(step.position, position);
    EXPECT_EQ(std::count_if(steps[i].parts.begin(), steps[i].parts.end(),
                            [](const auto& part) { return part.ends; }),
              ended);
    EXPECT_EQ(step.chunk->last, i == 2);
    EXPECT_EQ(step.chunk->context, 4);  // the mean of 7, 2 and 3, as of the whole pass
  };
  is(0, 6, 3, 0, 1);
  is(1, 4, 2, 2, 1);
  is(2, 2, 1, 5, 1);
  EXPECT_EQ(steps[1].parts[0].number, 0);
  EXPECT_EQ(steps[1].parts[1].number, 2) << "the second prompt has ended";
  EXPECT_EQ(steps[2].parts[0].number, 0);
  EXPECT_THAT(steps[0].experts, ElementsAre(0, 1, 8, 9, 11, 12,  //
                                            0, 1, 1, 2, 8, 9, 9, 10, 11, 12, 12, 13));
  EXPECT_THAT(steps[1].experts, ElementsAre(2, 3, 4, 13,  //
                                            2, 3, 3, 4, 4, 5, 13, 14));
  EXPECT_EQ(steps[2].experts, ids_of(5, 2));
}

template <class Run>
std::string complaint(Run&& run) {
  try {
    run();
  } catch (const InputError& error) {
    return error.what();
  }
  return "none";
}

TEST(PromptChunks, OfMergedPromptsAreRefused) {
  ListSource merged(uneven_info());
  merged.add(Phase::prefill, 8, ids_of(0, 8), true, ids_of(0, 8), 0, 2);
  EXPECT_EQ(all_of(*cut_prompts(merged, 8)).size(), 1U) << "what need not be cut is left alone";
  EXPECT_THAT(complaint([&] { all_of(*cut_prompts(merged, 7)); }),
              testing::AllOf(testing::HasSubstr("2 sequences"), testing::HasSubstr("which tokens are whose"),
                             testing::HasSubstr("--prompt-chunk 8")));
}

TEST(PromptChunks, HoldAtLeastOneTokenOfEachSequence) {
  ListSource source(uneven_info());
  for (int i = 0; i < 3; ++i) source.add(Phase::prefill, 4, ids_of(i, 4), true, ids_of(i, 4));
  const auto batch = trace::compose_batches(source, 3);
  EXPECT_EQ(all_of(*cut_prompts(*batch, 3)).size(), 4U);
  EXPECT_THAT(complaint([&] { all_of(*cut_prompts(*batch, 2)); }),
              testing::HasSubstr("2 tokens a pass for the prompts of 3 sequences"));
  EXPECT_THAT(complaint([&] { cut_prompts(source, 0); }), testing::HasSubstr("at least 1"));
}

// Of each pass: 100 us step, 40 us attention and its 4 x 64 x 64 weights and two norms of 64, of 4 B (66.048
// us), 10 us gate, 60 us experts, 64 x 8 weights of the router (2.048 us), two experts of 98,304 B (196.608
// us): 474.704 us. Keys and values of 2 x 64 x 4 B a token (0.512 us) are read of the context: 4, 8 and 10
// tokens. The head, 100 x 64 x 4 B (25.6 us), is computed once.
TEST(PromptChunks, TimeToFirstTokenIsTheSumOfTheirPasses) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  ListSource source(test::decoder_info(1, 8, 2));
  Ids ids;
  for (int t = 0; t < 10; ++t) ids.insert(ids.end(), {0, 1});
  source.add(Phase::prefill, 10, ids, true);
  source.add(Phase::decode, 1, {0, 1});
  const auto run = [&](trace::StepSource& steps) {
    return test::run(model, test::slow_memory(), load_policy("gpu-only"), steps, {.prompt_chunk = 4});
  };
  const auto chunks = cut_prompts(source, 4);
  const SimulationResult whole = run(source), chunked = run(*chunks);
  EXPECT_EQ(whole.before_decode.count, 474'704'000 + 10 * 512'000 + 25'600'000);
  EXPECT_EQ(chunked.before_decode.count, 3 * 474'704'000 + (4 + 8 + 10) * 512'000 + 25'600'000);
  EXPECT_DOUBLE_EQ(chunked.ttft_ms, chunked.before_decode.milliseconds());
  EXPECT_EQ(chunked.decode, whole.decode);
  EXPECT_DOUBLE_EQ(chunked.tpot_ms, whole.tpot_ms);
  EXPECT_EQ(chunked.output_tokens, 1);
  EXPECT_EQ(chunked.requests, 1);
  // Memory: activations of 4 tokens either way, and of passes that are cut nobody need be told.
  EXPECT_EQ(chunked.memory.peak, whole.memory.peak);
  EXPECT_EQ(whole.notes.size(), 1U);
  EXPECT_TRUE(chunked.notes.empty());
  EXPECT_EQ(chunked.largest_pass, 4);
}

// What a chunk is has no part in when it runs: both engines, with copies, waves and a cache, and where
// compute operations are flows on the memory bus, the head of no time among them.
TEST(PromptChunks, GiveTheSameTimesOnBothEngines) {
  const ModelSpec model = test::tiny_model(3, 16, 3);
  ListSource source = test::random_source(5, 3, 16, 3, 4, 23, 6);
  const auto batch = trace::compose_batches(source, 2);
  const auto chunks = cut_prompts(*batch, 9);
  for (const char* policy : {"on-demand-cache", "pre-gated", "prefetch-all"}) {
    const auto run = [&](Engine engine) {
      return test::run(model, test::tiny_machine(), load_policy(policy), *chunks, {.engine = engine});
    };
    const SimulationResult timed = run(Engine::timed), event = run(Engine::event);
    EXPECT_EQ(timed.total, event.total) << policy;
    EXPECT_EQ(timed.ttft_ms, event.ttft_ms) << policy;
    EXPECT_EQ(timed.tally.operations, event.tally.operations) << policy;
    MachineSpec shared = test::tiny_machine();
    shared.gpu.host_memory_traffic = {1e9};
    EXPECT_GE(test::run(model, shared, load_policy(policy), *chunks).total, timed.total) << policy;
  }
}

/// All that a result says of time, counts and memory.
void expect_same(const SimulationResult& a, const SimulationResult& b) {
  EXPECT_EQ(a.total, b.total);
  EXPECT_EQ(a.ttft_ms, b.ttft_ms);
  EXPECT_EQ(a.memory.peak, b.memory.peak);
  EXPECT_EQ(a.tally.operations, b.tally.operations);
  EXPECT_EQ(a.tally.fetched, b.tally.fetched);
  EXPECT_EQ(a.notes, b.notes);
}

TEST(PromptChunks, KeepEveryTokenAndChangeNothingWhereTheyHoldThePrompt) {
  const ModelSpec model = test::tiny_model(3, 16, 3);
  ListSource source = test::random_source(9, 3, 16, 3, 3, 17, 5);
  const auto batch = trace::compose_batches(source, 3);
  const auto result = [&](trace::StepSource& steps) {
    return test::run(model, test::tiny_machine(), load_policy("on-demand-cache"), steps, {.prompt_chunk = 0});
  };
  const auto routed = [&](trace::StepSource& steps) { return PreparedTrace(steps, model, "test").scan(); };
  const TraceScan whole = routed(*batch);
  const SimulationResult uncut = result(*batch);
  for (const int most : {3, 7, 16, 50, 51, 1000}) {
    const auto chunks = cut_prompts(*batch, most);
    const TraceScan scan = routed(*chunks);
    EXPECT_EQ(scan.routed, whole.routed) << most;
    EXPECT_EQ(scan.requests, whole.requests) << most;
    EXPECT_EQ(scan.most_context, whole.most_context) << most;
    EXPECT_EQ(scan.most_sequences, whole.most_sequences) << most;
    EXPECT_LE(scan.most_prefill_tokens, most);
    if (most >= 51) expect_same(result(*chunks), uncut);  // three prompts of 17 tokens
  }
}

}  // namespace
}  // namespace pregate::sim
