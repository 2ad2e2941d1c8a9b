// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the pages show below "$ pregate list …" is what the program lists: the tables of fields and of
// metrics follow from their descriptions. With PREGATE_UPDATE_GOLDEN=1 the pages are written instead of
// compared.
#include <cstdlib>
#include <fstream>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

class ListedDocs : public ProgramTest {
 protected:
  /// Compares the listings of a page, or writes them. Returns how many there are.
  int check(const std::string& name) const {
    const std::filesystem::path page = std::filesystem::path(PREGATE_SOURCE_DIR) / "docs" / name;
    const std::string prompt = "```\n$ pregate list ";
    std::string text = content_of(page);
    int listings = 0;
    for (std::size_t at = 0; (at = text.find(prompt, at)) != std::string::npos; ++listings) {
      const std::size_t end_of_command = text.find('\n', at + prompt.size());
      const std::string what = text.substr(at + prompt.size(), end_of_command - at - prompt.size());
      const std::size_t begin = end_of_command + 1, end = text.find("```", begin);
      const std::string listed = succeed({"list", what});
      if (std::getenv("PREGATE_UPDATE_GOLDEN") == nullptr) {
        EXPECT_EQ(text.substr(begin, end - begin), listed)
            << page << ": if this is meant, PREGATE_UPDATE_GOLDEN=1";
      }
      text.replace(begin, end - begin, listed);
      at = begin + listed.size();
    }
    if (std::getenv("PREGATE_UPDATE_GOLDEN") != nullptr) std::ofstream(page, std::ios::binary) << text;
    return listings;
  }
};

TEST_F(ListedDocs, Policies) { EXPECT_EQ(check("policies.md"), 2); }
TEST_F(ListedDocs, Cache) { EXPECT_EQ(check("cache.md"), 1); }
TEST_F(ListedDocs, Models) { EXPECT_EQ(check("models.md"), 1); }
TEST_F(ListedDocs, Software) { EXPECT_EQ(check("software.md"), 2); }
TEST_F(ListedDocs, Serving) { EXPECT_EQ(check("serving.md"), 1); }
TEST_F(ListedDocs, SeveralGpus) { EXPECT_EQ(check("several-gpus.md"), 1); }
TEST_F(ListedDocs, Metrics) { EXPECT_EQ(check("cli.md"), 1); }

}  // namespace
}  // namespace pregate::test
