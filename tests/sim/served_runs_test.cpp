// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Runs under continuous batching held against runs that must be equal to them.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "sim/policy/load_policy.hpp"
#include "tests/sim/served.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

using test::Arriving;
using test::continuous;
using test::ListSource;
using test::us;
using trace::Phase;

void expect_same_service(const SimulationResult& a, const SimulationResult& b, const std::string& what) {
  EXPECT_EQ(a.total, b.total) << what;
  EXPECT_EQ(a.decode, b.decode) << what;
  EXPECT_EQ(a.before_decode, b.before_decode) << what;
  EXPECT_EQ(a.output_tokens, b.output_tokens) << what;
  EXPECT_EQ(a.steps, b.steps) << what;
  EXPECT_EQ(a.decode_cache.hits, b.decode_cache.hits) << what;
  EXPECT_EQ(a.other_cache.misses, b.other_cache.misses) << what;
  EXPECT_EQ(a.tally.fetched, b.tally.fetched) << what;
  EXPECT_EQ(a.tally.busy, b.tally.busy) << what;
  EXPECT_EQ(a.memory.peak, b.memory.peak) << what;
  EXPECT_TRUE(a.path.spent == b.path.spent) << what;
  EXPECT_EQ(a.path.waiting, b.path.waiting) << what;
}

const std::vector<std::string> several = {"on-demand", "prefetch-all", "pre-gated", "pre-gated-cache",
                                          "gpu-only"};

TEST(ServedRuns, OnePlaceIsOneRequestAfterTheOther) {
  const ModelSpec model = test::tiny_model(3, 8, 2);
  ListSource source = test::random_source(1, 3, 8, 2, 5, 7, 6);
  for (const std::string& policy : several) {
    const auto run = [&](const SimulationOptions& options) {
      return test::run(model, test::tiny_machine(), load_policy(policy), source, options);
    };
    const SimulationResult sequence = run({}), served = run({.serving = continuous({{"max_batch", "1"}})});
    expect_same_service(sequence, served, policy);
    EXPECT_DOUBLE_EQ(sequence.tpot_ms, served.tpot_ms);
  }
}

TEST(ServedRuns, RequestsOfEqualLengthRunInLockStep) {
  const ModelSpec model = test::tiny_model(3, 8, 2);
  ListSource source = test::random_source(2, 3, 8, 2, 6, 7, 6);
  const auto batches = trace::compose_batches(source, 3);
  for (const std::string& policy : several) {
    const SimulationResult lock_step = test::run(model, test::tiny_machine(), load_policy(policy), *batches);
    const SimulationResult served = test::run(model, test::tiny_machine(), load_policy(policy), source,
                                              {.serving = continuous({{"max_batch", "3"}})});
    expect_same_service(lock_step, served, policy);
  }
}

// A request a thousand seconds: each finds the machine as it found it alone, where nothing is cached.
TEST(ServedRuns, AtALowRateEveryRequestRunsAlone) {
  const ModelSpec model = test::tiny_model(3, 8, 2);
  std::mt19937_64 random(3);
  ListSource all(test::decoder_info(3, 8, 2));
  std::vector<ListSource> alone;
  for (int request = 0; request < 4; ++request) {
    ListSource& one = alone.emplace_back(test::decoder_info(3, 8, 2));
    const auto prompt = test::random_experts(random, 3, 8, 2, 2 + request);
    all.add(Phase::prefill, 2 + request, prompt, true);
    one.add(Phase::prefill, 2 + request, prompt, true);
    for (int step = 0; step < 3; ++step) {
      const auto ids = test::random_experts(random, 3, 8, 2, 1);
      all.add(Phase::decode, 1, ids);
      one.add(Phase::decode, 1, ids);
    }
  }
  for (const char* policy : {"on-demand", "pre-gated", "gpu-only"}) {
    PolicySpec uncached = load_policy(policy);
    uncached.cache.capacity = {};
    const SimulationResult served =
        test::run(model, test::tiny_machine(), uncached, all,
                  {.serving = continuous({{"arrivals_per_s", "0.001"}}), .keeps_requests = true});
    ASSERT_EQ(served.request_records.size(), 4U);
    for (std::size_t i = 0; i < 4; ++i) {
      const SimulationResult solo =
          test::run(model, test::tiny_machine(), uncached, alone[i], {.keeps_requests = true});
      const RequestRecord &a = served.request_records[i], &b = solo.request_records.front();
      EXPECT_EQ(a.queued(), us(0)) << policy;
      EXPECT_EQ(a.ttft(), b.ttft()) << policy;
      EXPECT_EQ(a.end - a.begin, b.end - b.begin) << policy;
    }
  }
}

TEST(ServedRuns, EnginesAgreeWithWaitsAndMixedPasses) {
  const ModelSpec model = test::tiny_model(3, 8, 2);
  ListSource list = test::random_source(4, 3, 8, 2, 6, 5, 6);
  Arriving source(list, {0, 100, 40'000, 60'000, 61'000, 400'000});
  const auto with = [](const char* name, std::vector<Override> set) { return load_policy(name, set); };
  const std::vector<PolicySpec> policies = {
      load_policy("on-demand"), load_policy("pre-gated"), load_policy("prefetch-all"),
      with("on-demand",
           {{"policy.lookahead.kind", "given-recall"}, {"policy.transfer.queue", "demand-first"}}),
      with("pre-gated", {{"policy.cache.capacity", "3 slots"}, {"policy.transfer.write_back", "swap"}})};
  for (const PolicySpec& policy : policies) {
    for (const char* prompts : {"before", "beside"}) {
      const auto run = [&](Engine engine) {
        return test::run(model, test::tiny_machine(), policy, source,
                         {.engine = engine, .serving = continuous({{"prompts", prompts}}, 3)});
      };
      const SimulationResult timed = run(Engine::timed), event = run(Engine::event);
      const std::string what = policy.name + " " + prompts;
      EXPECT_GT(timed.idle, us(0)) << what;
      EXPECT_EQ(timed.path.waiting, timed.idle) << what;
      expect_same_service(timed, event, what);
      EXPECT_EQ(timed.tally.exposed_transfer, event.tally.exposed_transfer) << what;
      EXPECT_EQ(timed.tally.exposed_host, event.tally.exposed_host) << what;
      EXPECT_EQ(timed.tally.operations, event.tally.operations) << what;
    }
  }
}

}  // namespace
}  // namespace pregate::sim
