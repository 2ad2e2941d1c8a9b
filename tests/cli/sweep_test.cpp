// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Sweeps as their users run them: the same rows for any number of threads, after kills and full disks, and
// what each point alone gives.
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using ::testing::HasSubstr;

class Sweep : public ProgramTest {
 protected:
  /// 2 policies x 3 links x 2 capacities, of routing of an own shape.
  [[nodiscard]] Words command(const std::string& database, const Words& more = {}) const {
    Words words{"sweep",
                "--model",
                "switch-base-8",
                "--prompt",
                "8",
                "--output",
                "6",
                "--policy",
                "on-demand-cache,pre-gated-cache",
                "--vary",
                "machine.link.h2d.bandwidth=4..16GB/s:3",
                "--vary",
                "policy.cache.capacity=25%,50%",
                "-o",
                path(database)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  void expect_sweep_refused(const Words& words, const std::vector<std::string>& mentions) const {
    Words all{"sweep", "--model", "switch-base-8", "--prompt", "8", "--output", "4", "-o", path("s.db")};
    all.insert(all.end(), words.begin(), words.end());
    expect_refused(all, mentions);
  }
};

TEST_F(Sweep, IsTheSameForAnyNumberOfThreads) {
  succeed(command("one.db", {"--threads", "1", "--csv", path("one.csv"), "--json-lines", path("one.jsonl")}));
  succeed(
      command("four.db", {"--threads", "4", "--csv", path("four.csv"), "--json-lines", path("four.jsonl")}));
  EXPECT_EQ(read("one.csv"), read("four.csv"));
  EXPECT_EQ(read("one.jsonl"), read("four.jsonl"));
  EXPECT_EQ(sql("one.db", "SELECT count(*) FROM points WHERE status = 'ok'"), "12");
  EXPECT_EQ(sql("one.db", "SELECT count(*) FROM configurations"), "3");
}

// Each point is what `simulate` gives for its settings.
TEST_F(Sweep, PointsAreWhatSimulateGives) {
  succeed(command("s.db", {"--json-lines", path("s.jsonl")}));
  const std::string lines = read("s.jsonl");
  const std::string last = lines.substr(lines.rfind('\n', lines.size() - 2) + 1);
  const auto point = nlohmann::json::parse(last);
  EXPECT_EQ(point["settings"]["policy"], "pre-gated-cache");
  EXPECT_EQ(point["settings"]["machine.link.h2d.bandwidth"], "16GB/s");
  succeed({"simulate", "--model", "switch-base-8", "--prompt", "8", "--output", "6", "--policy",
           "pre-gated-cache", "--set", "machine.link.h2d.bandwidth=16GB/s", "--cache", "50%", "--json",
           path("r.json")});
  auto alone = nlohmann::json::parse(read("r.json"))["results"][0];
  alone.erase("routing_span");
  auto swept = point["result"];
  EXPECT_EQ(alone["tokens_per_s"], swept["tokens_per_s"]);
  alone.erase("notes");
  swept.erase("notes");
  EXPECT_EQ(alone, swept);
}

TEST_F(Sweep, GoesOnAfterKills) {
  const Words more{"--vary", "machine.overhead.step=1..200us:40"};
  Words undisturbed = command("whole.db", more), killed = command("killed.db", more);
  undisturbed.insert(undisturbed.end(), {"--csv", path("whole.csv")});
  succeed(undisturbed);
  for (int i = 0; i < 5; ++i) run(killed, {.kill_signal = SIGKILL, .kill_after_ms = 40 + 60 * i});
  killed.insert(killed.end(), {"--csv", path("killed.csv")});
  succeed(killed);
  EXPECT_EQ(read("whole.csv"), read("killed.csv"));
  EXPECT_EQ(sql("killed.db", "PRAGMA integrity_check"), "ok");
}

TEST_F(Sweep, GoesOnAfterAFullDisk) {
  const Outcome full = run(command("s.db"), {.largest_file = 60'000});
  EXPECT_EQ(full.exit_code, 2);
  EXPECT_THAT(full.err, HasSubstr("the same command goes on"));
  succeed(command("s.db"));
  EXPECT_EQ(sql("s.db", "SELECT count(*) FROM points"), "12");
}

TEST_F(Sweep, ReadsAPlan) {
  write("plan.toml",
        "model = \"switch-base-8\"\nprompt = 8\noutput = 6\npolicy = [\"on-demand-cache\", "
        "\"pre-gated-cache\"]\n"
        "[vary]\n\"policy.cache.capacity\" = [\"25%\", \"50%\"]\nmachine.link.h2d.bandwidth = "
        "\"4..16GB/s:3\"\n");
  succeed({"sweep", "--plan", path("plan.toml"), "-o", path("s.db")});
  EXPECT_EQ(sql("s.db", "SELECT count(*) FROM points"), "12");
}

TEST_F(Sweep, RefusesAnotherSweepsDatabase) {
  succeed(command("s.db"));
  Words other = command("s.db", {"--seed", "2"});
  expect_refused(other, {"s.db", "another sweep", "hint:"});
  write("text.db", "no database");
  expect_refused(command("text.db"), {"text.db", "hint:"});
}

// A point whose settings do not go together is a row that says so; a model that is too large one as well.
TEST_F(Sweep, KeepsWhatDoesNotRun) {
  succeed({"sweep", "--model", "switch-base-8", "--prompt", "8", "--output", "4", "--policy",
           "on-demand,gpu-only", "--vary", "machine.gpu.memory=80GB,3GB", "--vary",
           "machine.gpu.reserved=1GB,4GB", "-o", path("s.db")});
  EXPECT_EQ(sql("s.db", "SELECT count(*) FROM points"), "8");
  EXPECT_NE(sql("s.db", "SELECT count(*) FROM points WHERE status = 'refused' AND reason <> ''"), "0");
}

TEST_F(Sweep, RefusesBadAxes) {
  expect_sweep_refused({"--vary", "machine.link.h2d.bandwith=1,2"}, {"bandwith", "hint:", "'bandwidth'"});
  expect_sweep_refused({"--vary", "machin.gpu.memory=1GB,2GB"}, {"machin", "hint:"});
  expect_sweep_refused({"--vary", "policy.cache.capacity=95%..5%:3"}, {"empty", "hint:"});
  expect_sweep_refused({"--vary", "machine.link.h2d.bandwidth=1..5:3"}, {"bandwidth", "unit"});
  expect_sweep_refused({"--vary", "machine.link.h2d.bandwidth=1..5GiB:3"}, {"bandwidth", "GiB"});
  expect_sweep_refused({"--vary", "machine.link.h2d.bandwidth=1..5GB/s"}, {":N", "hint:"});
  expect_sweep_refused({"--vary", "machine.gpu.memory_efficiency=0.5..1.5:3"}, {"memory_efficiency"});
  expect_sweep_refused({"--policy", "on-demand,pregated"}, {"'pregated'", "hint:"});
  expect_sweep_refused({"--policy", "on-demand,on-demand"}, {"--policy", "twice"});
  expect_sweep_refused({"--sample", "lhs:0"}, {"--sample", "hint:"});
  expect_sweep_refused(
      {"--vary", "machine.overhead.step=1..2us:200", "--vary", "machine.overhead.gate=1..2us:200"},
      {"points", "--yes", "about"});
  expect_refused({"sweep", "--vary", "machine.overhead.step=1us,2us"}, {"--database", "-o"});
  const std::string plan = write("plan.toml", "polcy = \"on-demand\"\n");
  expect_sweep_refused({"--plan", plan}, {"plan.toml:1", "'polcy'", "hint:", "policy"});
}

TEST_F(Sweep, SensitivitiesAddUpWhereOneThingBinds) {
  // Without overheads every operation is a rate's: halving all times doubles the rate, so that elasticities
  // of rates less those of times come to 1.
  succeed({"simulate", "--model", "switch-base-8", "--prompt", "8", "--output", "6", "--policy", "on-demand",
           "--sensitivity", "--json", path("r.json")});
  const auto result = nlohmann::json::parse(read("r.json"))["results"][0];
  double sum = 0;
  for (const auto& each : result["sensitivities"]) {
    const std::string key = each["key"];
    const bool counts_twice =
        key.find("efficiency") != std::string::npos;  // beside the rate that it is a share of
    sum += counts_twice ? 0 : std::abs(each["tokens_per_s_per_log"].get<double>());
  }
  EXPECT_NEAR(sum / result["tokens_per_s"].get<double>(), 1, 0.01);
}

}  // namespace
}  // namespace pregate::test
