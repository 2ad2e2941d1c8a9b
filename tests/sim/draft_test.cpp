// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/serve/drafts.hpp"
#include "sim/serve/lock_step.hpp"
#include "tests/sim/tiny.hpp"
#include "traces/reader.hpp"

namespace pregate::test {
namespace {

// A decode step that verifies drafts computes all its tokens but yields one a sequence: three steps of one
// sequence with 4 tokens are 3 output tokens, as three steps with 1 token are, and take longer.
TEST(Drafts, AVerifiedStepYieldsOneTokenASequence) {
  const ModelSpec model = tiny_model(2, 8, 1);
  const auto simulate = [&](int tokens, int sequences) {
    trace::TraceInfo info;
    info.stacks = {"decoder"};
    info.layers = {{0, 0, 8, 1, Bytes{}}, {0, 1, 8, 1, Bytes{}}};
    ListSource source(info);
    for (int step = 0; step < 3; ++step) {
      std::vector<std::uint16_t> experts;
      for (int i = 0; i < 2 * tokens; ++i) experts.push_back(static_cast<std::uint16_t>(i % tokens));
      source.add(trace::Phase::decode, tokens, experts, step == 0, {}, 0, sequences);
    }
    return run(model, tiny_machine(), load_policy("on-demand"), source);
  };
  const sim::SimulationResult plain = simulate(1, 1), verified = simulate(4, 1), batch = simulate(4, 4);
  EXPECT_EQ(plain.output_tokens, 3);
  EXPECT_EQ(verified.output_tokens, 3);
  EXPECT_EQ(batch.output_tokens, 12);
  EXPECT_LT(verified.tokens_per_second(), plain.tokens_per_second());
  EXPECT_THAT(
      verified.notes,
      ::testing::Contains(::testing::HasSubstr("3 decode steps verify drafts (up to 4 tokens a sequence)")));
  EXPECT_THAT(batch.notes, ::testing::Not(::testing::Contains(::testing::HasSubstr("drafts"))));
}

/// One layer, two requests: a prompt of 2 tokens and `decode` steps, of which step i activates expert i
/// mod 8.
ListSource counting(int decode) {
  ListSource source(decoder_info(1, 8, 1));
  for (int request = 0; request < 2; ++request) {
    source.add(trace::Phase::prefill, 2, {0, 1}, true);
    for (int i = 0; i < decode; ++i) source.add(trace::Phase::decode, 1, {static_cast<std::uint16_t>(i % 8)});
  }
  return source;
}

struct Verified {
  int position, accepted;
  std::vector<std::uint16_t> experts;
  bool operator==(const Verified&) const = default;
};

std::vector<Verified> decode_steps(trace::StepSource& source) {
  std::vector<Verified> all;
  trace::Step step;
  while (source.next(step)) {
    if (step.phase == trace::Phase::decode)
      all.push_back({step.position, step.accepted, {step.experts.begin(), step.experts.end()}});
  }
  return all;
}

// Three drafts: where all are accepted a step goes four tokens on, where none is, one; it verifies the tokens
// that the recording has next, which are fewer at the end. Every recorded token is accepted once.
TEST(Drafts, AStepVerifiesTheRecordedTokensThatFollow) {
  ListSource source = counting(6);
  const auto all = sim::verify_drafts(source, {.tokens = 3, .acceptance = 1});
  const std::vector<Verified> accepted = decode_steps(*all);
  ASSERT_EQ(accepted.size(), 4U);
  EXPECT_EQ(accepted[0], (Verified{2, 4, {0, 1, 2, 3}}));
  EXPECT_EQ(accepted[1], (Verified{6, 2, {4, 5}}));
  EXPECT_EQ(accepted[2], accepted[0]);
  const auto none = sim::verify_drafts(source, {.tokens = 3});
  const std::vector<Verified> refused = decode_steps(*none);
  ASSERT_EQ(refused.size(), 12U);
  EXPECT_EQ(refused[1], (Verified{3, 1, {1, 2, 3, 4}}));
  EXPECT_EQ(refused[5], (Verified{7, 1, {5}}));
}

// Of two drafts, at 0.8 and 0.8 x 0.5, a step has 1 + 0.8 + 0.8 x 0.4 = 2.12 tokens on average; of 40,000
// recorded ones within 1 %.
TEST(Drafts, AsManyAreAcceptedAsTheProbabilitiesSay) {
  ListSource source = counting(20'000);
  const auto steps = sim::verify_drafts(source, {.tokens = 2, .acceptance = 0.8, .decay = 0.5});
  const std::vector<Verified> verified = decode_steps(*steps);
  EXPECT_NEAR(40'000.0 / static_cast<double>(verified.size()), 2.12, 0.02);
  int sum = 0;
  for (const Verified& step : verified) sum += step.accepted;
  EXPECT_EQ(sum, 40'000);
  steps->rewind();
  EXPECT_EQ(decode_steps(*steps), verified);
  const auto others = sim::verify_drafts(source, {.tokens = 2, .acceptance = 0.8, .decay = 0.5, .seed = 2});
  EXPECT_NE(decode_steps(*others), verified);
}

// A pass takes 474.704 us, 0.512 us a token of context and a head of 25.6 (see prompt_chunks_test.cpp), in
// which 4 tokens cost as much as one. Alone, after a prompt of 2, with all of three drafts accepted: two
// steps over 6 and 10 tokens of context, 503.376 and 505.424 us, for 8 tokens; each draft takes 10 us more.
TEST(Drafts, AcceptedTokensCountAndDraftingTakesItsTime) {
  ListSource source(decoder_info(1, 8, 2));
  source.add(trace::Phase::prefill, 2, {0, 1, 0, 1}, true);
  for (int i = 0; i < 8; ++i) source.add(trace::Phase::decode, 1, {0, 1});
  const auto drafted = sim::verify_drafts(source, {.tokens = 3, .acceptance = 1});
  sim::SimulationOptions options{.keeps_requests = true};
  for (const std::int64_t microseconds : {0, 10}) {
    options.serving.draft.time = Picoseconds{microseconds * 1'000'000};
    const sim::SimulationResult result =
        run(tiny_model(1, 8, 2), slow_memory(), load_policy("gpu-only"), *drafted, options);
    EXPECT_EQ(result.output_tokens, 8);
    EXPECT_EQ(result.decode_steps, 2);
    EXPECT_EQ(result.decode.count, 503'376'000 + 505'424'000 + 2 * 3 * microseconds * 1'000'000);
    EXPECT_DOUBLE_EQ(result.tpot_ms, result.decode.milliseconds() / 8);
    EXPECT_THAT(result.notes, ::testing::Contains(::testing::HasSubstr("4.00 tokens of each are accepted")));
  }
}

TEST(Drafts, RecordedOnesAreAcceptedToo) {
  ListSource source(decoder_info(1, 8, 1));
  source.add(trace::Phase::decode, 8, {0, 1, 2, 3, 4, 5, 6, 7}, true, {}, 0, 2);
  const auto steps = sim::verify_drafts(source, {.acceptance = 1});
  EXPECT_EQ(decode_steps(*steps).front().accepted, 8);
  const auto more = sim::verify_drafts(source, {.tokens = 2, .acceptance = 1});
  EXPECT_THROW(decode_steps(*more), InputError);
}

TEST(Drafts, BatchesKeepWhatEachSequenceAccepts) {
  ListSource source = counting(6);
  const auto drafted = sim::verify_drafts(source, {.tokens = 3, .acceptance = 1});
  const auto batch = trace::compose_batches(*drafted, 2);
  sim::LockStep lock_step(*batch);
  sim::ServedPass pass;
  ASSERT_TRUE(lock_step.next({}, pass));
  ASSERT_TRUE(lock_step.next({}, pass));
  ASSERT_EQ(pass.rows.size(), 2U);
  EXPECT_EQ(pass.rows[1].drafted, 3);
  EXPECT_EQ(pass.rows[1].accepted, 4);
  const auto again = sim::verify_drafts(source, {.tokens = 3, .acceptance = 1});
  const sim::ServingSpec serving = sim::load_serving(std::vector<Override>{{"serve.batcher", "continuous"}});
  const auto continuous = serving.make(*again);
  ASSERT_TRUE(continuous->next({}, pass));
  ASSERT_TRUE(continuous->next({}, pass));
  ASSERT_EQ(pass.rows.size(), 2U);
  EXPECT_EQ(pass.rows[1].accepted, 4);
}

}  // namespace
}  // namespace pregate::test
