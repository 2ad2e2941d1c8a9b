// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/standin/ptx/numeric.hpp"
#include "tests/standin/tests/machine.hpp"

namespace pregate::standin::ptx {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float largest = std::numeric_limits<float>::max();
constexpr float tiny = std::numeric_limits<float>::denorm_min();
const Value canonical = word(canonical_nan_f32);
const Value negative_nan = word(0xffc00001);

TEST(FloatInstructions, EveryNanResultIsCanonical) {
  EXPECT_EQ(result("add.f32", 32, {f32(infinity), f32(-infinity)}), canonical);
  EXPECT_EQ(result("mul.f32", 32, {f32(0), f32(infinity)}), canonical);
  EXPECT_EQ(result("fma.rn.f32", 32, {negative_nan, f32(1), f32(1)}), canonical);
  EXPECT_EQ(result("sub.f32", 32, {negative_nan, f32(1)}), canonical);
  EXPECT_EQ(result("sqrt.rn.f32", 32, {f32(-1)}), canonical);
  EXPECT_EQ(result("add.f64", 64, {f64(INFINITY), f64(-INFINITY)}), quad(0x7fffffffffffffff));
}

// 1 + 2^-24 lies half way between two floats; 1 + 3 * 2^-24 likewise, with an odd lower neighbour.
TEST(FloatInstructions, RoundingDirections) {
  const float step = std::ldexp(1.0F, -23);
  const float half_step = std::ldexp(1.0F, -24);
  EXPECT_EQ(result("add.rn.f32", 32, {f32(1), f32(half_step)}), f32(1));
  EXPECT_EQ(result("add.rz.f32", 32, {f32(1), f32(half_step)}), f32(1));
  EXPECT_EQ(result("add.rp.f32", 32, {f32(1), f32(half_step)}), f32(1 + step));
  EXPECT_EQ(result("add.rm.f32", 32, {f32(-1), f32(-half_step)}), f32(-1 - step));
  EXPECT_EQ(result("add.f32", 32, {f32(1 + step), f32(half_step)}), f32(1 + 2 * step));
  EXPECT_EQ(result("mul.rp.f32", 32, {f32(tiny), f32(0.25F)}), f32(tiny));
  EXPECT_EQ(result("mul.rm.f32", 32, {f32(tiny), f32(0.25F)}), f32(0));
  EXPECT_EQ(result("add.rz.f32", 32, {f32(largest), f32(largest)}), f32(largest));
  EXPECT_EQ(result("fma.rm.f32", 32, {f32(-1), f32(half_step), f32(-1)}), f32(-1 - step));
  EXPECT_EQ(result("div.rz.f32", 32, {f32(1), f32(3)}), word(0x3eaaaaaa));
  EXPECT_EQ(result("div.rn.f32", 32, {f32(1), f32(3)}), word(0x3eaaaaab));
  EXPECT_EQ(result("sqrt.rp.f32", 32, {f32(2)}), word(0x3fb504f4));
  EXPECT_EQ(result("sqrt.rn.f32", 32, {f32(2)}), word(0x3fb504f3));
  EXPECT_EQ(result("add.rp.f64", 64, {f64(1), f64(std::ldexp(1.0, -60))}), f64(std::nextafter(1.0, 2.0)));
}

// (1 + 2^-12)^2 - (1 + 2^-11) = 2^-24 exactly; with a rounded product it would be 0.
TEST(FloatInstructions, FmaRoundsOnce) {
  const float a = 1 + std::ldexp(1.0F, -12);
  EXPECT_EQ(result("fma.rn.f32", 32, {f32(a), f32(a), f32(-1 - std::ldexp(1.0F, -11))}),
            f32(std::ldexp(1.0F, -24)));
  EXPECT_EQ(result("fma.rn.f64", 64, {f64(3), f64(4), f64(5)}), f64(17));
}

TEST(FloatInstructions, FlushAndSaturate) {
  EXPECT_EQ(result("add.f32", 32, {f32(tiny), f32(0)}), f32(tiny));
  EXPECT_EQ(result("add.ftz.f32", 32, {f32(-tiny), f32(-0.0F)}), f32(-0.0F));
  EXPECT_EQ(result("mul.ftz.f32", 32, {f32(std::ldexp(1.0F, -126)), f32(0.5F)}), f32(0));
  EXPECT_EQ(result("add.sat.f32", 32, {f32(3), f32(1)}), f32(1));
  EXPECT_EQ(result("add.sat.f32", 32, {f32(-3), f32(1)}), f32(0));
  EXPECT_EQ(result("mul.sat.f32", 32, {negative_nan, f32(1)}), f32(0));
  EXPECT_EQ(result("fma.rn.sat.f32", 32, {f32(0.5F), f32(0.5F), f32(0)}), f32(0.25F));
}

TEST(FloatInstructions, ExtremesPreferNumbersToNan) {
  EXPECT_EQ(result("max.f32", 32, {negative_nan, f32(2)}), f32(2));
  EXPECT_EQ(result("min.f32", 32, {f32(2), negative_nan}), f32(2));
  EXPECT_EQ(result("max.f32", 32, {negative_nan, negative_nan}), canonical);
  EXPECT_EQ(result("max.NaN.f32", 32, {negative_nan, f32(2)}), canonical);
  EXPECT_EQ(result("min.f32", 32, {f32(0.0F), f32(-0.0F)}), f32(-0.0F));
  EXPECT_EQ(result("max.f32", 32, {f32(-0.0F), f32(0.0F)}), f32(0.0F));
  EXPECT_EQ(result("max.f64", 64, {f64(-3), f64(-INFINITY)}), f64(-3));
}

TEST(FloatInstructions, Signs) {
  EXPECT_EQ(result("neg.f32", 32, {f32(0)}), f32(-0.0F));
  EXPECT_EQ(result("abs.f32", 32, {f32(-infinity)}), f32(infinity));
  EXPECT_EQ(result("copysign.f32", 32, {f32(-1), f32(5)}), f32(-5));  // the sign of the first
  EXPECT_EQ(result("neg.f64", 64, {f64(2)}), f64(-2));
}

TEST(FloatInstructions, Approximations) {
  EXPECT_EQ(result("ex2.approx.f32", 32, {f32(-1)}), f32(0.5F));
  EXPECT_EQ(result("ex2.approx.f32", 32, {f32(-infinity)}), f32(0));
  EXPECT_EQ(result("ex2.approx.f32", 32, {f32(-149)}), f32(tiny));
  EXPECT_EQ(result("ex2.approx.ftz.f32", 32, {f32(-149)}), f32(0));
  EXPECT_EQ(result("ex2.approx.f32", 32, {f32(200)}), f32(infinity));
  EXPECT_EQ(result("lg2.approx.f32", 32, {f32(8)}), f32(3));
  EXPECT_EQ(result("lg2.approx.f32", 32, {f32(0)}), f32(-infinity));
  EXPECT_EQ(result("lg2.approx.f32", 32, {f32(-1)}), canonical);
  EXPECT_EQ(result("rcp.approx.ftz.f32", 32, {f32(-0.0F)}), f32(-infinity));
  EXPECT_EQ(result("rcp.rn.f32", 32, {f32(3)}), word(0x3eaaaaab));
  EXPECT_EQ(result("rsqrt.approx.f32", 32, {f32(0.25F)}), f32(2));
  EXPECT_EQ(result("rsqrt.approx.f32", 32, {f32(0)}), f32(infinity));
  EXPECT_EQ(result("sqrt.approx.f32", 32, {f32(9)}), f32(3));
  EXPECT_EQ(result("sin.approx.f32", 32, {f32(0)}), f32(0));
  EXPECT_EQ(result("cos.approx.f32", 32, {f32(0)}), f32(1));
  EXPECT_EQ(result("tanh.approx.f32", 32, {f32(infinity)}), f32(1));
  EXPECT_EQ(result("div.full.f32", 32, {f32(1), f32(4)}), f32(0.25F));
  EXPECT_EQ(result("rcp.approx.ftz.f64", 64, {f64(3)}), quad(0x3fd5555500000000));
  EXPECT_THROW(result("ex2.f32", 32, {f32(1)}), std::runtime_error);
}

}  // namespace
}  // namespace pregate::standin::ptx
