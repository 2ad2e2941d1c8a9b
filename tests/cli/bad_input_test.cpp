// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Options, names, numbers and units that make no sense. Files: bad_data_test.cpp; outputs:
// bad_output_test.cpp.
#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using ::testing::HasSubstr;

class BadInput : public ProgramTest {
 protected:
  /// Refuses compare with these words, every output asked for.
  void expect_compare_refused(const Words& words, const std::vector<std::string>& mentions) const {
    Words command = {"compare", "--json", "out.json", "--csv", "out.csv", "--store", "out.db"};
    command.insert(command.end(), words.begin(), words.end());
    expect_refused(command, mentions);
  }
};

TEST_F(BadInput, Usage) {
  expect_refused({}, {"no command", "hint:", "usage"});
  expect_refused({"simulat"}, {"simulat", "hint:", "'simulate'"});
  expect_refused({"trace"}, {"no command", "hint:"});
  expect_refused({"trace", "imprt"}, {"imprt", "'import'"});
  expect_refused({"list", "polices"}, {"polices", "'policies'"});
  expect_refused({"compare", "--polciy", "x"}, {"--polciy", "no such option", "hint:", "'--policy'"});
  expect_refused({"compare", "--pol", "x"}, {"--pol", "no such option"});
  expect_refused({"compare", "extra"}, {"more words", "hint:", "usage"});
  expect_refused({"compare", "--json"}, {"--json", "missing", "hint:"});
  expect_refused({"compare", "--json", "a", "--json", "b"}, {"json", "more than once"});
  expect_refused({"compare", "--json", ""}, {"--json", "empty"});
  expect_refused({"simulate", "--policy", "on-demand,pre-gated"}, {"--policy", "one policy", "hint:"});
  expect_refused({"simulate", "--record-steps", "4"}, {"--record-steps", "hint:", "--timeline"});
  const Words timeline = {"simulate", "--requests", "1", "--timeline", "t.json"};
  const auto with = [](auto words, const auto& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  for (const char* window :
       {"4", "4:4", "5:4", "-1:4", "4:", ":4", "1:2:3", "0:1000001", "x:y", "100000:100001"})
    expect_refused(with(timeline, Words{"--timeline-steps", window}), {"--timeline-steps", "hint:"});
  expect_refused(with(timeline, Words{"--timeline-steps", "1:2", "--record-steps", "2"}),
                 {"leave one of them out"});
  expect_refused({"simulate", "--timeline-steps", "1:2"}, {"--timeline-steps", "hint:", "--timeline"});
  expect_refused(with(timeline, Words{"--timeline-steps", "1:2", "--schedule", "s.json"}),
                 {"a schedule begins with"});
  expect_refused({"analyze"}, {"no schedule", "hint:"});
  for (const char* command : {"info", "check", "export", "fit", "replay"})
    expect_refused({"trace", command}, {"no trace given", "hint:", "usage"});
  expect_refused({"trace", "import", "-o", "t.db"}, {"no input", "hint:"});
  expect_refused({"trace", "import", "x"}, {"--output", "hint:", "-o"});
  expect_refused({"trace", "generate"}, {"--output", "hint:", "-o"});
}

TEST_F(BadInput, NamesWithTheNearestValidOnes) {
  expect_compare_refused({"--policy", "pregated"}, {"'pregated'", "hint:", "'pre-gated'"});
  expect_compare_refused({"--policy", "on-demand,,pre-gated"}, {"--policy", "empty name", "hint:"});
  expect_compare_refused({"--model", "switch-base-127"}, {"'switch-base-127'", "hint:", "'switch-base-128'"});
  expect_compare_refused({"--machine", "a100-80g-pcie"}, {"'a100-80g-pcie'", "hint:", "'a100-80g-pcie4'"});
  expect_compare_refused({"--profile", "switch-bas-128"}, {"'switch-bas-128'", "hint:", "switch-base-128"});
  expect_compare_refused({"--eviction", "lru2"}, {"--eviction", "'lru2'", "hint:", "lru"});
  expect_compare_refused({"--weights", "fp31"}, {"'fp31'", "hint:", "'fp32'"});
  expect_compare_refused({"--dense-weights", "bf61"}, {"'bf61'", "hint:", "pregate list weight-formats"});
  expect_compare_refused({"--cache-scope", "world"}, {"--cache-scope", "'world'", "hint:", "global"});
  expect_compare_refused({"--count-experts", "none"}, {"--count-experts", "'none'", "hint:", "decoder"});
  expect_compare_refused({"--engine", "fast"}, {"--engine", "'fast'", "hint:", "event"});
  expect_compare_refused({"--set", "machine.link.h2d.bandwith=5GB/s"}, {"bandwith", "hint:", "'bandwidth'"});
  expect_compare_refused({"--set", "machin.gpu.memory=5GB"},
                         {"--set", "machin.gpu.memory", "hint:", "'machine'"});
  expect_compare_refused({"--set", "policy.lookahed.kind=none"}, {"lookahed", "hint:", "lookahead"});
  expect_compare_refused({"--set", "model.famly=x"}, {"famly", "hint:", "family"});
  expect_compare_refused({"--set", "policy.cache.eviction=lifoo"}, {"lifoo", "hint:", "lifo"});
}

TEST_F(BadInput, Numbers) {
  for (const char* option : {"--requests", "--seed", "--batch", "--threads"}) {
    for (const char* value : {"nan", "-1", "1.5", "99999999999999999999", "", "7 apples"}) {
      expect_compare_refused({option, value}, {option, "not a whole number", value});
    }
  }
  for (const char* option : {"--requests", "--batch", "--threads"})
    expect_compare_refused({option, "0"}, {option, "'0'"});
  expect_refused({"simulate", "--schedule", "s.json", "--record-steps", "0"}, {"--record-steps", "'0'"});

  struct Override {
    const char *path, *value;
  };
  for (const Override& bad : {Override{"machine.link.h2d.bandwidth", "nan GB/s"},
                              {"machine.link.h2d.bandwidth", "inf GB/s"},
                              {"machine.link.h2d.bandwidth", "-25GB/s"},
                              {"machine.link.h2d.bandwidth", "0GB/s"},
                              {"machine.link.h2d.bandwidth", "1e300GB/s"},
                              {"machine.link.h2d.bandwidth", "fast"},
                              {"machine.link.h2d.bandwidth", ""},
                              {"machine.link.h2d.latency", "-1us"},
                              {"machine.gpu.memory", "-80GiB"},
                              {"machine.gpu.memory", "99999999999999999999GiB"},
                              {"policy.lookahead.distance", "0"},
                              {"policy.lookahead.distance", "-1"},
                              {"policy.lookahead.distance", "99999999999999999999"},
                              {"policy.lookahead.distance", "1.5"},
                              {"policy.transfer.staging_copies", "-1"},
                              {"policy.transfer.chunk", "-4MiB"},
                              {"policy.cache.capacity", "200%"},
                              {"policy.cache.capacity", "nan%"},
                              {"policy.cache.capacity", "-4GiB"},
                              {"policy.cache.capacity", "-3 slots"},
                              {"policy.cache.capacity", "1e30 slots"}}) {
    expect_compare_refused({"--set", std::string(bad.path) + "=" + bad.value}, {bad.path});
  }
  expect_compare_refused({"--set", "machine.gpu.memory=0GiB"}, {"gpu.memory", "out of range", "hint:"});
  expect_compare_refused({"--cache", "-4GiB"}, {"--cache", "-4GiB"});
}

TEST_F(BadInput, Units) {
  expect_compare_refused({"--set", "machine.link.h2d.bandwidth=50"}, {"no unit", "hint:", "GB/s", "GiB/s"});
  expect_compare_refused({"--set", "machine.link.h2d.bandwidth=5furlongs"}, {"'furlongs'", "hint:", "GB/s"});
  expect_compare_refused({"--set", "machine.link.h2d.bandwidth=5GiB"},
                         {"'5GiB'", "not a transfer rate", "hint:", "GiB/s"});
  expect_compare_refused({"--set", "machine.gpu.memory=80GB/s"}, {"'80GB/s'", "not a size", "hint:", "GiB"});
  expect_compare_refused({"--set", "machine.link.h2d.latency=5parsecs"}, {"'parsecs'", "hint:", "us"});
  expect_compare_refused({"--cache", "4 furlongs"}, {"--cache", "furlongs", "hint:", "slots"});
  EXPECT_EQ(run({"compare", "--requests", "1", "--set", "machine.link.h2d.bandwidth=23.3GiB/s"}).exit_code,
            0);
}

TEST_F(BadInput, PartsThatDoNotCombine) {
  succeed({"trace", "generate", "--requests", "1", "-o", "t.db"});
  expect_compare_refused({"--trace", "t.db", "--profile", "switch-base-128"},
                         {"--profile", "--trace", "hint:"});
  expect_compare_refused({"--trace", "t.db", "--requests", "9"}, {"--requests", "--trace", "hint:"});
  expect_compare_refused({"--trace", "t.db", "--seed", "9"}, {"--seed", "--trace", "hint:"});
  // The trace holds no predictions.
  expect_compare_refused(
      {"--trace", "t.db", "--policy", "pre-gated", "--set", "policy.lookahead.kind=recorded"}, {"predict"});
  expect_refused({"trace", "replay", "t.db", "--cache", "4GiB"}, {"--cache", "hint:", "--expert-bytes"});
}

TEST_F(BadInput, AnExpertLargerThanTheGpu) {
  expect_compare_refused({"--set", "machine.gpu.memory=1040MiB", "--set", "machine.gpu.reserved=1024MiB"},
                         {"one expert of switch-base-128", "18 MiB", "16 MiB usable", "hint:"});
}

TEST_F(BadInput, ACacheSmallerThanAStepIsStillSimulatedAndSaysSo) {
  const std::string table =
      succeed({"simulate", "--policy", "on-demand-cache", "--cache", "1 slots", "--batch", "4"});
  EXPECT_THAT(table, HasSubstr("note: on-demand-cache: the cache holds 1 experts a layer"));
  EXPECT_THAT(table, HasSubstr("bypass"));
}

TEST_F(BadInput, OutOfMemoryIsAResult) {
  const std::string table =
      succeed({"compare", "--policy", "gpu-only,on-demand", "--machine", "t4-pcie3", "--json", "r.json"});
  EXPECT_THAT(table, HasSubstr("out of memory"));
  EXPECT_THAT(read("r.json"), HasSubstr("\"status\": \"out-of-memory\""));
  EXPECT_THAT(read("r.json"), HasSubstr("\"status\": \"ok\""));
}

// The table of all policies has what each needs of GPU memory, which is not what most of them lack here.
TEST_F(BadInput, WhatAllPoliciesLackIsSaidOnceAReason) {
  const std::string all =
      succeed({"compare", "--policy", "all", "--model", "mixtral-8x7b", "--machine", "rtx3090-pcie4",
               "--prompt", "4", "--output", "2", "--set", "machine.host.memory=64GiB"});
  EXPECT_THAT(all, testing::ContainsRegex(
                       "does not fit: gpu-only[^:]*: needs more than the [0-9.]+ GiB of GPU memory"));
  EXPECT_THAT(
      all, testing::ContainsRegex("does not fit: [^:]*on-demand[^:]*: needs 84.0 GiB of host memory for the "
                                  "experts; rtx3090-pcie4 has 64.0 GiB"));
}

TEST_F(BadInput, HostileTextIsNotEchoedRaw) {
  const Outcome outcome = run({"compare", "--policy", "\x1b[31mred\x07"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos) << "a control character reached the terminal";
  EXPECT_EQ(run({"compare", "--policy", std::string(100'000, 'x')}).exit_code, 2);
  EXPECT_EQ(run({"trace", "info", std::string(100'000, '/')}).exit_code, 2);
}

}  // namespace
}  // namespace pregate::test
