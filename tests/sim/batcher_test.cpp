// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/batcher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "sim/engine/stream_clock.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/run/drive.hpp"
#include "sim/run/layer_run.hpp"
#include "sim/serve/lock_step.hpp"
#include "sim/serve/prompt_chunks.hpp"
#include "tests/sim/tiny.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using testing::ElementsAre;
using trace::Phase;

std::vector<std::uint16_t> two_experts(int tokens) {
  std::vector<std::uint16_t> ids;
  for (int t = 0; t < tokens; ++t) ids.insert(ids.end(), {0, 1});
  return ids;
}

/// Of one layer; each request a prompt of as many tokens and decode steps.
ListSource requests_of(std::initializer_list<int> prompts, int decode_steps) {
  ListSource source(test::decoder_info(1, 8, 2));
  for (const int prompt : prompts) {
    source.add(Phase::prefill, prompt, two_experts(prompt), true);
    for (int i = 0; i < decode_steps; ++i) source.add(Phase::decode, 1, two_experts(1));
  }
  return source;
}

// Prompts of 4 and 2 tokens in lock step and chunks of 4, then a decode step; the same request all the while.
TEST(LockStep, RowsAreTheSequencesWithTheirOwnPositions) {
  ListSource source = requests_of({4, 2}, 1);
  const auto batch = trace::compose_batches(source, 2);
  const auto chunks = cut_prompts(*batch, 4);
  LockStep batcher(*chunks);
  ServedPass pass;
  const auto row = [](int sequence, Phase phase, int tokens, int position, int accepted, int logits) {
    return Row{.sequence = sequence,
               .phase = phase,
               .tokens = tokens,
               .position = position,
               .accepted = accepted,
               .logits = logits};
  };
  ASSERT_TRUE(batcher.next({}, pass));
  EXPECT_THAT(pass.rows, ElementsAre(row(0, Phase::prefill, 2, 0, 0, 0), row(1, Phase::prefill, 2, 0, 0, 1)));
  EXPECT_EQ(shape_of(pass.rows, 0).logit_rows, 1);
  ASSERT_TRUE(batcher.next({}, pass));
  EXPECT_THAT(pass.rows, ElementsAre(row(0, Phase::prefill, 2, 2, 0, 1)));
  ASSERT_TRUE(batcher.next({}, pass));
  EXPECT_THAT(pass.rows, ElementsAre(row(0, Phase::decode, 1, 4, 1, 1), row(1, Phase::decode, 1, 2, 1, 1)));
  const StepShape shape = shape_of(pass.rows, 0);
  EXPECT_EQ(shape.tokens, 2);
  EXPECT_EQ(shape.sequences, 2);
  EXPECT_EQ(shape.position, 3);
  EXPECT_EQ(shape.logit_rows, 2);
  EXPECT_FALSE(batcher.next({}, pass));
}

TEST(LockStep, MergedSequencesAreOneRow) {
  ListSource source(test::decoder_info(1, 8, 2));
  source.add(Phase::decode, 6, two_experts(6), true, {}, 0, 2);  // verifies two drafts a sequence
  LockStep batcher(source);
  ServedPass pass;
  ASSERT_TRUE(batcher.next({}, pass));
  EXPECT_THAT(pass.rows,
              ElementsAre(Row{.sequences = 2, .tokens = 6, .drafted = 4, .accepted = 2, .logits = 6}));
}

/// Runs two requests side by side, a pass of one and a pass of the other.
class TakingTurns final : public Batcher {
 public:
  explicit TakingTurns(trace::StepSource& source) {
    LockStep passes(source);
    ServedPass pass;
    while (passes.next({}, pass))
      queues_[static_cast<std::size_t>(pass.rows.front().request)].push_back(pass.rows.front());
    experts_ = two_experts(8);
  }
  bool next(Picoseconds /*now*/, ServedPass& pass) override {
    std::vector<Row>& queue = queues_[turn_++ % 2];
    if (queue.empty()) return false;
    row_ = queue.front();
    queue.erase(queue.begin());
    pass.step = {};
    pass.step.phase = row_.phase;
    pass.step.tokens = row_.tokens;
    pass.step.position = row_.position;
    pass.step.experts = std::span(experts_).first(static_cast<std::size_t>(2 * row_.tokens));
    pass.rows = {&row_, 1};
    return true;
  }

 private:
  std::array<std::vector<Row>, 2> queues_;
  std::size_t turn_ = 0;
  Row row_;
  std::vector<std::uint16_t> experts_;
};

// A pass takes 500.304 us (474.704 and a head of 25.6, see prompt_chunks_test.cpp) and 0.512 us a token of
// context: of requests A, with a prompt of 4 tokens, and B, of 2, two decode steps each, the passes A4, B2,
// A5, B3, A6, B4 take 502.352, 501.328, 502.864, 501.840, 503.376 and 502.352 us.
TEST(Batcher, AnotherOneDecidesWhoRunsAndEachRequestHasItsOwnTimes) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  const MachineSpec machine = test::slow_memory();
  const PolicySpec policy = load_policy("gpu-only");
  ListSource source = requests_of({4, 2}, 2);
  const PreparedTrace prepared(source, model, "test");
  SimulationResult result;
  const auto plan =
      plan_run(model, memory_limits(machine), policy, prepared, source, CountedExperts::all, result);
  ASSERT_TRUE(plan);
  CostModel costs(model, machine, policy);
  const Topology topology = topology_of(machine);
  StreamClock executor(topology, costs);
  LayerRun runner(topology, prepared.map(), *plan, work_shape(costs), nullptr, executor);
  TakingTurns batcher(source);
  drive_trace(model, prepared, *plan, layer_class_of(costs), source.info(), batcher, {.keeps_requests = true},
              runner, result);

  const auto us = [](double count) { return Picoseconds{std::llround(count * 1e6)}; };
  ASSERT_EQ(result.request_records.size(), 2U);
  const RequestRecord &a = result.request_records[0], &b = result.request_records[1];
  EXPECT_EQ(a.begin, us(0));
  EXPECT_EQ(a.first_token, us(502.352));
  EXPECT_EQ(a.end, us(2511.760));
  EXPECT_EQ(b.begin, us(502.352));
  EXPECT_EQ(b.first_token, us(1003.680));
  EXPECT_EQ(b.end, us(3014.112));
  EXPECT_EQ(a.prompt_tokens, 4);
  EXPECT_EQ(a.output_tokens, 2);
  EXPECT_EQ(result.output_tokens, 4);
  EXPECT_EQ(result.requests, 2);
  EXPECT_DOUBLE_EQ(result.ttft_ms, (0.502352 + 0.501328) / 2);
  EXPECT_DOUBLE_EQ(result.ttft.p50, 0.501328);
  EXPECT_DOUBLE_EQ(result.ttft.p99, 0.502352);
  EXPECT_DOUBLE_EQ(a.tpot_ms(), 1.004704);  // (2511.760 - 502.352) us in 2 passes
  EXPECT_DOUBLE_EQ(result.tpot.p90, 1.005216);
}

}  // namespace
}  // namespace pregate::sim
