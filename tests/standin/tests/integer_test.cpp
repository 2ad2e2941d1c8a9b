// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/standin/tests/machine.hpp"

namespace pregate::standin::ptx {
namespace {

// Expected values follow the PTX ISA, chapter "Integer Arithmetic Instructions".
TEST(IntegerInstructions, SumsWrapOrSaturate) {
  EXPECT_EQ(result("add.s32", 32, {word(0x7fffffff), word(1)}), word(0x80000000));
  EXPECT_EQ(result("add.sat.s32", 32, {word(0x7fffffff), word(1)}), word(0x7fffffff));
  EXPECT_EQ(result("sub.sat.s32", 32, {word(0x80000000), word(1)}), word(0x80000000));
  EXPECT_EQ(result("add.s64", 64, {quad(~0ULL), quad(2)}), quad(1));
  EXPECT_EQ(result("add.u16", 16, {half(0xffff), half(2)}), half(1));
  EXPECT_EQ(result("sub.s32", 32, {word(3), word(5)}), word(0xfffffffe));
  EXPECT_EQ(result("sub.s64", 64, {quad(0), quad(1)}), quad(~0ULL));
  EXPECT_EQ(result("add.s32 %d, %a, -7;", 32, {word(5)}), word(0xfffffffe));
}

TEST(IntegerInstructions, ProductsKeepTheAskedHalf) {
  EXPECT_EQ(result("mul.lo.s32", 32, {word(0x10000), word(0x10001)}), word(0x10000));
  EXPECT_EQ(result("mul.hi.u32", 32, {word(0xffffffff), word(0xffffffff)}), word(0xfffffffe));
  EXPECT_EQ(result("mul.hi.s32", 32, {word(0xffffffff), word(0xffffffff)}), word(0));
  EXPECT_EQ(result("mul.hi.u64", 64, {quad(~0ULL), quad(~0ULL)}), quad(~0ULL - 1));
  EXPECT_EQ(result("mul.hi.s64", 64, {quad(~0ULL), quad(5)}), quad(~0ULL));
  EXPECT_EQ(result("mul.wide.s32", 64, {word(0xffffffff), word(2)}), quad(~0ULL - 1));
  EXPECT_EQ(result("mul.wide.u32", 64, {word(0xffffffff), word(2)}), quad(0x1fffffffe));
  EXPECT_EQ(result("mul.wide.u16", 32, {half(0xffff), half(0xffff)}), word(0xfffe0001));
  EXPECT_EQ(result("mul.lo.s64", 64, {quad(~0ULL), quad(3)}), quad(~0ULL - 2));
  EXPECT_EQ(result("mad.lo.s32", 32, {word(0xffffffff), word(3), word(10)}), word(7));
  EXPECT_EQ(result("mad.lo.s64", 64, {quad(1ULL << 63), quad(2), quad(9)}), quad(9));
  EXPECT_EQ(result("mad.hi.u32", 32, {word(0x80000000), word(4), word(5)}), word(7));
  EXPECT_EQ(result("mad.wide.s32", 64, {word(0xffffffff), word(4), quad(3)}), quad(~0ULL));
}

TEST(IntegerInstructions, DivisionTruncatesAndNeverTraps) {
  EXPECT_EQ(result("div.s32", 32, {word(0xfffffff9), word(2)}), word(0xfffffffd));  // -7 / 2 = -3
  EXPECT_EQ(result("rem.s32", 32, {word(0xfffffff9), word(2)}), word(0xffffffff));  // sign of the dividend
  EXPECT_EQ(result("div.u32", 32, {word(0xfffffff9), word(2)}), word(0x7ffffffc));
  EXPECT_EQ(result("rem.u32", 32, {word(17), word(5)}), word(2));
  EXPECT_EQ(result("div.s32", 32, {word(0x80000000), word(0xffffffff)}), word(0x80000000));
  EXPECT_EQ(result("rem.s64", 64, {quad(1ULL << 63), quad(~0ULL)}), quad(0));
  EXPECT_EQ(result("div.u64", 64, {quad(~0ULL), quad(10)}), quad(1844674407370955161ULL));
  EXPECT_EQ(result("div.u32", 32, {word(1), word(0)}), word(0xffffffff));  // unspecified in PTX
  EXPECT_EQ(result("rem.u32", 32, {word(9), word(0)}), word(9));
}

TEST(IntegerInstructions, ExtremesAndSigns) {
  EXPECT_EQ(result("min.s32", 32, {word(0xffffffff), word(1)}), word(0xffffffff));
  EXPECT_EQ(result("min.u32", 32, {word(0xffffffff), word(1)}), word(1));
  EXPECT_EQ(result("max.s64", 64, {quad(~0ULL), quad(1)}), quad(1));
  EXPECT_EQ(result("max.u64", 64, {quad(~0ULL), quad(1)}), quad(~0ULL));
  EXPECT_EQ(result("max.s16", 16, {half(0x8000), half(3)}), half(3));
  EXPECT_EQ(result("abs.s32", 32, {word(0xfffffffb)}), word(5));
  EXPECT_EQ(result("abs.s32", 32, {word(0x80000000)}), word(0x80000000));
  EXPECT_EQ(result("neg.s32", 32, {word(1)}), word(0xffffffff));
  EXPECT_EQ(result("neg.s64", 64, {quad(1ULL << 63)}), quad(1ULL << 63));
}

TEST(IntegerInstructions, UnknownOnesAreRefusedByName) {
  EXPECT_THROW(result("mul24.lo.s32", 32, {word(1), word(2)}), std::runtime_error);
  EXPECT_THROW(result("add.cc.u32", 32, {word(1), word(2)}), std::runtime_error);
  EXPECT_THROW(result("mul.wide.s64", 64, {quad(1), quad(2)}), std::runtime_error);
  EXPECT_THROW(result("neg.u32", 32, {word(1)}), std::runtime_error);
  try {
    result("dp4a.u32.u32", 32, {word(1), word(2), word(3)});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("dp4a.u32.u32"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace pregate::standin::ptx
