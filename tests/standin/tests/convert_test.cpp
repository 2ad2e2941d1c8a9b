// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "tests/standin/ptx/numeric.hpp"
#include "tests/standin/tests/machine.hpp"

namespace pregate::standin::ptx {
namespace {

TEST(Convert, FloatsToIntegersRoundAndClamp) {
  EXPECT_EQ(result("cvt.rni.s32.f32", 32, {f32(2.5F)}), word(2));
  EXPECT_EQ(result("cvt.rni.s32.f32", 32, {f32(3.5F)}), word(4));
  EXPECT_EQ(result("cvt.rzi.s32.f32", 32, {f32(-2.9F)}), word(0xfffffffe));
  EXPECT_EQ(result("cvt.rmi.s32.f32", 32, {f32(-2.1F)}), word(0xfffffffd));
  EXPECT_EQ(result("cvt.rpi.u32.f32", 32, {f32(2.1F)}), word(3));
  EXPECT_EQ(result("cvt.rzi.s32.f32", 32, {f32(3e9F)}), word(0x7fffffff));
  EXPECT_EQ(result("cvt.rzi.s32.f32", 32, {f32(-3e9F)}), word(0x80000000));
  EXPECT_EQ(result("cvt.rzi.u32.f32", 32, {f32(-5)}), word(0));
  EXPECT_EQ(result("cvt.rzi.u32.f32", 32, {f32(INFINITY)}), word(0xffffffff));
  EXPECT_EQ(result("cvt.rzi.s64.f64", 64, {f64(9.3e18)}), quad(0x7fffffffffffffff));
  EXPECT_EQ(result("cvt.rzi.u64.f64", 64, {f64(1.8446744073709550e19)}), quad(0xfffffffffffff800));
  EXPECT_EQ(result("cvt.rzi.s8.f32", 32, {f32(-300)}), word(0xffffff80));  // extended to the register
  // NaN: 0, but 1 << (bits - 1) from .f64 or to 64 bits (PTX ISA 9.0, cvt).
  EXPECT_EQ(result("cvt.rzi.s32.f32", 32, {word(0x7fc00000)}), word(0));
  EXPECT_EQ(result("cvt.rzi.s64.f32", 64, {word(0x7fc00000)}), quad(1ULL << 63));
  EXPECT_EQ(result("cvt.rzi.s32.f64", 32, {f64(NAN)}), word(0x80000000));
  EXPECT_EQ(result("cvt.rzi.u32.f16", 32, {half(0x4500)}), word(5));
}

TEST(Convert, IntegersToFloats) {
  EXPECT_EQ(result("cvt.rn.f32.s32", 32, {word(0xffffffff)}), f32(-1));
  EXPECT_EQ(result("cvt.rn.f32.u32", 32, {word(0xffffffff)}), f32(4294967296.0F));
  EXPECT_EQ(result("cvt.rz.f32.u32", 32, {word(0xffffffff)}), f32(4294967040.0F));
  EXPECT_EQ(result("cvt.rn.f32.s32", 32, {word(0x01000001)}), f32(16777216.0F));
  EXPECT_EQ(result("cvt.rp.f32.s32", 32, {word(0x01000001)}), f32(16777218.0F));
  EXPECT_EQ(result("cvt.rn.f64.u64", 64, {quad(~0ULL)}), f64(18446744073709551616.0));
  EXPECT_EQ(result("cvt.rn.f64.s64", 64, {quad(~0ULL)}), f64(-1));
  // 2^60 + 2^36 + 1 is just above half way between two floats; a detour over double would lose the 1.
  EXPECT_EQ(result("cvt.rn.f32.u64", 32, {quad((1ULL << 60) + (1ULL << 36) + 1)}),
            f32(std::ldexp(1.0F, 60) + std::ldexp(1.0F, 37)));
  EXPECT_EQ(result("cvt.rn.f16.s32", 16, {word(70000)}), half(0x7c00));
  EXPECT_EQ(result("cvt.rn.bf16.u16", 16, {half(257)}), half(0x4380));
}

TEST(Convert, BetweenFloats) {
  EXPECT_EQ(result("cvt.f64.f32", 64, {f32(0.1F)}), f64(static_cast<double>(0.1F)));
  EXPECT_EQ(result("cvt.rn.f32.f64", 32, {f64(0.1)}), f32(0.1F));
  EXPECT_EQ(result("cvt.rp.f32.f64", 32, {f64(1e-60)}), f32(std::ldexp(1.0F, -149)));
  EXPECT_EQ(result("cvt.rn.f16.f32", 16, {f32(65520)}), half(0x7c00));
  EXPECT_EQ(result("cvt.rz.f16.f32", 16, {f32(65520)}), half(0x7bff));
  EXPECT_EQ(result("cvt.rn.bf16.f32", 16, {word(0x3f808000)}), half(0x3f80));  // half way, to even
  EXPECT_EQ(result("cvt.rn.bf16.f32", 16, {word(0x3f818000)}), half(0x3f82));
  EXPECT_EQ(result("cvt.rn.bf16.f32", 16, {word(0xffc00000)}), half(0x7fff));
  EXPECT_EQ(result("cvt.f32.bf16", 32, {half(0xc040)}), f32(-3));
  EXPECT_EQ(result("cvt.f32.f16", 32, {half(1)}), f32(std::ldexp(1.0F, -24)));
  EXPECT_EQ(result("cvt.rn.f16x2.f32", 32, {f32(1), f32(2)}),
            word(0x3c004000));  // the first is the upper half
  EXPECT_EQ(result("cvt.rn.relu.bf16x2.f32", 32, {f32(-1), f32(2)}), word(0x00004000));
  EXPECT_EQ(result("cvt.rni.f32.f32", 32, {f32(-2.5F)}), f32(-2));
  EXPECT_EQ(result("cvt.rmi.f32.f32", 32, {f32(-2.5F)}), f32(-3));
  EXPECT_EQ(result("cvt.sat.f32.f32", 32, {f32(-7)}), f32(0));
  EXPECT_EQ(result("cvt.sat.f32.f32", 32, {word(0x7fc00000)}), f32(0));
  EXPECT_EQ(result("cvt.ftz.f32.f32", 32, {word(0x80000001)}), f32(-0.0F));
}

TEST(Convert, BetweenIntegers) {
  EXPECT_EQ(result("cvt.s64.s32", 64, {word(0x80000000)}), quad(0xffffffff80000000));
  EXPECT_EQ(result("cvt.u64.u32", 64, {word(0x80000000)}), quad(0x80000000));
  EXPECT_EQ(result("cvt.u32.u64", 32, {quad(0x123456789)}), word(0x23456789));
  EXPECT_EQ(result("cvt.s32.s8", 32, {word(0x180)}), word(0xffffff80));
  EXPECT_EQ(result("cvt.u16.u32", 16, {word(0x12345678)}), half(0x5678));
  EXPECT_EQ(result("cvt.sat.s8.s32", 32, {word(1000)}), word(127));
  EXPECT_EQ(result("cvt.sat.s8.s32", 32, {word(0xfffffc18)}), word(0xffffff80));
  EXPECT_EQ(result("cvt.sat.u8.s32", 32, {word(0xffffffff)}), word(0));
  EXPECT_EQ(result("cvt.sat.s32.u32", 32, {word(0xffffffff)}), word(0x7fffffff));
  EXPECT_EQ(result("cvt.sat.u32.u64", 32, {quad(1ULL << 40)}), word(0xffffffff));
}

TEST(Convert, RefusesWhatItDoesNotKnow) {
  EXPECT_THROW(result("cvt.rna.tf32.f32", 32, {f32(1)}), std::runtime_error);
  EXPECT_THROW(result("cvt.s32.f32", 32, {f32(1)}), std::runtime_error);
}

}  // namespace
}  // namespace pregate::standin::ptx
