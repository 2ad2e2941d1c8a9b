// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/report/report.hpp"
#include "sim/report/text_table.hpp"
#include "tests/sim/tiny.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::sim {
namespace {

using nlohmann::json;

struct Case {
  RunConfiguration configuration;
  std::vector<SimulationResult> results;
};

Case small_case(std::int64_t recorded_steps = 0) {
  Case made;
  made.configuration.model = test::tiny_model(3, 8, 2);
  made.configuration.machine = test::tiny_machine();
  test::ListSource source = test::random_source(1, 3, 8, 2, 2, 4, 6);
  made.configuration.trace = source.info();
  for (const char* name : {"gpu-only", "on-demand", "pre-gated-cache"}) {
    made.results.push_back(test::run(made.configuration.model, made.configuration.machine, load_policy(name),
                                     source, {.recorded_steps = recorded_steps}));
  }
  return made;
}

// Steps 2 and 3 alone: the operations of these steps, at the times that they have where all are recorded.
TEST(Recorded, AWindowIsAPartOfTheWhole) {
  const ModelSpec model = test::tiny_model(3, 8, 2);
  test::ListSource source = test::random_source(1, 3, 8, 2, 2, 4, 6);
  for (const char* name : {"gpu-only", "on-demand", "pre-gated-cache", "prefetch-all"}) {
    const auto run = [&](SimulationOptions options) {
      return test::run(model, test::tiny_machine(), load_policy(name), source, options);
    };
    const SimulationResult all = run({.recorded_steps = 1000});
    const SimulationResult part = run({.recorded_steps = 2, .first_recorded_step = 2});
    OpId begin = 0;
    while (all.schedule.operation(begin).step < 2) ++begin;
    OpId end = begin;
    while (end < static_cast<OpId>(all.schedule.size()) && all.schedule.operation(end).step < 4) ++end;
    ASSERT_EQ(part.schedule.size(), static_cast<std::size_t>(end - begin)) << name;
    EXPECT_GT(begin, 0);
    for (OpId id = begin; id < end; ++id) {
      const OpId place = id - begin;
      EXPECT_EQ(part.schedule.operation(place), all.schedule.operation(id));
      EXPECT_EQ(part.timeline.start[static_cast<std::size_t>(place)],
                all.timeline.start[static_cast<std::size_t>(id)]);
      EXPECT_EQ(part.timeline.finish[static_cast<std::size_t>(place)],
                all.timeline.finish[static_cast<std::size_t>(id)]);
      std::vector<OpId> within;
      for (const OpId dependency : all.schedule.dependencies(id))
        if (dependency >= begin) within.push_back(dependency - begin);
      EXPECT_THAT(part.schedule.dependencies(place), testing::ElementsAreArray(within));
    }
    EXPECT_EQ(part.total, all.total);
  }
}

TEST(Json, HasTheDocumentedKeys) {
  const Case made = small_case();
  const json document = json::parse(results_json(made.configuration, made.results));
  EXPECT_TRUE(document.contains("config"));
  EXPECT_TRUE(document.contains("trace_hash"));
  ASSERT_EQ(document["results"].size(), 3U);
  for (const json& result : document["results"]) {
    for (const char* key : {"policy", "status", "evidence", "tokens_per_s", "decode_tokens_per_s", "ttft_ms",
                            "tpot_ms", "block_latency_ms", "cache", "h2d_bytes", "exposed_transfer_ms",
                            "peak_gpu_bytes", "peak_gpu_bytes_by_purpose", "critical_path_share"}) {
      EXPECT_TRUE(result.contains(key)) << key;
    }
    EXPECT_EQ(result["evidence"], "simulated");
    for (const char* key : {"mean", "p50", "p95", "p99"})
      EXPECT_GT(result["block_latency_ms"][key], 0) << key;
    double path = 0;
    for (const json& share : result["critical_path_share"]) path += share.get<double>();
    EXPECT_NEAR(path, 1, 1e-9);
    std::int64_t parts = 0;
    for (const json& part : result["peak_gpu_bytes_by_purpose"]) parts += part.get<std::int64_t>();
    EXPECT_EQ(parts, result["peak_gpu_bytes"].get<std::int64_t>());
  }
}

// The figures of a result must agree with each other: time, tokens and waiting.
TEST(Figures, AddUp) {
  for (const SimulationResult& result : small_case().results) {
    EXPECT_EQ(result.decode + result.before_decode, result.total);
    const Picoseconds busy = result.tally.busy[static_cast<std::size_t>(one_gpu::compute)];
    EXPECT_EQ(busy + result.tally.exposed_transfer + result.tally.exposed_cpu + result.tally.exposed_host,
              result.total)
        << result.policy.name;
    EXPECT_NEAR(result.tokens_per_second(), 12 / result.total.seconds(), 1e-9);
    EXPECT_EQ(result.path.finish, result.total) << result.policy.name;
  }
}

TEST(Figures, TtftIsThePrefillAndTpotTheRest) {
  const ModelSpec model = test::tiny_model(2, 8, 2);
  test::ListSource source = test::random_source(2, 2, 8, 2, 1, 4, 5);
  const SimulationResult result = test::run(model, test::tiny_machine(), load_policy("on-demand"), source);
  EXPECT_DOUBLE_EQ(result.ttft_ms, result.before_decode.milliseconds());
  EXPECT_NEAR(result.tpot_ms, result.decode.milliseconds() / 5, 1e-9);
}

TEST(Perfetto, IsWellFormedWithTracksArrowsAndCounters) {
  const Case made = small_case(100);
  const SimulationResult& result = made.results[1];
  const json document = json::parse(perfetto_json(result, made.configuration));
  std::size_t slices = 0, fetches = 0, starts = 0, ends = 0, counters = 0, tracks = 0;
  for (const json& event : document["traceEvents"]) {
    const std::string phase = event["ph"];
    slices += phase == "X" ? 1U : 0U;
    fetches += phase == "X" && event["cat"] == "fetch" && event["tid"] == 2 ? 1U : 0U;
    starts += phase == "s" ? 1U : 0U;
    ends += phase == "f" ? 1U : 0U;
    counters += phase == "C" ? 1U : 0U;
    tracks += phase == "M" ? 1U : 0U;
    if (phase == "X") {
      EXPECT_GE(event["dur"].get<double>(), 0);
    }
  }
  EXPECT_EQ(fetches, static_cast<std::size_t>(result.tally.fetches));
  EXPECT_EQ(slices, result.schedule.size() + fetches);  // each copy on its stream and on its link
  EXPECT_EQ(starts, ends);
  EXPECT_EQ(starts, fetches);
  EXPECT_GT(counters, 0U);
  EXPECT_EQ(tracks, 1U + 3U + 1U);  // the process, three streams, one link
}

// The fixed part of a copy is the datasheet's. A measured copy can be shorter than it: here every copy takes
// 1 us where the machine says that the first byte moves after 10 us.
TEST(Perfetto, MeasuredCopiesHaveNoNegativeDurations) {
  Case made = small_case(100);
  SimulationResult& result = made.results[1];
  result.evidence = Evidence::measured;
  for (OpId id = 0; id < static_cast<OpId>(result.schedule.size()); ++id) {
    if (result.schedule.operation(id).bytes.count == 0) continue;
    const auto at = static_cast<std::size_t>(id);
    ASSERT_GE(result.schedule.operation(id).fixed, from_seconds(10e-6));
    result.timeline.finish[at] = result.timeline.start[at] + from_seconds(1e-6);
  }
  int copies = 0;
  const json document = json::parse(perfetto_json(result, made.configuration));
  for (const json& event : document["traceEvents"]) {
    if (event["ph"] != "X") continue;
    EXPECT_GE(event["dur"].get<double>(), 0) << event;
    copies += event["cat"] == "fetch" ? 1 : 0;
  }
  EXPECT_GT(copies, 0);
}

TEST(Csv, SaysWhatItIsAbout) {
  Case made = small_case();
  made.configuration.model.name = "m,1";
  made.configuration.trace_path = "t.db";
  made.results[0].interrupted = true;
  made.results[0].steps = 0;
  std::istringstream csv(results_csv(made.configuration, made.results));
  std::string head, interrupted, ran;
  std::getline(csv, head);
  std::getline(csv, interrupted);
  std::getline(csv, ran);
  EXPECT_TRUE(
      head.starts_with("format_version,model,machine,trace,batch,policy,status,evidence,tokens_per_s,"));
  EXPECT_TRUE(ran.starts_with("1,\"m,1\",a100-80g-pcie4,t.db,1,on-demand,ok,simulated,")) << ran;
  EXPECT_TRUE(interrupted.starts_with("1,\"m,1\",a100-80g-pcie4,t.db,1,gpu-only,interrupted,simulated,,"))
      << "no rate: " << interrupted;
}

// What did not run has no figure that could be taken for one.
TEST(Json, AnInterruptedPolicyHasNoRates) {
  Case made = small_case();
  SimulationResult& result = made.results[1];
  result.interrupted = true;
  const auto parsed = [&] { return json::parse(results_json(made.configuration, made.results)); };
  EXPECT_EQ(parsed()["results"][1]["status"], "interrupted");
  EXPECT_TRUE(parsed()["results"][1].contains("tokens_per_s")) << "of the passes before";
  EXPECT_EQ(parsed()["format_version"], results_format_version);
  result.steps = 0;
  for (const char* key : {"tokens_per_s", "ttft_ms", "critical_path_share", "total_ms"})
    EXPECT_FALSE(parsed()["results"][1].contains(key)) << key;
  const std::string table = results_table(made.configuration, made.results);
  EXPECT_THAT(table, testing::ContainsRegex("\non-demand +interrupted\n"));
  EXPECT_THAT(table, testing::HasSubstr("\non-demand: interrupted before its first pass\n"));
}

TEST(Store, AppendsRowsAndLeavesNothingWhenItFails) {
  const Case made = small_case();
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("pregate-store-" + std::to_string(getpid()) + ".db");
  std::filesystem::remove(path);
  store_results(path.string(), made.configuration, made.results);
  store_results(path.string(), made.configuration, made.results);
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  sqlite3_stmt* row = nullptr;
  ASSERT_EQ(
      sqlite3_prepare_v2(database,
                         "SELECT count(*), sum(json_extract(json, '$.results[0].policy') = policy),"
                         " sum(abs(tokens_per_s - json_extract(json, '$.results[0].tokens_per_s')) < 1e-9)"
                         " FROM results",
                         -1, &row, nullptr),
      SQLITE_OK);
  ASSERT_EQ(sqlite3_step(row), SQLITE_ROW);
  for (int column = 0; column < 3; ++column) EXPECT_EQ(sqlite3_column_int(row, column), 6) << column;
  sqlite3_finalize(row);
  sqlite3_close(database);
  std::filesystem::remove(path);

  const std::string impossible = (path / "under-a-file").string();
  EXPECT_THROW(store_results(impossible, made.configuration, made.results), InputError);
  std::ofstream(path) << "not a database, but long enough to be read as the header of one";
  EXPECT_THROW(store_results(path.string(), made.configuration, made.results), InputError);
  EXPECT_TRUE(std::filesystem::exists(path));  // somebody else's file stays
  std::filesystem::remove(path);
}

TEST(Table, MarksTheBestAndSaysWhy) {
  const Case made = small_case();
  const std::string text = results_table(made.configuration, made.results);
  EXPECT_THAT(text, testing::HasSubstr("*"));
  EXPECT_THAT(text, testing::HasSubstr("waits for expert copies"));
  EXPECT_THAT(text, testing::HasSubstr("All figures are simulated"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("\033")));
}

TEST(Table, LeavesOutItsLeastColumnsWhereTheyDoNotFit) {
  const Case made = small_case();
  const auto widest = [](const std::string& text) {
    std::size_t most = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) most = std::max(most, display_width(line));
    return most;
  };
  const std::string at_80 = results_table(made.configuration, made.results, {.columns = 80, .folds = true});
  EXPECT_LE(widest(at_80), 80U) << at_80;
  EXPECT_THAT(at_80, testing::HasSubstr("\nLeft out at 80 columns: p99, TPOT ms"));
  EXPECT_THAT(at_80, testing::HasSubstr("(--wide shows all)"));
  EXPECT_THAT(at_80, testing::Not(testing::HasSubstr("p99  ")));
  // However narrow, the rates stay.
  const std::string at_20 = results_table(made.configuration, made.results, {.columns = 20, .folds = true});
  EXPECT_THAT(at_20, testing::ContainsRegex("policy +tokens/s +decode/s\n"));
  const std::string wide =
      results_table(made.configuration, made.results, {.columns = 80, .folds = true, .all_columns = true});
  EXPECT_THAT(wide, testing::ContainsRegex("TPOT ms.*p99.*GPU GiB\n"));
  EXPECT_THAT(wide, testing::Not(testing::HasSubstr("Left out")));
}

TEST(Table, AWideCellTakesTheNextColumnsRoom) {
  TextTable table({"p", "ab", "cd", "ef"});
  table.add({"x", "1", "2", "3"});
  table.add({"y", "wide", "", "4"}, 1);
  EXPECT_EQ(table.width(), 13U);  // 1 + 2 + 2 + 2 + 2 + 2 + 2: "wide" has six columns
  EXPECT_THAT(table.text(), testing::HasSubstr("\nx   1   2   3\ny    wide   4\n"));
}

TEST(Table, FoldsLinesBetweenWords) {
  const TextLayout narrow{.columns = 20, .folds = true};
  EXPECT_EQ(folded("note: one two three four five\n  a b\n", narrow),
            "note: one two three\n    four five\n  a b\n");
  EXPECT_EQ(folded("  pre-gated  3 - 4 tokens/s\n", narrow), "  pre-gated  3 - 4\n      tokens/s\n");
  EXPECT_EQ(folded("averylongwordwithoutanyspace b", narrow), "averylongwordwithoutanyspace\n    b");
  EXPECT_EQ(folded("one two three four five", {.columns = 20}), "one two three four five");
}

// A model's name and a path come from files: no byte of theirs is a command to the terminal.
TEST(Table, NamesAreNotCommandsToATerminal) {
  Case made = small_case();
  made.configuration.model.name = "m\033]0;title\007";
  made.configuration.machine.name =
      "\xc2\x9b"
      "2J";  // CSI as one character of UTF-8
  made.configuration.trace_path = "a\nnote: all is well";
  made.results[0].policy.name = "p\033[2J";
  made.results[0].notes = {"n\r\xff"};
  const std::string text = results_table(made.configuration, made.results);
  for (const char* forbidden : {"\033", "\007", "\r", "\xc2\x9b", "\xff", "\nnote: all"})
    EXPECT_THAT(text, testing::Not(testing::HasSubstr(forbidden)));
  EXPECT_THAT(text, testing::HasSubstr("m?]0;title?"));
}

TEST(ThreeDigits, RoundsForPeople) {
  EXPECT_EQ(three_digits(0), "0");
  EXPECT_EQ(three_digits(0.012345), "0.0123");
  EXPECT_EQ(three_digits(1.1277), "1.13");
  EXPECT_EQ(three_digits(42.53), "42.5");
  EXPECT_EQ(three_digits(128.4), "128");
  EXPECT_EQ(three_digits_below(39.97, 40), "39.97");
  EXPECT_EQ(three_digits_below(39.9996, 40), "39.9996");
  EXPECT_EQ(three_digits_below(39.2, 40), "39.2");
  EXPECT_EQ(three_digits_below(40, 40), "40.0");
  EXPECT_EQ(three_digits_below(199.7, 200), "199.7");
  EXPECT_EQ(three_digits(15402.0), "15402");
}

}  // namespace
}  // namespace pregate::sim
