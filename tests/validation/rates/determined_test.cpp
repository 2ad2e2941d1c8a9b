// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Which constants rows determine, on columns whose norms and angles are known.
#include "validation/rates/determined.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pregate::validation {
namespace {

using testing::ElementsAre;

// Norms 1, 2, 0.05 and 0.5: the second is first; the first lies along it and nothing is left; the fourth is
// perpendicular to it; the third moves no row by as much as 0.1.
TEST(Determined, WhatIsAlikeOrWithoutEffectIsLeft) {
  const Determined found = determined_by({{1, 0}, {2, 0}, {0, 0.05}, {0, 0.5}}, 4);
  EXPECT_THAT(found.chosen, ElementsAre(1, 3));
  ASSERT_EQ(found.left.size(), 2U);
  EXPECT_EQ(found.left[0].constant, 0U);
  EXPECT_EQ(found.left[0].like, 1U);
  EXPECT_EQ(found.left[1].constant, 2U);
  EXPECT_FALSE(found.left[1].like.has_value());
  EXPECT_FALSE(found.left[1].is_beyond_rows);
}

// (1, 1) and (1, 1.1): of the first, less what is along the second, (1, 1) x (1, 1.1) / |(1, 1.1)| is left:
// 0.1 / 1.487 = 0.067, below 0.1. With (1, 1.2) it is 0.2 / 1.562 = 0.128.
TEST(Determined, EffectsThatAreNearlyAlikeAreNotTold) {
  const Determined near = determined_by({{1, 1}, {1, 1.1}}, 2);
  EXPECT_THAT(near.chosen, ElementsAre(1));
  EXPECT_EQ(near.left.at(0).like, 1U);
  EXPECT_THAT(determined_by({{1, 1}, {1, 1.2}}, 2).chosen, ElementsAre(1, 0));
}

TEST(Determined, NotMoreThanAsked) {
  const Determined found = determined_by({{1, 0}, {0, 1}}, 1);
  EXPECT_THAT(found.chosen, ElementsAre(0)) << "of equals the first";
  EXPECT_TRUE(found.left.at(0).is_beyond_rows);
}

}  // namespace
}  // namespace pregate::validation
