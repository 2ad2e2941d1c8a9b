// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the program prints, word for word. With PREGATE_UPDATE_GOLDEN=1 the files are written instead of
// compared; look at their difference before it is committed.
#include <cstdlib>
#include <fstream>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

class Golden : public ProgramTest {
 protected:
  void expect_golden(const std::string& name, const Words& arguments) const {
    const std::string printed = succeed(arguments);
    const std::filesystem::path file =
        std::filesystem::path(PREGATE_SOURCE_DIR) / "tests" / "cli" / "golden" / (name + ".txt");
    if (std::getenv("PREGATE_UPDATE_GOLDEN") != nullptr) {
      std::ofstream(file, std::ios::binary) << printed;
      GTEST_SKIP() << "SKIPPED: wrote " << file;
    }
    EXPECT_EQ(printed, content_of(file)) << "if this is meant, run again with PREGATE_UPDATE_GOLDEN=1";
  }
};

TEST_F(Golden, Compare) { expect_golden("compare", {"compare", "--machine", "a100-80g-fastertransformer"}); }
TEST_F(Golden, Simulate) {
  expect_golden("simulate", {"simulate", "--machine", "a100-80g-fastertransformer", "--policy",
                             "pre-gated-cache", "--cache", "10%"});
}
TEST_F(Golden, ListPolicies) { expect_golden("list-policies", {"list", "policies"}); }
TEST_F(Golden, ListEvictions) { expect_golden("list-evictions", {"list", "evictions"}); }
TEST_F(Golden, Help) { expect_golden("help", {"--help"}); }
TEST_F(Golden, CompareHelp) { expect_golden("compare-help", {"compare", "--help"}); }

}  // namespace
}  // namespace pregate::test
