// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "tests/standin/tests/machine.hpp"

namespace pregate::standin::ptx {
namespace {

TEST(Compare, IntegersBySign) {
  EXPECT_EQ(result("setp.lt.s32", 1, {word(0xffffffff), word(1)}), flag(true));
  EXPECT_EQ(result("setp.lt.u32", 1, {word(0xffffffff), word(1)}), flag(false));
  EXPECT_EQ(result("setp.lo.u32", 1, {word(1), word(0xffffffff)}), flag(true));
  EXPECT_EQ(result("setp.ge.s64", 1, {quad(~0ULL), quad(0)}), flag(false));
  EXPECT_EQ(result("setp.gt.u64", 1, {quad(~0ULL), quad(0)}), flag(true));
  EXPECT_EQ(result("setp.eq.b16", 1, {half(5), half(5)}), flag(true));
  EXPECT_EQ(result("setp.ne.s32 %d, %a, -1;", 1, {word(0xffffffff)}), flag(false));
  EXPECT_EQ(result("setp.le.s64", 1, {quad(3), quad(3)}), flag(true));
}

TEST(Compare, NanMakesOrderedTestsFalseAndUnorderedTrue) {
  const Value nan = word(0x7fc00000);
  for (const char* test : {"eq", "ne", "lt", "le", "gt", "ge", "num"}) {
    EXPECT_EQ(result("setp." + std::string(test) + ".f32", 1, {nan, f32(1)}), flag(false)) << test;
  }
  for (const char* test : {"equ", "neu", "ltu", "leu", "gtu", "geu", "nan"}) {
    EXPECT_EQ(result("setp." + std::string(test) + ".f32", 1, {f32(1), nan}), flag(true)) << test;
  }
  EXPECT_EQ(result("setp.eq.f32", 1, {f32(0.0F), f32(-0.0F)}), flag(true));
  EXPECT_EQ(result("setp.neu.f32", 1, {f32(1), f32(1)}), flag(false));
  EXPECT_EQ(result("setp.ltu.f64", 1, {f64(2), f64(1)}), flag(false));
  EXPECT_EQ(result("setp.eq.ftz.f32", 1, {word(1), f32(0)}), flag(true));  // a subnormal number
  EXPECT_EQ(result("setp.gt.f16", 1, {half(0x3c00), half(0xbc00)}), flag(true));
  EXPECT_EQ(result("setp.lt.bf16", 1, {half(0x3f80), half(0x4000)}), flag(true));
}

TEST(Compare, CombinesWithAPredicateAndGivesTheOpposite) {
  EXPECT_EQ(result("setp.lt.and.s32", 1, {word(1), word(2), flag(false)}), flag(false));
  EXPECT_EQ(result("setp.lt.or.s32", 1, {word(3), word(2), flag(true)}), flag(true));
  EXPECT_EQ(result("setp.lt.xor.s32", 1, {word(1), word(2), flag(true)}), flag(false));
  EXPECT_EQ(result("setp.lt.and.s32 %d, %a, %b, !%c;", 1, {word(1), word(2), flag(false)}), flag(true));
  EXPECT_EQ(result(".reg .pred %q; setp.lt.s32 %q|%d, %a, %b;", 1, {word(1), word(2)}), flag(false));
  // The second result is (!test) and c.
  EXPECT_EQ(result(".reg .pred %q; setp.lt.and.s32 %q|%d, %a, %b, %c;", 1, {word(3), word(2), flag(false)}),
            flag(false));
}

TEST(Compare, SelectsAndSets) {
  EXPECT_EQ(result("selp.b32", 32, {word(7), word(9), flag(true)}), word(7));
  EXPECT_EQ(result("selp.u64", 64, {quad(7), quad(9), flag(false)}), quad(9));
  EXPECT_EQ(result("selp.f32 %d, 0f3F800000, %a, %b;", 32, {f32(2), flag(true)}), f32(1));
  EXPECT_EQ(result("slct.b32.s32", 32, {word(7), word(9), word(0xffffffff)}), word(9));
  EXPECT_EQ(result("slct.b32.f32", 32, {word(7), word(9), f32(-0.0F)}), word(7));
  EXPECT_EQ(result("set.gt.u32.s32", 32, {word(1), word(0xffffffff)}), word(0xffffffff));
  EXPECT_EQ(result("set.lt.f32.f32", 32, {f32(1), f32(2)}), f32(1));
  EXPECT_EQ(result("set.eq.f16x2.f16x2", 32, {word(0x3c003c00), word(0x00003c00)}), word(0x00003c00));
  EXPECT_EQ(result("set.gt.bf16x2.bf16x2", 32, {word(0x40003f80), word(0x3f804000)}), word(0x3f800000));
  EXPECT_EQ(result("testp.subnormal.f32", 1, {word(1)}), flag(true));
  EXPECT_EQ(result("testp.finite.f32", 1, {f32(INFINITY)}), flag(false));
}

TEST(Move, PacksAndUnpacks) {
  EXPECT_EQ(result("mov.b32 %d, {%a, %b};", 32, {half(0x1111), half(0x2222)}), word(0x22221111));
  EXPECT_EQ(result(".reg .b16 %x; mov.b32 {%x, %d}, %a;", 16, {word(0x22221111)}), half(0x2222));
  EXPECT_EQ(result("mov.b64 %d, {%a, %b};", 64, {word(1), word(2)}), quad(0x200000001));
  EXPECT_EQ(result(".reg .b32 %x; mov.b64 {%d, _}, %a;", 32, {quad(0x200000001)}), word(1));
  EXPECT_EQ(result("mov.pred %d, -1;", 1, {}), flag(true));
  EXPECT_EQ(result("mov.f32 %d, 0fBF800000;", 32, {}), f32(-1));
  EXPECT_EQ(result("mov.f64 %d, 0d4000000000000000;", 64, {}), f64(2));
  EXPECT_EQ(result("mov.u32 %d, 0x10U;", 32, {}), word(16));
}

}  // namespace
}  // namespace pregate::standin::ptx
