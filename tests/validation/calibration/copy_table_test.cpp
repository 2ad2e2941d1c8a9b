// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/copy_table.hpp"

#include <gtest/gtest.h>

namespace pregate::validation {
namespace {

/// A copy of `kib` KiB that takes `us` microseconds.
CopyPoint point(std::int64_t kib, double us) {
  return {{kib * 1024}, {static_cast<double>(kib) * 1024 / (us * 1e-6)}};
}
double us(const CopyPoint& point) { return static_cast<double>(point.size.count) / point.rate.value * 1e6; }

// 4, 8, 16, 32 KiB in 2, 9, 5, 10 us: 8 and 16 KiB share (9 + 5) / 2 = 7 us.
TEST(CopyTable, TimesThatFallShareTheirMean) {
  std::vector<CopyPoint> table = {point(4, 2), point(8, 9), point(16, 5), point(32, 10)};
  EXPECT_EQ(make_times_grow(table), 2);
  EXPECT_NEAR(us(table[0]), 2, 1e-9);
  EXPECT_NEAR(us(table[1]), 7, 1e-3);
  EXPECT_NEAR(us(table[2]), 7, 1e-3);
  EXPECT_NEAR(us(table[3]), 10, 1e-9);
  for (std::size_t i = 1; i < table.size(); ++i) EXPECT_GT(us(table[i]), us(table[i - 1])) << i;
  EXPECT_EQ(make_times_grow(table), 0) << "once is enough";
}

// A pool may fall below the one before it: 6, 5, 1 become (6 + 5 + 1) / 3 = 4.
TEST(CopyTable, PoolsGrowUntilNothingFalls) {
  std::vector<CopyPoint> table = {point(4, 6), point(8, 5), point(16, 1), point(32, 4.5)};
  EXPECT_EQ(make_times_grow(table), 3);
  for (const int i : {0, 1, 2}) EXPECT_NEAR(us(table[static_cast<std::size_t>(i)]), 4, 1e-3);
}

// The expert's own fetch was measured where it matters: neighbours yield to it.
TEST(CopyTable, ThePointThatMattersStays) {
  std::vector<CopyPoint> table = {point(4, 2), point(8, 9), point(12, 8), point(16, 7)};
  EXPECT_EQ(make_times_grow(table, Bytes{12 * 1024}), 2);
  EXPECT_NEAR(us(table[2]), 8, 1e-9);
  EXPECT_LT(us(table[1]), 8);
  EXPECT_GT(us(table[3]), 8);
}

}  // namespace
}  // namespace pregate::validation
