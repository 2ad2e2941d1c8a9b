// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// `pregate calibrate --from` as its users run it: rates of a machine that is known, made by the program
// itself.
#include <nlohmann/json.hpp>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A row's settings as columns of the table, and as options of a run.
struct Setting {
  std::string weights, policy, set;
};

const std::vector<Setting> settings = {{"fp16", "gpu-only", ""},
                                       {"q4_k_m", "gpu-only", ""},
                                       {"q4_k_m", "on-demand", ""},
                                       {"fp16", "on-demand", ""},
                                       {"q4_k_m", "on-demand", "policy.miss.service=compute-on-cpu"},
                                       {"fp16", "on-demand", "policy.miss.service=compute-on-cpu"}};

class CalibrateFromRates : public ProgramTest {
 protected:
  /// What runs at `setting` on a machine that differs from its description as `truth` says.
  [[nodiscard]] nlohmann::json result(const Setting& setting, const Words& truth) const {
    Words words = {"simulate",      "--model",  "olmoe-1b-7b", "--prompt",     "16",
                   "--output",      "16",       "--json",      path("r.json"), "--weights",
                   setting.weights, "--policy", setting.policy};
    words.insert(words.end(), truth.begin(), truth.end());
    if (!setting.set.empty()) words.insert(words.end(), {"--set", setting.set});
    succeed(words);
    return nlohmann::json::parse(read("r.json"))["results"][0];
  }
  [[nodiscard]] static std::string line(const Setting& setting, const std::string& rest) {
    return "olmoe-1b-7b," + setting.weights + "," + setting.policy + "," + setting.set + ",16,16," + rest +
           "\n";
  }
  /// Fits rates that were made on `truth`, from the description, into mine.toml; what is printed.
  [[nodiscard]] std::string fit_of(const Words& truth) const {
    std::string table = head;
    for (const Setting& setting : settings)
      table += line(setting, "decode_tokens_per_s," +
                                 std::to_string(result(setting, truth)["decode_tokens_per_s"].get<double>()));
    write("rates.csv", table);
    Words calibrate = {"calibrate", "--from", path("rates.csv"), "-o", path("mine.toml")};
    calibrate.insert(calibrate.end(), described.begin(), described.end());
    return succeed(calibrate);
  }
  const std::string head = "model,weights,policy,set,prompt,output,metric,value\n";
  const Words described = {"--machine", "rtx4090-pcie4", "--software", "llama-cpp"};
};

// The link at half its rate and the CPU's share of its memory at 0.4 of 62 GB/s: the rows of copied experts
// fix the one, those of experts on the CPU the other. The file then predicts what was measured, with a label
// of its own rows, for this and for no other mechanism.
TEST_F(CalibrateFromRates, FindsWhatTheRatesWereMadeWithAndTheFileSaysSo) {
  Words truth = described;
  truth.insert(truth.end(), {"--set", "machine.link.h2d.bandwidth=12.2GB/s", "--set",
                             "machine.host.compute.bandwidth_efficiency=0.4"});
  const std::string said = fit_of(truth);
  EXPECT_THAT(said, HasSubstr("24.8 GB/s")) << said;
  EXPECT_THAT(said, HasSubstr("12.2 GB/s"));
  EXPECT_THAT(said, HasSubstr("no row moves with it"));
  EXPECT_THAT(read("mine.toml"), HasSubstr("fitted on rates.csv: 6 rows"));
  for (const Setting& setting : {settings[2], settings[4]}) {
    const auto measured = result(setting, truth);
    const auto fitted = result(setting, {"--machine", path("mine.toml")});
    EXPECT_NEAR(fitted["decode_tokens_per_s"].get<double>() / measured["decode_tokens_per_s"].get<double>(),
                1, 2e-3);
    EXPECT_EQ(fitted["confidence"]["label"], "calibrated");
    EXPECT_EQ(fitted["confidence"]["case"], "rates.csv");
    EXPECT_EQ(fitted["confidence"]["rows"], 6);
  }
  const auto other = result({"q4_k_m", "pre-gated", ""}, {"--machine", path("mine.toml")});
  EXPECT_EQ(other["confidence"]["label"], "uncalibrated");
  EXPECT_THAT(other["confidence"]["reason"].get<std::string>(), HasSubstr("no rate of rates.csv"));
  EXPECT_THAT(succeed({"simulate", "--model", "olmoe-1b-7b", "--weights", "q4_k_m", "--prompt", "16",
                       "--output", "16", "--policy", "on-demand", "--machine", path("mine.toml")}),
              HasSubstr("6 rates of rates.csv, each left out in turn, came out"));
  // The prompts of the software that it was fitted with are cut as before; other software is refused.
  succeed({"simulate", "--model", "olmoe-1b-7b", "--prompt", "600", "--output", "1", "--json", path("r.json"),
           "--machine", path("mine.toml"), "--policy", "gpu-only"});
  EXPECT_EQ(nlohmann::json::parse(read("r.json"))["config"]["prompt_chunk"], 512);
  expect_refused(
      {"simulate", "--model", "olmoe-1b-7b", "--machine", path("mine.toml"), "--software", "generic"},
      {"--software", "llama-cpp"});
}

// A host whose memory gives its CPU more than the description takes of its channels.
TEST_F(CalibrateFromRates, FindsAMemoryThatGivesMore) {
  Words truth = described;
  truth.insert(truth.end(), {"--set", "machine.host.memory_bandwidth=75GB/s"});
  EXPECT_THAT(fit_of(truth), HasSubstr("75.0 GB/s"));
  EXPECT_THAT(read("mine.toml"), ::testing::ContainsRegex("memory_bandwidth = \"75(\\.0+[0-9]*)? GB/s\""));
}

TEST_F(CalibrateFromRates, RefusesWhatCannotBeMeant) {
  const auto expect_table_refused = [&](const std::string& table, const std::vector<std::string>& mentions,
                                        const Words& more = {}) {
    write("rates.csv", table);
    Words words = {"calibrate",       "--from",    path("rates.csv"), "-o",
                   path("mine.toml"), "--machine", "rtx4090-pcie4"};
    words.insert(words.end(), more.begin(), more.end());
    expect_refused(words, mentions);
  };
  const Setting& some = settings[0];
  const std::string good = head + line(some, "decode_tokens_per_s,100");
  expect_table_refused("", {"rates.csv", "no rows"});
  expect_table_refused(head + line({"fp17", "gpu-only", ""}, "tpot_ms,3"), {"rates.csv:2", "fp17"});
  expect_table_refused(head + line({"fp16", "gpu-olny", ""}, "tpot_ms,3"), {"rates.csv:2", "gpu-only"});
  expect_table_refused(head + line({"fp16", "gpu-only", "machine.gpu.memory=1GiB"}, "tpot_ms,3"),
                       {"rates.csv:2", "same for all rows"});
  expect_table_refused(head + line({"fp16", "gpu-only", "policy.cache.capacty=1"}, "tpot_ms,3"),
                       {"rates.csv:2", "capacity"});
  expect_table_refused(head + "deepseek-v3,fp16,gpu-only,,16,16,tpot_ms,3\n", {"rates.csv:2", "memory"});
  expect_table_refused(head + "olmoe-1b-7b,fp16,gpu-only,,0,16,ttft_ms,3\n", {"rates.csv:2", "ttft_ms"});
  expect_table_refused(good, {"--constants", "1 rows"}, {"--constants", "memory,launches"});
  expect_table_refused(good, {"--constants", "memory"}, {"--constants", "memori"});
  expect_table_refused(good, {"--model", "columns"}, {"--model", "olmoe-1b-7b"});
  expect_table_refused(good, {"--device"}, {"--device", "host"});
  expect_refused({"calibrate", "--from", path("rates.csv"), "-o", path("mine.toml")},
                 {"--machine", "not given"});
  expect_refused(
      {"calibrate", "--from", path("absent.csv"), "-o", path("mine.toml"), "--machine", "t4-pcie3"},
      {"absent.csv"});
  expect_refused({"calibrate", "-o", path("mine.toml"), "--software", "llama-cpp"}, {"--software", "--from"});
}

}  // namespace
}  // namespace pregate::test
