// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "tests/standin/ptx/numeric.hpp"
#include "tests/standin/tests/machine.hpp"

namespace pregate::standin::ptx {
namespace {

Value f16(double v) { return half(encode(v, f16_format, Rounding::nearest_even)); }
Value bf16(double v) { return half(encode(v, bf16_format, Rounding::nearest_even)); }
Value packed(const Value& low, const Value& high) { return word(high.value << 16 | low.value); }

// Bit patterns from IEEE 754 (binary16) and from the upper half of binary32 (bfloat16).
TEST(SmallFormats, KnownPatterns) {
  EXPECT_EQ(f16(1), half(0x3c00));
  EXPECT_EQ(f16(65504), half(0x7bff));
  EXPECT_EQ(f16(65519.99), half(0x7bff));
  EXPECT_EQ(f16(65520), half(0x7c00));
  EXPECT_EQ(f16(std::ldexp(1.0, -24)), half(1));
  EXPECT_EQ(f16(std::ldexp(1.0, -25)), half(0));  // half way to the smallest: to even
  EXPECT_EQ(f16(std::ldexp(1.0000001, -25)), half(1));
  EXPECT_EQ(f16(std::ldexp(1023.5, -24)), half(0x400));  // carries into the normal numbers
  EXPECT_EQ(f16(-0.0), half(0x8000));
  EXPECT_EQ(bf16(1), half(0x3f80));
  EXPECT_EQ(bf16(3.3895313892515355e38), half(0x7f7f));
  EXPECT_EQ(bf16(std::nan("")), half(0x7fff));
  EXPECT_EQ(encode(1e30, f16_format, Rounding::toward_zero), 0x7bff);
  EXPECT_EQ(encode(-1e30, f16_format, Rounding::down), 0xfc00);
  EXPECT_EQ(encode(-1e30, f16_format, Rounding::up), 0xfbff);
  EXPECT_EQ(encode(std::ldexp(1.0, -30), f16_format, Rounding::up), 1);
}

TEST(SmallFormats, DecodeThenEncodeIsTheIdentity) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    for (const SmallFormat format : {f16_format, bf16_format}) {
      const auto pattern = static_cast<std::uint16_t>(bits);
      const double value = decode(pattern, format);
      const std::uint16_t expected = std::isnan(value) ? 0x7fff : pattern;
      ASSERT_EQ(encode(value, format, Rounding::nearest_even), expected) << bits;
    }
  }
}

// _Float16 is the host compiler's own implementation.
TEST(SmallFormats, HalfRoundingAgreesWithTheHostCompiler) {
  std::uint32_t bits = 1;
  for (int i = 0; i < 100000; ++i) {
    bits = bits * 1664525U + 1013904223U;
    const auto value = std::bit_cast<float>((bits & 0x8fffffffU) | 0x30000000U);
    __extension__ const auto native = static_cast<_Float16>(value);
    ASSERT_EQ(encode(static_cast<double>(value), f16_format, Rounding::nearest_even),
              std::bit_cast<std::uint16_t>(native))
        << value;
  }
}

TEST(HalfInstructions, Arithmetic) {
  EXPECT_EQ(result("add.f16", 16, {f16(1.5), f16(2.25)}), f16(3.75));
  EXPECT_EQ(result("add.rn.bf16", 16, {bf16(1), bf16(std::ldexp(1.0, -8))}), bf16(1));  // half way, to even
  EXPECT_EQ(result("sub.f16", 16, {f16(1), f16(3)}), f16(-2));
  EXPECT_EQ(result("mul.f16", 16, {f16(256), f16(256)}), half(0x7c00));
  EXPECT_EQ(result("mul.rn.bf16", 16, {bf16(3), bf16(-2)}), bf16(-6));
  EXPECT_EQ(result("add.sat.f16", 16, {f16(1), f16(3)}), f16(1));
  EXPECT_EQ(result("neg.f16", 16, {f16(1)}), f16(-1));
  EXPECT_EQ(result("abs.bf16", 16, {bf16(-4)}), bf16(4));
  EXPECT_EQ(result("add.f16", 16, {half(0x7e01), f16(1)}), half(0x7fff));
  EXPECT_EQ(result("ex2.approx.f16", 16, {f16(3)}), f16(8));
  EXPECT_EQ(result("ex2.approx.ftz.bf16", 16, {bf16(-2)}), bf16(0.25));
  EXPECT_EQ(result("tanh.approx.f16", 16, {f16(0)}), f16(0));
  EXPECT_EQ(result("add.ftz.f16", 16, {half(1), half(1)}), half(0));
}

// 2048.0 has a spacing of 2; 1 + a little more than the half of it must round up, which a sum in two steps
// loses: 2048 * 1 + (1 + 2^-10) = 2049.0009765625.
TEST(HalfInstructions, FmaRoundsOnce) {
  EXPECT_EQ(result("fma.rn.f16", 16, {f16(2048), f16(1), half(0x3c01)}), f16(2050));
  EXPECT_EQ(result("fma.rn.f16", 16, {f16(2048), f16(1), f16(1)}), f16(2048));
  // The sticky bit is 2^-48 here, beyond the product's own precision in double.
  EXPECT_EQ(result("fma.rn.f16", 16, {half(1), half(1), f16(2049.0 / 2048.0)}),
            half(encode(2049.0 / 2048.0, f16_format, Rounding::nearest_even)));
  EXPECT_EQ(result("fma.rn.relu.bf16", 16, {bf16(1), bf16(-1), bf16(0)}), bf16(0));
}

TEST(HalfInstructions, PackedHalvesAreIndependent) {
  EXPECT_EQ(result("fma.rn.bf16x2", 32,
                   {packed(bf16(2), bf16(3)), packed(bf16(4), bf16(5)), packed(bf16(1), bf16(-1))}),
            packed(bf16(9), bf16(14)));
  EXPECT_EQ(result("mul.f16x2", 32, {packed(f16(2), f16(3)), packed(f16(4), f16(5))}),
            packed(f16(8), f16(15)));
  EXPECT_EQ(result("max.f16x2", 32, {packed(half(0x7e00), f16(-1)), packed(f16(2), f16(-2))}),
            packed(f16(2), f16(-1)));
  EXPECT_EQ(result("min.NaN.bf16x2", 32, {packed(half(0x7fc0), bf16(1)), packed(bf16(2), bf16(2))}),
            packed(half(0x7fff), bf16(1)));
  EXPECT_EQ(result("neg.bf16x2", 32, {packed(bf16(1), bf16(-2))}), packed(bf16(-1), bf16(2)));
}

}  // namespace
}  // namespace pregate::standin::ptx
