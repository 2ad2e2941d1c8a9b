// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Planted bugs, each found; and the same program without one, found clean, in every schedule.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/standin/tests/victim_process.hpp"

namespace pregate::standin {
namespace {

using testing::HasSubstr;
using Environment = std::map<std::string, std::string>;

constexpr int findings_status = 99;
constexpr int program_error_status = 3;

Outcome victim(const std::string& bug, const Environment& environment) {
  return run_victim(PREGATE_STANDIN_VICTIM, bug, environment);
}

const std::vector<Environment>& schedules() {
  static const std::vector<Environment> all = {
      {{"STANDIN_SCHEDULE", "eager"}},
      {{"STANDIN_SCHEDULE", "lazy"}},
      {{"STANDIN_SCHEDULE", "threads"}},
      {{"STANDIN_SCHEDULE", "random"}, {"STANDIN_SEED", "1"}},
      {{"STANDIN_SCHEDULE", "random"}, {"STANDIN_SEED", "2"}},
      {{"STANDIN_SCHEDULE", "random"}, {"STANDIN_SEED", "3"}},
  };
  return all;
}

TEST(Victim, WithoutABugIsCleanInEverySchedule) {
  for (const Environment& environment : schedules()) {
    const Outcome outcome = victim("none", environment);
    EXPECT_EQ(outcome.status, 0) << outcome.findings;
    EXPECT_EQ(outcome.output, "right result\n");
    EXPECT_EQ(outcome.findings, "");
  }
}

struct Planted {
  const char* bug;
  const char* finding;
};

class PlantedBug : public testing::TestWithParam<Planted> {};

TEST_P(PlantedBug, IsFoundInEverySchedule) {
  for (const Environment& environment : schedules()) {
    const Outcome outcome = victim(GetParam().bug, environment);
    EXPECT_EQ(outcome.status, findings_status) << outcome.findings << environment.at("STANDIN_SCHEDULE");
    EXPECT_THAT(outcome.findings, HasSubstr("standin: " + std::string(GetParam().finding)))
        << environment.at("STANDIN_SCHEDULE");
  }
}

// "uninitialised" comes first where a schedule runs the reader before the writer, so "missing-wait" and
// "staged" are in a test of their own.
INSTANTIATE_TEST_SUITE_P(
    All, PlantedBug,
    testing::Values(Planted{"slot-overwritten", "race"}, Planted{"staging-overwritten", "host-access"},
                    Planted{"early-read", "host-access"},
                    Planted{"leak", "leak: 1 device allocations (384 bytes)"},
                    Planted{"off-by-one", "bounds"}, Planted{"pageable", "pageable"},
                    Planted{"never-recorded", "never-recorded"}, Planted{"host-reads-device", "host-access"},
                    Planted{"freed-in-use", "released-in-use"}, Planted{"use-after-free", "freed"},
                    Planted{"uninitialised", "uninitialised"}, Planted{"missing-barrier", "kernel-race"},
                    Planted{"leading-dimension", "blas"}),
    [](const testing::TestParamInfo<Planted>& planted) {
      std::string name = planted.param.bug;
      name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
      return name;
    });

TEST(Victim, MissingOrderIsFoundThoughTheResultMayBeRight) {
  for (const char* bug : {"missing-wait", "staged"}) {
    for (const Environment& environment : schedules()) {
      const Outcome outcome = victim(bug, environment);
      EXPECT_EQ(outcome.status, findings_status) << bug << outcome.output;
      const bool race = outcome.findings.find("standin: race") != std::string::npos;
      const bool uninitialised = outcome.findings.find("standin: uninitialised") != std::string::npos;
      EXPECT_TRUE(race || uninitialised) << outcome.findings;
    }
    const Outcome eager = victim(bug, {{"STANDIN_SCHEDULE", "eager"}});
    EXPECT_EQ(eager.output, "right result\n");
    EXPECT_THAT(eager.findings, HasSubstr("are not ordered and touch the same bytes"));
  }
}

// A second device: its memory, streams and events are its own, and copies between the two need an order.
TEST(Victim, MistakesWithTwoDevicesAreFound) {
  const std::vector<std::pair<std::string, std::string>> bugs = {{"two-missing-wait", "(race|uninitialised)"},
                                                                 {"two-early-return", "(race|uninitialised)"},
                                                                 {"two-unreached", "peer"},
                                                                 {"two-other-device", "device"},
                                                                 {"two-not-current", "device"},
                                                                 {"two-foreign-event", "device"},
                                                                 {"two-half-waited", "host-access"}};
  for (Environment environment : schedules()) {
    environment["STANDIN_DEVICES"] = "2";
    const std::string& schedule = environment.at("STANDIN_SCHEDULE");
    const Outcome right = victim("two", environment);
    EXPECT_EQ(right.status, 0) << schedule << ": " << right.findings << right.output;
    for (const auto& [bug, finding] : bugs) {
      const Outcome outcome = victim(bug, environment);
      EXPECT_EQ(outcome.status, findings_status) << bug << ", " << schedule << ": " << outcome.output;
      EXPECT_THAT(outcome.findings, testing::ContainsRegex("standin: " + finding)) << bug << ", " << schedule;
    }
  }
  EXPECT_EQ(victim("two", {}).status, program_error_status) << "with one device there is no second";
  EXPECT_EQ(victim("none", {{"STANDIN_DEVICES", "0"}}).status, 98);
}

// Every call of the run fails once; the program's error paths release all they hold and wait for what is
// queued.
TEST(Victim, EveryCallMayFail) {
  const std::string path = testing::TempDir() + "standin-calls.json";
  ASSERT_EQ(victim("none", {{"STANDIN_CALLS", path}}).status, 0);
  const auto calls = nlohmann::json::parse(read_whole_file(path));
  std::remove(path.c_str());
  EXPECT_EQ(calls.at("calls").at("cudaMalloc"), 6);
  EXPECT_EQ(calls.at("calls").at("cublasSgemm"), 6);
  const int total = calls.at("total");
  ASSERT_GT(total, 60);
  int errors = 0;
  for (int n = 1; n <= total; ++n) {
    const Outcome outcome = victim("none", {{"STANDIN_FAIL", "*:" + std::to_string(n)}});
    EXPECT_EQ(outcome.findings, "") << "call " << n;
    EXPECT_TRUE(outcome.status == program_error_status || outcome.status == 0) << "call " << n;
    if (outcome.status == program_error_status) {
      ++errors;
      EXPECT_THAT(outcome.output, HasSubstr("error: "));
    }
  }
  EXPECT_GE(errors, total - 20);  // the last ones are destructors, whose errors nobody can be told
}

// From any call on the device is gone: every later call fails as well, and nothing hangs, leaks or crashes.
TEST(Victim, ADeviceThatGoesAwayIsAnError) {
  const std::string path = testing::TempDir() + "standin-gone.json";
  EXPECT_EQ(victim("none", {{"STANDIN_CALLS", path}}).status, 0);
  std::ifstream written(path);
  const int total = nlohmann::json::parse(written).at("total").get<int>();
  int errors = 0;
  for (int n = 1; n <= total; ++n) {
    const Outcome outcome =
        victim("none", {{"STANDIN_FAIL", "*:" + std::to_string(n) + "+:cudaErrorDevicesUnavailable"}});
    EXPECT_EQ(outcome.findings, "") << "from call " << n << " on";
    EXPECT_TRUE(outcome.status == program_error_status || outcome.status == 0) << "from call " << n << " on";
    errors += outcome.status == program_error_status ? 1 : 0;
  }
  EXPECT_GE(errors, total - 20);
}

TEST(Victim, ANamedCallFailsWithTheAskedError) {
  const Outcome outcome = victim("none", {{"STANDIN_FAIL", "cudaMemcpyAsync:2:cudaErrorInvalidValue"}});
  EXPECT_EQ(outcome.status, program_error_status);
  EXPECT_THAT(outcome.output, HasSubstr("invalid argument"));
}

TEST(Victim, TheMemoryLimitIsAnError) {
  const Outcome outcome = victim("none", {{"STANDIN_MEMORY_MIB", "0"}});
  EXPECT_EQ(outcome.status, program_error_status);
  EXPECT_THAT(outcome.output, HasSubstr("out of memory"));
  EXPECT_EQ(outcome.findings, "");
}

TEST(Victim, MisspeltVariablesAreRefused) {
  EXPECT_EQ(victim("none", {{"STANDIN_SHEDULE", "lazy"}}).status, 98);
  EXPECT_EQ(victim("none", {{"STANDIN_SCHEDULE", "lasy"}}).status, 98);
  EXPECT_EQ(victim("none", {{"STANDIN_FAIL", "cudaMalloc"}}).status, 98);
  EXPECT_EQ(victim("none", {{"STANDIN_FAIL", "cudaMalloc:1:cudaErrorNonsense"}}).status, 98);
  EXPECT_EQ(victim("none", {{"STANDIN_FAIL", "cudaMalloc:1x"}}).status, 98);
}

// An expert's copy takes 5 us + 4096 B / 1 GB/s = 9.096 us and its GEMM 20 us; with two slots the copy of the
// next expert runs under the GEMM of the last.
TEST(Victim, TheTimelineShowsCopiesUnderCompute) {
  const std::string path = testing::TempDir() + "standin-timeline.json";
  const Environment rates = {
      {"STANDIN_TIMELINE", path}, {"STANDIN_H2D_GBPS", "1"}, {"STANDIN_KERNEL_US", "20"}};
  std::string first;
  for (const Environment& schedule : schedules()) {
    Environment environment = rates;
    environment.insert(schedule.begin(), schedule.end());
    ASSERT_EQ(victim("none", environment).status, 0);
    const std::string text = read_whole_file(path);
    if (first.empty()) first = text;
    EXPECT_EQ(text, first);  // depends on the calls, not on the schedule
  }
  std::remove(path.c_str());
  const auto timeline = nlohmann::json::parse(first);
  double overlap_us = 0;
  int copies = 0;
  double last_copy_end_us = 0;
  for (const auto& copy : timeline.at("operations")) {
    if (copy.at("kind") != "h2d" || copy.at("bytes") != 4096) continue;
    ++copies;
    const double start = copy.at("start_us");
    const double end = copy.at("end_us");
    EXPECT_NEAR(end - start, 9.096, 1e-9);
    EXPECT_GE(start, last_copy_end_us);  // one engine
    last_copy_end_us = end;
    for (const auto& other : timeline.at("operations")) {
      if (other.at("kind") != "gemm" && other.at("kind") != "kernel") continue;
      const double from = std::max(start, other.at("start_us").get<double>());
      overlap_us += std::max(0.0, std::min(end, other.at("end_us").get<double>()) - from);
    }
  }
  EXPECT_EQ(copies, 6);
  EXPECT_GT(overlap_us, 4 * 9.0);  // all but the first and perhaps one more
}

// Built with ThreadSanitizer: the stand-in tells it CUDA's own order and nothing else.
TEST(ThreadSanitizer, FindsWhatIsNotOrdered) {
  const std::string suppressions =
      std::string("suppressions=") + PREGATE_SOURCE_DIR + "/tests/standin/tsan.supp";
  const Environment environment = {{"STANDIN_SCHEDULE", "eager"},
                                   {"TSAN_OPTIONS", suppressions + " exitcode=66"}};
  const Outcome clean = run_victim(PREGATE_STANDIN_TSAN_VICTIM, "none", environment);
  EXPECT_EQ(clean.status, 0) << clean.findings;
  for (const char* bug : {"missing-wait", "slot-overwritten", "staging-overwritten", "early-read"}) {
    const Outcome outcome = run_victim(PREGATE_STANDIN_TSAN_VICTIM, bug, environment);
    EXPECT_NE(outcome.status, 0) << bug;
    EXPECT_THAT(outcome.findings, HasSubstr("ThreadSanitizer: data race")) << bug;
  }
}

}  // namespace
}  // namespace pregate::standin
