// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Same inputs, same bytes: run after run, whatever the threads, the engine, or where the trace comes from.
#include <nlohmann/json.hpp>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using Json = nlohmann::json;

class Determinism : public ProgramTest {
 protected:
  struct Files {
    std::string table, json, csv;
    bool operator==(const Files&) const = default;
  };

  Files compare(Words more) const {
    Words words = {
        "compare",
        "--machine",
        "a100-80g-fastertransformer",
        "--json",
        "r.json",
        "--csv",
        "r.csv",
        "--policy",
        "gpu-only,on-demand,prefetch-all,pre-gated,on-demand-cache,pre-gated-cache,prefetch-all-cache"};
    words.insert(words.end(), more.begin(), more.end());
    const std::string table = succeed(words);
    return {table, read("r.json"), read("r.csv")};
  }
};

TEST_F(Determinism, RunsThreadsAndEngines) {
  const Words random = {"--eviction", "random", "--cache", "10%", "--requests", "2"};
  const auto with = [&random](Words more) {
    more.insert(more.end(), random.begin(), random.end());
    return more;
  };
  const Files first = compare(with({"--threads", "1"}));
  EXPECT_GT(first.csv.size(), 500U);
  EXPECT_EQ(compare(with({"--threads", "1"})), first);
  EXPECT_EQ(compare(with({"--threads", "2"})), first);
  EXPECT_EQ(compare(with({"--threads", "7"})), first);
  EXPECT_EQ(compare(with({"--engine", "timed"})), first);
  EXPECT_EQ(compare(with({"--engine", "event"})), first);
  // Another seed of the generator is another trace: equality above is no accident of an empty file.
  EXPECT_NE(compare(with({"--seed", "2"})).csv, first.csv);
}

TEST_F(Determinism, BatchedRunsOfBothEngines) {
  const Words batched = {"--batch", "4", "--cache", "6 slots"};
  Words timed = batched, event = batched;
  timed.insert(timed.end(), {"--engine", "timed", "--threads", "1"});
  event.insert(event.end(), {"--engine", "event", "--threads", "2"});
  EXPECT_EQ(compare(timed), compare(event));
}

TEST_F(Determinism, ADatabaseGivesWhatItsGeneratorGives) {
  succeed({"trace", "generate", "--requests", "3", "--seed", "9", "-o", "a.db"});
  succeed({"trace", "generate", "--requests", "3", "--seed", "9", "-o", "b.db"});
  EXPECT_EQ(read("a.db"), read("b.db"));
  const Files stored = compare({"--trace", "a.db"});
  const Files generated = compare({"--requests", "3", "--seed", "9"});
  // The rows say which trace it was; from the policy on they are the same.
  const auto from_policy = [](const std::string& csv) {
    std::string rest;
    std::istringstream lines(csv);
    for (std::string line; std::getline(lines, line);) {
      const std::size_t at = line.find(",1,");  // batch
      rest += at == std::string::npos ? line : line.substr(at);
    }
    return rest;
  };
  EXPECT_EQ(from_policy(stored.csv), from_policy(generated.csv));
  const Json a = Json::parse(stored.json), b = Json::parse(generated.json);
  EXPECT_EQ(a.at("trace_hash"), b.at("trace_hash"));
  EXPECT_EQ(a.at("results"), b.at("results"));
}

TEST_F(Determinism, TimelinesAndSchedules) {
  const auto simulate = [&] {
    succeed({"simulate", "--policy", "pre-gated-cache", "--timeline", "t.json", "--schedule", "s.json",
             "--record-steps", "6", "--requests", "1"});
    return std::pair(read("t.json"), read("s.json"));
  };
  const auto first = simulate();
  EXPECT_EQ(simulate(), first);
}

}  // namespace
}  // namespace pregate::test
