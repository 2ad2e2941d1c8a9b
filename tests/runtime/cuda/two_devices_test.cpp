// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
/// A layer under expert parallelism on two devices of the stand-in (two_devices.cpp), right and with planted
/// faults.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/runtime/cuda/child.hpp"
#include "tests/runtime/cuda/small_run.hpp"

namespace pregate::runtime::test {
namespace {

using testing::HasSubstr;

constexpr int found_something = 99;  // the stand-in's exit status

using Surroundings = std::map<std::string, std::string>;

const std::vector<Surroundings>& orders_of_two_devices() {
  static const std::vector<Surroundings> all = {{{"STANDIN_SCHEDULE", "eager"}},
                                                {{"STANDIN_SCHEDULE", "lazy"}},
                                                {{"STANDIN_SCHEDULE", "threads"}},
                                                {{"STANDIN_SCHEDULE", "random"}, {"STANDIN_SEED", "1"}},
                                                {{"STANDIN_SCHEDULE", "random"}, {"STANDIN_SEED", "2"}}};
  return all;
}

pregate::test::ChildOutcome run_on_two_devices(const std::vector<std::string>& arguments,
                                               Surroundings variables) {
  variables["LD_LIBRARY_PATH"] = PREGATE_STANDIN;
  variables["STANDIN_DEVICES"] = "2";
  return pregate::test::run_child(PREGATE_TWO_DEVICES, arguments, variables, 60);
}

// A layer whose experts are shared out over two devices: rows travel, are computed, and come back, three
// times.
TEST(TwoDevicesOnStandin, ExpertParallelismGivesTheReferencesOutputs) {
  for (const Surroundings& order : orders_of_two_devices()) {
    const pregate::test::ChildOutcome run = run_on_two_devices({"3"}, order);
    EXPECT_EQ(run.exit_code, outputs_right) << order.at("STANDIN_SCHEDULE") << ": " << run.err;
  }
  // Where there is one device the second is refused.
  const pregate::test::ChildOutcome one = run_on_two_devices({"1"}, {});
  EXPECT_EQ(one.exit_code, outputs_right) << one.err;
  const pregate::test::ChildOutcome refused =
      pregate::test::run_child(PREGATE_TWO_DEVICES, {"1"}, {{"LD_LIBRARY_PATH", PREGATE_STANDIN}}, 60);
  EXPECT_EQ(refused.exit_code, error_said);
  EXPECT_THAT(refused.err, HasSubstr("there is no CUDA device 1"));
}

// Each wait of one round is left out once: every copy between the devices, and every product behind one, then
// has no order, and is found in each of them, whether or not the outputs came out right.
TEST(TwoDevicesOnStandin, APeerCopyWithoutAWaitIsARace) {
  constexpr int waits =
      12;  // two before each dispatch and each return of a device, one before each of its products
  EXPECT_THAT(run_on_two_devices({"1"}, {}).err, HasSubstr("waits: " + std::to_string(waits) + "\n"));
  for (int dropped = 0; dropped < waits; ++dropped) {
    for (const Surroundings& order : orders_of_two_devices()) {
      const pregate::test::ChildOutcome run = run_on_two_devices({"1", std::to_string(dropped)}, order);
      EXPECT_EQ(run.exit_code, found_something)
          << "wait " << dropped << ", " << order.at("STANDIN_SCHEDULE") << run.err;
      EXPECT_THAT(run.err, testing::ContainsRegex("standin: (race|uninitialised): "));
    }
    EXPECT_THAT(run_on_two_devices({"1", std::to_string(dropped)}, {{"STANDIN_SCHEDULE", "eager"}}).err,
                HasSubstr("standin: race: "));
  }
}

// One of the two goes away at any call: an error that says so, in time.
TEST(TwoDevicesOnStandin, ADeviceThatGoesAwayIsAnError) {
  int errors = 0, tried = 0;
  for (int n = 1;; n += 3, ++tried) {
    const pregate::test::ChildOutcome run = run_on_two_devices(
        {"1"}, {{"STANDIN_FAIL", "*:" + std::to_string(n) + "+:cudaErrorDevicesUnavailable"}});
    ASSERT_FALSE(run.hung) << n;
    if (run.exit_code == outputs_right) break;  // only what is given back is left
    EXPECT_EQ(run.exit_code, error_said) << n << ": " << run.err;
    EXPECT_THAT(pregate::test::last_line(run.err), testing::StartsWith("error: ")) << n;
    ++errors;
  }
  EXPECT_GT(errors, 30);
  EXPECT_EQ(errors, tried);
}

}  // namespace
}  // namespace pregate::runtime::test
