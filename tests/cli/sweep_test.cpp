// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Sweeps as their users run them: the same rows for any number of threads, after kills and full disks, and
// what each point alone gives.
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/cli/sweep_fixture.hpp"

namespace pregate::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

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

#ifdef PREGATE_MPIEXEC
const Surroundings two_ranks{
    .launcher = {PREGATE_MPIEXEC, "-n", "2", "--oversubscribe", "--allow-run-as-root"}};
#endif

TEST_F(Sweep, IsTheSameInSeveralRanks) {
#ifndef PREGATE_MPIEXEC
  GTEST_SKIP() << "pregate was built without MPI";
#else
  const Words more{"--vary", "machine.overhead.step=1..200us:40"};
  Words alone = command("alone.db", more), together = command("together.db", more);
  for (auto [words, name] : {std::pair{&alone, "alone"}, {&together, "together"}}) {
    const std::string base = path(name);
    words->insert(words->end(), {"--csv", base + ".csv", "--json-lines", base + ".jsonl", "--threads", "2"});
  }
  succeed(alone);
  const Outcome outcome = run(together, two_ranks);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read("alone.csv"), read("together.csv"));
  EXPECT_EQ(read("alone.jsonl"), read("together.jsonl"));
  EXPECT_EQ(sql("together.db", "SELECT count(*) FROM points"), "480");
  // What hinders all of them is said once, by whoever is the first.
  const Outcome refused = run(command("none/s.db"), two_ranks);
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_THAT(refused.err, HasSubstr("none/s.db"));
  EXPECT_EQ(refused.err.find("error: "), refused.err.rfind("error: "));
#endif
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

// Capacities of one family are looked up in one pass; each row is what its capacity alone gives.
TEST_F(Sweep, CapacitiesTogetherAreWhatEachAloneGives) {
  const auto at = [&](const std::string& capacities, const std::string& name) {
    succeed(sweep_of("on-demand-cache,pre-gated-cache,prefetch-all-cache", name,
                     {"--vary", "policy.cache.capacity=" + capacities}));
    return sql(name,
               "SELECT group_concat(result, ';') FROM (SELECT result FROM points"
               " WHERE settings->>'$.\"policy.cache.capacity\"' = '3 slots' ORDER BY point)");
  };
  const std::string alone = at("3 slots", "alone.db");
  EXPECT_THAT(alone, HasSubstr("tokens_per_s"));
  EXPECT_EQ(at("1 slots,2 slots,3 slots,50%,100%", "all.db"), alone);
}

// GPU-only does not fit below some memory; above it nothing is faster. The border is narrower than the axis.
TEST_F(Sweep, SaysWhereTheBestPolicyChanges) {
  const std::string text =
      succeed({"sweep", "--model", "switch-base-8", "--prompt", "8", "--output", "6", "--policy",
               "on-demand,gpu-only", "--vary", "machine.gpu.memory=2.5..8.5GiB:3", "-o", path("s.db"),
               "--json", path("s.json"), "--report", path("s.html")});
  EXPECT_THAT(text, HasSubstr("along machine.gpu.memory:"));
  const auto json = nlohmann::json::parse(read("s.json"));
  EXPECT_EQ(json["points"], 6);
  const auto& best = json["best_along"];
  ASSERT_GE(best["crossings"].size(), 1U) << best;
  const auto& last = best["crossings"].back();
  EXPECT_EQ(last["to_policy"], "gpu-only");
  const auto gib = [](const nlohmann::json& value) { return std::stod(value.get<std::string>()); };
  EXPECT_LT(gib(last["after"]), gib(last["at"]));
  EXPECT_LE(gib(last["at"]) - gib(last["after"]), 1.01e-3 * gib(last["at"]));
  // A run of its own on both sides.
  const auto runs = [&](const std::string& memory) {
    const Outcome outcome =
        run({"simulate", "--model", "switch-base-8", "--prompt", "8", "--output", "6", "--policy", "gpu-only",
             "--set", "machine.gpu.memory=" + memory, "--json", path("r.json")});
    return nlohmann::json::parse(read("r.json"))["results"][0]["status"] == "ok";
  };
  EXPECT_TRUE(runs(last["at"].get<std::string>()));
  EXPECT_FALSE(runs(last["after"].get<std::string>()));
  EXPECT_THAT(read("s.html"), HasSubstr("<svg"));
  // Of two axes nothing is said.
  succeed(command("two.db", {"--json", path("two.json")}));
  EXPECT_TRUE(nlohmann::json::parse(read("two.json"))["best_along"].is_null());
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

// Numbers of GPUs and ways over them are axes: the options as lists, and keys of --set.
TEST_F(Sweep, VariesGpus) {
  const Words of{"--model",  "olmoe-1b-7b", "--machine", "rtx4090-pcie4", "--prompt",   "4",
                 "--output", "4",           "--policy",  "gpu-only",      "--requests", "2"};
  const auto sweep = [&](const std::string& database, Words more) {
    more.insert(more.begin(), of.begin(), of.end());
    more.insert(more.begin(), "sweep");
    more.insert(more.end(), {"-o", path(database)});
    succeed(more);
  };
  const auto rate = [&](Words more) {
    more.insert(more.begin(), of.begin(), of.end());
    more.insert(more.begin(), "compare");
    more.insert(more.end(), {"--csv", "one.csv", "--json", "one.json"});
    succeed(more);
    return nlohmann::json::parse(read("one.json"))["results"][0]["tokens_per_s"].get<double>();
  };
  const auto rates = [&](const std::string& database, int point) {
    return std::stod(sql(database, "SELECT tokens_per_s FROM points WHERE point = " + std::to_string(point)));
  };
  sweep("tp.db", {"--tp", "1,2,4", "--vary", "machine.link.peer.bandwidth=10GB/s,100GB/s"});
  ASSERT_EQ(sql("tp.db", "SELECT count(*) FROM points WHERE status = 'ok'"), "6");
  const char* const slow = "machine.link.peer.bandwidth=10GB/s";
  EXPECT_NEAR(rates("tp.db", 0), rate({"--tp", "1", "--set", slow}), 1e-9);
  EXPECT_NEAR(rates("tp.db", 2), rate({"--tp", "2", "--set", slow}), 1e-9);
  EXPECT_NEAR(rates("tp.db", 4), rate({"--tp", "4", "--set", slow}), 1e-9);
  EXPECT_EQ(sql("tp.db",
                "SELECT json->>'$.machine.gpu.count' FROM configurations ORDER BY configuration DESC "
                "LIMIT 1"),
            "4");
  sweep("keys.db", {"--vary", "parallel.tensor=2,4", "--vary", "parallel.experts=columns,whole"});
  EXPECT_NEAR(rates("keys.db", 1), rate({"--ep", "2"}), 1e-9);
  EXPECT_NEAR(rates("keys.db", 2), rate({"--tp", "4"}), 1e-9);
  // Each alone, and together more than a host has.
  sweep("many.db", {"--pp", "1,4", "--tp", "1,4"});
  EXPECT_EQ(sql("many.db", "SELECT count(*) FROM points WHERE status = 'ok'"), "3");
  EXPECT_THAT(sql("many.db", "SELECT reason FROM points WHERE status = 'refused'"), HasSubstr("16 GPUs"));
  // 16 heads are not shared by three GPUs.
  sweep("three.db", {"--tp", "1,3"});
  EXPECT_THAT(sql("three.db", "SELECT reason FROM points WHERE status = 'refused'"), HasSubstr("heads"));
}

// A system that says itself how it spreads a model runs so at every point.
TEST_F(Sweep, SystemsOfSeveralGpus) {
  succeed({"sweep", "--model", "olmoe-1b-7b", "--machine", "rtx4090-pcie4", "--prompt", "4", "--output", "4",
           "--policy", "llama-cpp-layer-split", "--vary", "machine.gpu.memory_bandwidth=500GB/s,1000GB/s",
           "-o", path("s.db")});
  EXPECT_EQ(sql("s.db", "SELECT count(*) FROM points WHERE status = 'ok'"), "2");
  EXPECT_EQ(sql("s.db", "SELECT DISTINCT json->>'$.parallel.gpus' FROM configurations"), "2");
}

// As notes of a run say it of --set: an axis that moves nothing is no finding about the machine.
TEST_F(Sweep, SaysWhichAxesChangeNothing) {
  const std::string said = succeed(
      sweep_of("on-demand-cache", "s.db",
               {"--vary", "machine.host.cores=4,8", "--vary", "machine.link.h2d.bandwidth=4..16GB/s:3",
                "--vary", "machine.gpu.count=1,2", "--json", path("s.json")}));
  EXPECT_THAT(said, HasSubstr("note: machine.host.cores changes nothing here"));
  EXPECT_THAT(said, HasSubstr("note: machine.gpu.count changes nothing here"));
  EXPECT_THAT(said, Not(HasSubstr("machine.link.h2d.bandwidth changes")));
  EXPECT_THAT(read("s.json"), HasSubstr("\"machine.gpu.count\""));
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
