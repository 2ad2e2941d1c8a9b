// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/error.hpp"
#include "sim/report/report.hpp"
#include "sim/report/text_table.hpp"
#include "tests/sim/tiny.hpp"

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
    const Picoseconds busy = result.tally.busy[static_cast<std::size_t>(StreamId::compute)];
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
  const std::string text = results_table(made.configuration, made.results, false);
  EXPECT_THAT(text, testing::HasSubstr("*"));
  EXPECT_THAT(text, testing::HasSubstr("waits for expert copies"));
  EXPECT_THAT(text, testing::HasSubstr("All figures are simulated"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("\033")));
}

TEST(ThreeDigits, RoundsForPeople) {
  EXPECT_EQ(three_digits(0), "0");
  EXPECT_EQ(three_digits(0.012345), "0.0123");
  EXPECT_EQ(three_digits(1.1277), "1.13");
  EXPECT_EQ(three_digits(42.53), "42.5");
  EXPECT_EQ(three_digits(128.4), "128");
  EXPECT_EQ(three_digits(15402.0), "15402");
}

}  // namespace
}  // namespace pregate::sim
