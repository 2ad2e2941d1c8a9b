// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pregate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::vector<std::string> names = {"gpu-only", "on-demand", "on-demand-cache", "pre-gated",
                                        "prefetch-all"};

TEST(InputError, SaysWhereWhatAndHow) {
  EXPECT_STREQ(InputError("a.toml:3", "is wrong", "mend it").what(),
               "a.toml:3: is wrong\n       hint: mend it");
  EXPECT_STREQ(InputError("", "is wrong").what(), "is wrong");
}

TEST(NearestNames, NearestFirstAndOnlyWhatIsNear) {
  EXPECT_THAT(nearest_names("pregated", names), ElementsAre("pre-gated"));
  EXPECT_THAT(nearest_names("PRE-GATED", names), ElementsAre("pre-gated"));
  EXPECT_THAT(nearest_names("demand", names), ElementsAre("on-demand", "on-demand-cache"));
  EXPECT_THAT(nearest_names("demand", names, 1), ElementsAre("on-demand"));
  EXPECT_THAT(nearest_names("mixtral", names), IsEmpty());
  EXPECT_THAT(nearest_names(std::string(1 << 20, 'p'), names), IsEmpty());
}

TEST(Suggest, NamesTheNearOrListsAll) {
  EXPECT_EQ(suggest("pregated", names), "did you mean 'pre-gated'?");
  EXPECT_EQ(suggest("demand", names), "did you mean 'on-demand' or 'on-demand-cache'?");
  EXPECT_EQ(suggest("x", names), "valid: gpu-only, on-demand, on-demand-cache, pre-gated, prefetch-all");
}

TEST(Printable, KeepsTerminalsSafe) {
  EXPECT_EQ(printable("a\x1b[31m\nb"), "a?[31m?b");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
}

}  // namespace
}  // namespace pregate
