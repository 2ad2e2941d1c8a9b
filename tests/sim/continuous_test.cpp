// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "models/error.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/serve/arrivals.hpp"
#include "tests/sim/served.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

using test::Arriving;
using test::continuous;
using test::ListSource;
using test::requests_of;
using test::us;
using testing::ElementsAre;
using trace::Phase;

using Settings = std::vector<std::pair<std::string, std::string>>;

/// Who runs in each pass: "0p4@0" is request 0 with 4 tokens of its prompt after none, "1d@3" request 1 that
/// decodes after 3.
std::vector<std::string> passes_of(trace::StepSource& source, const ServingSpec& serving) {
  const auto batcher = serving.make(source);
  std::vector<std::string> passes;
  ServedPass pass;
  while (batcher->next({}, pass)) {
    std::string& text = passes.emplace_back();
    for (const Row& row : pass.rows) {
      text += (text.empty() ? "" : " ") + std::to_string(row.request);
      text += row.phase == Phase::decode ? "d" : "p" + std::to_string(row.tokens);
      text += "@" + std::to_string(row.position);
    }
  }
  return passes;
}

TEST(Continuous, PromptsComeBeforeDecodeStepsOrBesideThem) {
  ListSource source = requests_of({{4, 1}, {2, 3}, {3, 1}});
  EXPECT_THAT(passes_of(source, continuous({{"max_batch", "2"}})),
              ElementsAre("0p4@0 1p2@0", "0d@4 1d@2", "2p3@0", "1d@3 2d@3", "1d@4"));
  EXPECT_THAT(passes_of(source, continuous({{"max_batch", "2"}, {"prompts", "beside"}})),
              ElementsAre("0p4@0 1p2@0", "0d@4 1d@2", "1d@3 2p3@0", "1d@4 2d@3"));
}

// Of prompts a pass takes at most 3 tokens, in the order in which requests joined.
TEST(Continuous, PromptsAreTakenInParts) {
  ListSource source = requests_of({{4, 1}, {2, 2}});
  EXPECT_THAT(passes_of(source, continuous({{"max_batch", "2"}}, 3)),
              ElementsAre("0p3@0", "0p1@3 1p2@0", "0d@4 1d@2", "1d@3"));
  ListSource other = requests_of({{2, 3}, {4, 1}});
  EXPECT_THAT(passes_of(other, continuous({{"max_batch", "2"}, {"prompts", "beside"}}, 3)),
              ElementsAre("0p2@0 1p1@0", "0d@2 1p3@1", "0d@3 1d@4", "0d@4"));
}

// Of 5 tokens a pass: the second prompt has no room beside the first and the third beside the second; one of
// 7 tokens, which no pass has room for, begins one of its own and is cut.
TEST(Continuous, WholePromptsWaitForAPassWithRoom) {
  ListSource source = requests_of({{4, 1}, {2, 1}, {4, 1}, {7, 1}});
  EXPECT_THAT(passes_of(source, continuous({{"max_batch", "4"}, {"whole_prompts", "true"}}, 5)),
              ElementsAre("0p4@0", "1p2@0", "2p4@0", "3p5@0", "3p2@5", "0d@4 1d@2 2d@4 3d@7"));
  EXPECT_THROW(passes_of(source, continuous({{"whole_prompts", "true"}})), InputError);
}

TEST(Continuous, ARecordedBatchTakesAPlaceForEachOfItsSequences) {
  ListSource source(test::decoder_info(1, 8, 2));
  for (int request = 0; request < 3; ++request)
    source.add(Phase::decode, 2, test::two_of_four(2), true, {}, 0, request == 1 ? 1 : 2);
  EXPECT_THAT(passes_of(source, continuous({{"max_batch", "3"}})), ElementsAre("0d@0 1d@0", "2d@0"));
  EXPECT_THROW(passes_of(source, continuous({{"max_batch", "1"}})), InputError);
}

// A pass takes 500.304 us (474.704 and a head of 25.6, see prompt_chunks_test.cpp) and 0.512 us a token of
// context. A: 4 of a prompt and a decode step, from 0: 502.352 + 502.864 = 1005.216 us. B, from 2000: 2 of a
// prompt, 501.328. Between them 994.784 us of nothing, whichever executor runs it.
TEST(Continuous, TheRunWaitsUntilARequestArrives) {
  ListSource list = requests_of({{4, 1}, {2, 1}});
  Arriving source(list, {7, 2007});  // counted from the first
  for (const Engine engine : {Engine::automatic, Engine::timed, Engine::event}) {
    const SimulationResult result =
        test::run(test::tiny_model(1, 8, 2), test::slow_memory(), load_policy("gpu-only"), source,
                  {.engine = engine, .serving = continuous({}), .keeps_requests = true});
    ASSERT_EQ(result.request_records.size(), 2U);
    const RequestRecord &a = result.request_records[0], &b = result.request_records[1];
    EXPECT_EQ(a.end, us(1005.216));
    EXPECT_EQ(b.begin, us(2000));
    EXPECT_EQ(b.ttft(), us(501.328));
    EXPECT_EQ(b.queued(), us(0));
    EXPECT_EQ(result.idle, us(994.784));
    EXPECT_EQ(result.path.waiting, us(994.784));
    EXPECT_EQ(result.total, us(2000 + 501.328 + 501.840));
    EXPECT_EQ(result.decode + result.before_decode, result.total - result.idle);
    EXPECT_EQ(result.tally.exposed_transfer, us(0));
  }
}

// With one place B waits from 100 us until A is done, at 1005.216; with two it joins when A's first pass
// ends, at 502.352, and A's second token waits for B's prompt.
TEST(Continuous, ARequestWaitsForAPlaceOrThePassThatRuns) {
  ListSource list = requests_of({{4, 1}, {2, 1}});
  Arriving source(list, {0, 100});
  const auto records = [&](const char* places) {
    return test::run(test::tiny_model(1, 8, 2), test::slow_memory(), load_policy("gpu-only"), source,
                     {.serving = continuous({{"max_batch", places}}), .keeps_requests = true})
        .request_records;
  };
  const std::vector<RequestRecord> one = records("1");
  EXPECT_EQ(one[1].queued(), us(905.216));
  EXPECT_EQ(one[1].ttft(), us(905.216 + 501.328));
  const std::vector<RequestRecord> two = records("2");
  EXPECT_EQ(two[1].queued(), us(402.352));
  EXPECT_EQ(two[1].first_token, us(502.352 + 501.328));
  EXPECT_DOUBLE_EQ(two[0].tpot_ms(), (two[0].end - us(502.352)).milliseconds());
  EXPECT_GT(two[0].tpot_ms(), 1.0);
}

using RoutedIds = std::map<std::int64_t, std::vector<std::vector<std::uint16_t>>>;  // by request, layer: ids

void add_routing(RoutedIds& routing, std::int64_t request, const trace::Step& step, int first, int tokens) {
  auto& layers = routing[request];
  layers.resize(3);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const auto begin =
        step.experts.begin() + static_cast<std::ptrdiff_t>(layer) * step.tokens * 2 + first * 2;
    layers[layer].insert(layers[layer].end(), begin, begin + tokens * 2);
  }
}

// Whoever runs with whom, every token is passed once, in order, with its own routing.
TEST(Continuous, EveryTokenIsPassedOnceWithItsRouting) {
  ListSource list(test::decoder_info(3, 8, 2));
  std::mt19937_64 random(5);
  std::vector<std::int64_t> times;
  for (int request = 0; request < 20; ++request) {
    times.push_back(request == 0 ? 0 : times.back() + static_cast<std::int64_t>(random() % 900));
    const int prompt = static_cast<int>(random() % 9) + 1;
    list.add(Phase::prefill, prompt, test::random_experts(random, 3, 8, 2, prompt), true);
    for (std::uint64_t step = random() % 7; step > 0; --step)
      list.add(Phase::decode, 1, test::random_experts(random, 3, 8, 2, 1));
  }
  Arriving source(list, times);
  RoutedIds recorded;
  trace::Step step;
  for (std::int64_t request = -1; source.next(step);) {
    request += step.first_of_request ? 1 : 0;
    add_routing(recorded, request, step, 0, step.tokens);
  }
  for (const char* prompts : {"before", "beside"}) {
    for (const int chunk : {0, 4}) {
      const ServingSpec serving = continuous({{"max_batch", "4"}, {"prompts", prompts}}, chunk);
      const auto batcher = serving.make(source);
      RoutedIds served;
      std::map<std::int64_t, int> next_position;
      Picoseconds now;
      for (ServedPass pass; batcher->next(now, pass); now = std::max(now, pass.begin) + us(250)) {
        EXPECT_LE(pass.rows.size(), 4U);
        int first = 0;
        for (const Row& row : pass.rows) {
          EXPECT_LE(row.arrival, std::max(now, pass.begin));
          EXPECT_EQ(row.position, next_position[row.request]);
          next_position[row.request] += row.tokens;
          add_routing(served, row.request, pass.step, first, row.tokens);
          first += row.tokens;
        }
        EXPECT_EQ(first, pass.step.tokens);
      }
      EXPECT_EQ(served, recorded) << prompts << " " << chunk;
    }
  }
}

// Of causal attention 100 tokens after none attend to 100 x 101 / 2 = 5050, one after 1000 to 1001; two
// sequences of their mean, 50.5 tokens after 500, would to 53,100.
TEST(Continuous, AttentionIsPricedSequenceBySequence) {
  MachineSpec machine = test::slow_memory();
  machine.gpu.memory_bandwidth = {1e15};
  for (auto& [precision, rate] : machine.gpu.rates) rate = {1e9};
  const ModelSpec model = test::tiny_model(1, 8, 2);
  const PolicySpec policy = load_policy("on-demand");
  CostModel whole(model, machine, policy), without(model, machine, policy, {.attention_scores = false});
  const auto scores = [&](const StepShape& shape) {
    whole.begin_step(shape);
    without.begin_step(shape);
    return whole.layer(0).attention.whole() - without.layer(0).attention.whole();
  };
  const Picoseconds pair = scores({.tokens = 1});
  const std::vector<AlikeSequences> alike = {{.tokens = 100}, {.tokens = 1, .position = 1000}};
  const StepShape shape{.tokens = 101, .sequences = 2, .position = 500, .alike = alike};
  // The time of one pair is rounded to a picosecond.
  EXPECT_NEAR(static_cast<double>(scores(shape).count), static_cast<double>((pair * 6051).count), 6051.0 / 2);
}

TEST(Continuous, RowsThatAreAlikeCountTogether) {
  std::vector<AlikeSequences> alike;
  const std::vector<Row> rows = {{.tokens = 1, .position = 4},
                                 {.sequences = 2, .tokens = 2, .position = 4},
                                 {.tokens = 2, .position = 4},
                                 {.tokens = 1, .position = 5}};
  group_alike(rows, alike);
  ASSERT_EQ(alike.size(), 3U);
  EXPECT_EQ(alike[0].tokens, 3);
  EXPECT_EQ(alike[0].sequences, 3);
}

// The mean of many gaps of a Poisson process is 1 / rate; 20,000 of them are within 3 standard errors, 2.1 %.
TEST(Arrivals, OfARateAreAsManyASecond) {
  Arrivals arrivals(4, 1), same(4, 1), other(4, 2);
  const trace::Step first;
  EXPECT_EQ(arrivals.next(first), us(0));
  same.next(first);
  other.next(first);
  Picoseconds last;
  bool differs = false;
  for (int i = 0; i < 20'000; ++i) {
    const Picoseconds time = arrivals.next(first);
    EXPECT_GE(time, last);
    EXPECT_EQ(time, same.next(first));
    differs = differs || time != other.next(first);
    last = time;
  }
  EXPECT_TRUE(differs);
  EXPECT_NEAR(last.seconds(), 5000, 106);
}

TEST(Arrivals, MustBeInOrder) {
  Arrivals arrivals(0, 1);
  trace::Step step;
  step.arrival_ns = 2000;
  EXPECT_EQ(arrivals.next(step), us(0));
  step.arrival_ns = 1000;
  EXPECT_THROW(arrivals.next(step), InputError);
}

TEST(Continuous, WhoKnowsTheFutureIsRefusedWhereNobodyDoes) {
  ListSource source = requests_of({{4, 1}, {2, 1}});
  const PolicySpec belady = load_policy(
      "on-demand",
      std::vector<Override>{{"policy.cache.capacity", "2 slots"}, {"policy.cache.eviction", "belady"}});
  const auto run = [&](const Settings& settings) {
    return test::run(test::tiny_model(1, 8, 2), test::slow_memory(), belady, source,
                     {.serving = continuous(settings)});
  };
  EXPECT_GT(run({}).total, us(0));
  EXPECT_THROW(run({{"arrivals_per_s", "2"}}), InputError);
}

TEST(Serving, KeysOfAnotherBatcherAreRefused) {
  EXPECT_THROW(load_serving(std::vector<Override>{{"serve.max_batch", "4"}}), InputError);
  EXPECT_THROW(load_serving(std::vector<Override>{{"serve.batcher", "static"}}), InputError);
  EXPECT_THROW(continuous({{"max_batch", "0"}}), InputError);
  EXPECT_THROW(continuous({{"arrivals_per_s", "-1"}}), InputError);
  EXPECT_THROW(continuous({{"nothing", "1"}}), InputError);
}

}  // namespace
}  // namespace pregate::sim
