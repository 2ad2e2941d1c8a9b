// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/element.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>

namespace pregate::kernels {
namespace {

TEST(Float16, KnownValues) {
  EXPECT_EQ(to_float(Float16{0x3c00}), 1.0F);
  EXPECT_EQ(to_float(Float16{0xc000}), -2.0F);
  EXPECT_EQ(to_float(Float16{0x7bff}), 65504.0F);  // the largest
  EXPECT_EQ(to_float(Float16{0x0400}), 0x1p-14F);  // the smallest normal
  EXPECT_EQ(to_float(Float16{0x0001}), 0x1p-24F);  // the smallest
  EXPECT_EQ(to_float(Float16{0xfc00}), -INFINITY);
  EXPECT_EQ(to_float16(0.1F).bits, 0x2e66);
  EXPECT_EQ(to_float16(-0.0F).bits, 0x8000);
}

// Between each two neighbours the midpoint goes to the one with an even last bit, and what is one float
// nearer to either goes there. So every rounding decision of the format is made here once, in both signs.
TEST(Float16, RoundsToNearestTiesToEven) {
  for (std::uint16_t bits = 0; bits < 0x7bff; ++bits) {
    const auto above = static_cast<std::uint16_t>(bits + 1);
    const float low = to_float(Float16{bits});
    const float high = to_float(Float16{above});
    ASSERT_LT(low, high) << bits;
    const float middle = low + (high - low) / 2;  // exact in float
    ASSERT_EQ(to_float16(low).bits, bits);
    ASSERT_EQ(to_float16(middle).bits, bits % 2 == 0 ? bits : above) << bits;
    ASSERT_EQ(to_float16(std::nextafter(middle, low)).bits, bits);
    ASSERT_EQ(to_float16(std::nextafter(middle, high)).bits, above);
    ASSERT_EQ(to_float16(-std::nextafter(middle, high)).bits, above | 0x8000);
  }
}

TEST(Float16, TooLargeIsInfiniteAndNanStays) {
  EXPECT_EQ(to_float16(std::nextafter(65520.0F, 0.0F)).bits, 0x7bff);
  EXPECT_EQ(to_float16(65520.0F).bits, 0x7c00);
  EXPECT_EQ(to_float16(-INFINITY).bits, 0xfc00);
  for (std::uint32_t bits = 0x7c01; bits <= 0x7fff; ++bits)
    ASSERT_TRUE(std::isnan(to_float(Float16{static_cast<std::uint16_t>(bits)})));
  EXPECT_TRUE(std::isnan(to_float(to_float16(NAN))));
}

TEST(BFloat16, RoundsToNearestTiesToEven) {
  EXPECT_EQ(to_float(BFloat16{0x3f80}), 1.0F);
  for (std::uint32_t bits = 0; bits < 0x7f7f; ++bits) {
    const float low = std::bit_cast<float>(bits << 16);
    const float middle = std::bit_cast<float>((bits << 16) + 0x8000U);
    ASSERT_EQ(to_bfloat16(low).bits, bits);
    ASSERT_EQ(to_bfloat16(middle).bits, bits + bits % 2);
    ASSERT_EQ(to_bfloat16(std::nextafter(middle, 0.0F)).bits, bits);
    ASSERT_EQ(to_bfloat16(-std::nextafter(middle, INFINITY)).bits, (bits + 1) | 0x8000U);
  }
}

TEST(BFloat16, TooLargeIsInfiniteAndNanStays) {
  EXPECT_EQ(to_bfloat16(std::bit_cast<float>(0x7f7fffffU)).bits, 0x7f80);
  EXPECT_EQ(to_bfloat16(INFINITY).bits, 0x7f80);
  // A NaN whose payload lies in the lower half must not become infinity, nor carry into the sign.
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::bit_cast<float>(0x7f800001U)))));
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::bit_cast<float>(0x7fffffffU)))));
}

}  // namespace
}  // namespace pregate::kernels
