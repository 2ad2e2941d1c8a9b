// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// `pregate validate published` as its users run it.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/program_test.hpp"
#include "tests/support/shared_data.hpp"

namespace pregate::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class ValidateProgram : public ProgramTest {
 protected:
  /// A data folder that holds nothing.
  std::string nothing() const {
    const std::string folder = path("nothing");
    std::filesystem::create_directories(folder);
    return folder;
  }
};

// Of the cases whose routing was recorded the rows that need none run; the others are skipped, and gates
// without rows are neither passed nor failed.
TEST_F(ValidateProgram, WithoutRecordedDataRunsTheRestAndSaysSo) {
  const auto without = [&](const char* name) {
    const Outcome outcome =
        run({"validate", "published", name, "--data", nothing(), "--json", path("one.json")});
    const auto json = nlohmann::json::parse(read("one.json"));
    EXPECT_EQ(json["cases"].size(), 1U) << name;
    EXPECT_EQ(outcome.exit_code, json["cases"][0]["failed"].get<bool>() ? 1 : 0) << outcome.err;
    return std::pair(outcome.out, json["cases"][0]["rows"].size());
  };
  const auto [replayed, replay_rows] = without("cache-replay-qwen3");
  EXPECT_THAT(replayed, HasSubstr("SKIPPED cache-replay-qwen3: all 88 rows need"));
  EXPECT_THAT(replayed, HasSubstr("3 not run"));
  EXPECT_EQ(replay_rows, 0U);
  EXPECT_THAT(without("cache-replay-olmoe").first, HasSubstr("SKIPPED cache-replay-olmoe: all 4 rows need"));
  EXPECT_THAT(without("imp-replay-qwen3").first, HasSubstr("SKIPPED imp-replay-qwen3: all 4 rows need"));
  const auto [forced, forced_rows] = without("pregated-a100");
  EXPECT_THAT(forced, HasSubstr("SKIPPED pregated-a100: 4 rows need"));
  EXPECT_THAT(forced, HasSubstr("0 not run"));
  EXPECT_GT(forced_rows, 100U);
}

TEST_F(ValidateProgram, ExitsWithOneWhenAGateFailsAndNamesIt) {
  // This gate failed when the case was first run, and stays.
  const Outcome outcome = run({"validate", "published", "kernels-rtx3090", "--data", nothing()});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("FAIL kernels-rtx3090: sparse_calibrated_us mape"));
  EXPECT_EQ(run({"validate", "published", "copies-a100", "--data", nothing()}).exit_code, 0);
}

TEST_F(ValidateProgram, TheReportNeedsNothingElse) {
  PREGATE_NEEDS_SHARED_DATA();
  const std::string data = shared_data().string();
  const Outcome outcome =
      run({"validate", "published", "pregated-a100", "--data", data, "--report", path("r.html")});
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, Not(HasSubstr("SKIPPED")));
  const std::string page = read("r.html");
  EXPECT_THAT(page, HasSubstr("<svg"));
  EXPECT_THAT(page, HasSubstr("Figure 14: block_latency_ms"));
  for (const char* foreign : {"<script", "src=", "href=", "@import", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(foreign)));
  }
  const Outcome again =
      run({"validate", "published", "pregated-a100", "--data", data, "--report", path("again.html")});
  EXPECT_EQ(page, read("again.html"));
}

TEST_F(ValidateProgram, RefusesBadInputAndLeavesNothing) {
  expect_refused({"validate", "published", "pregated"}, {"pregated-a100"});
  expect_refused({"validate", "published", "--data", path("absent")}, {"--data", "not a folder"});
  expect_refused({"validate", "published", "copies-a100", "--report", path("no/such/folder.html")},
                 {"folder.html"});
  expect_refused({"validate", "publishd"}, {"published"});
  expect_refused({"validate", "published", "a", "b"}, {"more words"});
}

}  // namespace
}  // namespace pregate::test
