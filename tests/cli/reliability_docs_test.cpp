// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// docs/reliability.md names tests and harnesses: all of them exist, and no harness is missing.
#include <algorithm>
#include <regex>
#include <set>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

const fs::path root(PREGATE_SOURCE_DIR);

Names found_in(const std::string& text, const std::string& pattern, const std::string& between = "") {
  Names names;
  const std::regex regex(pattern);
  for (std::sregex_iterator match(text.begin(), text.end(), regex), end; match != end; ++match)
    names.insert((*match)[1].str() + (match->size() > 2 ? between + (*match)[2].str() : std::string()));
  return names;
}

Names tests_that_exist() {
  Names names;
  for (const auto& entry : fs::recursive_directory_iterator(root / "tests")) {
    if (entry.path().extension() != ".cpp") continue;
    names.merge(found_in(content_of(entry.path()), R"(\bTEST(?:_F|_P)?\((\w+),\s*(\w+)\))", "."));
  }
  return names;
}

Names missing(const Names& wanted, const Names& there) {
  Names rest;
  std::set_difference(wanted.begin(), wanted.end(), there.begin(), there.end(),
                      std::inserter(rest, rest.begin()));
  return rest;
}

TEST(ReliabilityDocs, EveryNamedTestExists) {
  const Names named = found_in(content_of(root / "docs" / "reliability.md"), R"(`([A-Z]\w+\.[A-Z]\w+)`)");
  EXPECT_GT(named.size(), 40U);
  EXPECT_THAT(missing(named, tests_that_exist()), ::testing::IsEmpty());
}

// A page without a harness would be as wrong as a harness that nobody lists; and each has seeds to start
// from.
TEST(ReliabilityDocs, EveryHarnessIsNamedAndHasSeeds) {
  const Names named = found_in(content_of(root / "docs" / "reliability.md"), R"(`fuzz_(\w+)`)");
  const Names there =
      found_in(content_of(root / "tests" / "fuzz" / "CMakeLists.txt"), R"(\npregate_fuzz\((\w+))");
  EXPECT_THAT(missing(named, there), ::testing::IsEmpty()) << "named and not there";
  EXPECT_THAT(missing(there, named), ::testing::IsEmpty()) << "there and not named";
  for (const std::string& name : there)
    EXPECT_FALSE(fs::is_empty(root / "tests" / "fuzz" / "corpus" / name)) << name << " has no seeds";
}

// A reader of recordings that is added to the list of importers has a harness.
TEST(ReliabilityDocs, EveryImporterHasAHarness) {
  const Names parsers = found_in(content_of(root / "traces" / "import.cpp"), R"(&parse_(\w+)\})");
  EXPECT_GT(parsers.size(), 15U);
  EXPECT_THAT(missing(parsers, found_in(content_of(root / "tests" / "fuzz" / "CMakeLists.txt"),
                                        R"(\npregate_fuzz\((\w+))")),
              ::testing::IsEmpty());
}

}  // namespace
}  // namespace pregate::test
