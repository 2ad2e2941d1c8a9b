// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
/// The program on the stand-in while its device disappears.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/runtime/cuda/child.hpp"
#include "tests/runtime/cuda/small_run.hpp"
#include "tests/support/every_fault.hpp"

namespace pregate::runtime::test {
namespace {

using testing::HasSubstr;

/// `pregate execute` on the stand-in, of a small model and trace, in a folder of its own.
class ProgramOnStandin : public testing::Test {
 protected:
  ProgramOnStandin() {
    std::filesystem::create_directories(folder_);
    std::ofstream(file("small.toml"))
        << "description = \"small\"\nsource = \"test\"\nfamily = \"mixtral\"\nd_model = 64\nvocabulary = "
           "100\n"
           "[weights]\nexperts = \"fp32\"\ndense = \"fp32\"\nkv_cache = \"fp32\"\n[decoder]\nlayers = 2\n"
           "[decoder.attention]\nheads = 4\nkv_heads = 4\nhead_dim = 16\n"
           "[decoder.moe]\nexperts = 4\ntop_k = 2\nffn_dim = 64\ngated = true\n";
  }
  ~ProgramOnStandin() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string file(const std::string& name) const { return (folder_ / name).string(); }
  [[nodiscard]] pregate::test::ChildOutcome execute(std::map<std::string, std::string> variables) const {
    variables["LD_LIBRARY_PATH"] = PREGATE_STANDIN;
    return pregate::test::run_child(
        PREGATE_CLI,
        {"execute", "--device", "cuda", "--model", file("small.toml"), "--prompt", "2", "--output", "1",
         "--policy", "pre-gated", "--json", file("m.json"), "--timeline", file("t.json")},
        variables, 60);
  }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      names.push_back(entry.path().filename().string());
    return names;
  }

 private:
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("pregate-standin-program-" + std::to_string(::getpid()));
};

// From each call on the device is gone. The program says so with exit code 2, in time, and writes nothing;
// only when all results were there before is the run a whole one.
TEST_F(ProgramOnStandin, ADeviceThatGoesAwayIsAnErrorAndNoFileIsWritten) {
  const std::string calls = file("calls.json");
  const pregate::test::ChildOutcome whole = execute({{"STANDIN_CALLS", calls}});
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  std::ifstream written(calls);
  const int total = nlohmann::json::parse(written).at("total").get<int>();
  EXPECT_GT(total, 100);
  int first_whole = 0;  // nothing is asked of the device any more
  for (int n = 1; n <= total; ++n) {
    if (!pregate::test::is_tried(n - 1, total)) continue;
    for (const char* name : {"m.json", "t.json", "calls.json"}) std::filesystem::remove(file(name));
    const pregate::test::ChildOutcome run =
        execute({{"STANDIN_FAIL", "*:" + std::to_string(n) + "+:cudaErrorDevicesUnavailable"}});
    const std::string where =
        "from call " + std::to_string(n) + " of " + std::to_string(total) + " on: " + run.err;
    ASSERT_FALSE(run.hung) << where;
    if (run.exit_code == 0) {
      if (first_whole == 0) first_whole = n;
      EXPECT_THAT(files(), testing::UnorderedElementsAre("small.toml", "m.json", "t.json")) << where;
      std::ifstream json(file("m.json"));
      EXPECT_TRUE(nlohmann::json::accept(json)) << where;
      continue;
    }
    EXPECT_EQ(first_whole, 0) << where << "a device that had gone away was not missed";
    EXPECT_EQ(run.exit_code, 2) << where;
    EXPECT_THAT(pregate::test::last_line(run.err),
                testing::AnyOf(testing::HasSubstr("error: "), testing::HasSubstr("hint: ")))
        << where;
    EXPECT_THAT(run.err, testing::Not(HasSubstr("fault in pregate"))) << where;
    EXPECT_THAT(files(), testing::ElementsAre("small.toml")) << where;
  }
  EXPECT_TRUE(first_whole == 0 || first_whole > total / 2) << first_whole;
}

}  // namespace
}  // namespace pregate::runtime::test
