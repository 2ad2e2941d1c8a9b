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

TEST_F(ValidateProgram, WithoutRecordedDataRunsTheRestAndSaysSo) {
  const Outcome outcome = run({"validate", "published", "--data", nothing(), "--json", path("all.json")});
  const auto json = nlohmann::json::parse(read("all.json"));
  bool failed = false;
  int rows = 0;
  for (const auto& one : json["cases"]) {
    failed = failed || one["failed"].get<bool>();
    rows += static_cast<int>(one["rows"].size());
  }
  EXPECT_EQ(outcome.exit_code, failed ? 1 : 0) << outcome.err;
  EXPECT_GT(rows, 200);
  EXPECT_THAT(outcome.out, HasSubstr("SKIPPED cache-replay-qwen3: all 88 rows need"));
  EXPECT_THAT(outcome.out, HasSubstr("SKIPPED pregated-a100: 4 rows need"));
  EXPECT_THAT(outcome.out, HasSubstr("SKIPPED cache-replay-olmoe: all 4 rows need"));
  EXPECT_THAT(outcome.out, HasSubstr("5 not run"));
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
