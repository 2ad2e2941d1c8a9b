// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// How requests are served: options, what results say of it, what is refused.
#include <nlohmann/json.hpp>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using Json = nlohmann::json;

class ServingOfRuns : public ProgramTest {
 protected:
  Json simulate(Words words) {
    words.insert(words.begin(),
                 {"simulate", "--model", "olmoe-1b-7b", "--machine", "rtx4090-pcie4", "--prompt", "4",
                  "--output", "6", "--requests", "5", "--policy", "on-demand"});
    words.insert(words.end(), {"--json", "r.json"});
    succeed(words);
    return Json::parse(read("r.json"));
  }
};

TEST_F(ServingOfRuns, LockStepSaysNothingOfIt) {
  const Json run = simulate({"--batch", "2"});
  EXPECT_FALSE(run["config"].contains("serve"));
  EXPECT_FALSE(run["results"][0].contains("idle_ms"));
}

TEST_F(ServingOfRuns, OptionsAreShorthandForKeys) {
  const Json run = simulate({"--batcher", "continuous", "--batch", "3", "--arrival-rate", "0.5/s"});
  const Json& serve = run["config"]["serve"];
  EXPECT_EQ(serve["batcher"], "continuous");
  EXPECT_EQ(serve["max_batch"], 3);
  EXPECT_EQ(serve["prompts"], "before");
  EXPECT_EQ(serve["arrivals_per_s"], 0.5);
  EXPECT_EQ(run["config"]["trace"]["batch"], 3);
  const Json& result = run["results"][0];
  EXPECT_EQ(result["requests"], 5);
  EXPECT_EQ(result["output_tokens"], 30);
  EXPECT_GT(result["idle_ms"], 100.0);
  EXPECT_GE(result["queue_p99_ms"], 0.0);
  const Json same = simulate({"--set", "serve.batcher=continuous", "--set", "serve.max_batch=3", "--set",
                              "serve.arrivals_per_s=0.5"});
  EXPECT_EQ(same["results"], run["results"]);
}

// However fast the machine is, it waits for requests: all of the range is of the time in which it does not.
TEST_F(ServingOfRuns, RangesDoNotOutrunTheArrivals) {
  const Json run = simulate({"--batcher", "continuous", "--arrival-rate", "0.05"});
  const Json& result = run["results"][0];
  const double idle = result["idle_ms"], tokens = result["output_tokens"], total = result["total_ms"];
  ASSERT_GT(idle, 0.8 * total);
  const Json& range = result["confidence"]["tokens_per_s_range"];
  EXPECT_LT(range[1].get<double>(), 1e3 * tokens / idle);
  EXPECT_GE(range[1].get<double>(), result["tokens_per_s"].get<double>());
  EXPECT_LE(range[0].get<double>(), result["tokens_per_s"].get<double>());
  // Decode steps are never idle: their factors are of all of their time.
  const Json& decode = result["confidence"]["decode_tokens_per_s_range"];
  const double most = decode[1].get<double>() / result["decode_tokens_per_s"].get<double>();
  EXPECT_NEAR(range[1].get<double>(), 1e3 * tokens / (idle + (total - idle) / most), 1e-6);
}

TEST_F(ServingOfRuns, DraftsMakeFewerStepsOfTheSameTokens) {
  const Json run = simulate({"--set", "serve.draft.tokens=2", "--set", "serve.draft.acceptance=1"});
  EXPECT_EQ(run["results"][0]["output_tokens"], 30);
  EXPECT_EQ(run["results"][0]["decode_steps"], 10);
}

TEST_F(ServingOfRuns, WhatMeansNothingIsRefused) {
  expect_refused({"simulate", "--arrival-rate", "2"}, {"--arrival-rate", "batcher", "continuous"});
  expect_refused({"simulate", "--batcher", "static"}, {"--batcher", "static", "lock-step"});
  expect_refused({"simulate", "--set", "serve.batcher=continuous", "--set", "serve.places=2"},
                 {"serve.places"});
  expect_refused({"simulate", "--batcher", "continuous", "--arrival-rate", "-1"}, {"--arrival-rate"});
  expect_refused({"simulate", "--batcher", "continuous", "--arrival-rate", "2", "--schedule", "s.json"},
                 {"--schedule", "arrive"});
  expect_refused({"execute", "--device", "host", "--batcher", "continuous"}, {"lock step"});
}

}  // namespace
}  // namespace pregate::test
