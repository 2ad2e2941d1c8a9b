// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/standin/tests/machine.hpp"

namespace pregate::standin::ptx {
namespace {

TEST(BitInstructions, Logic) {
  EXPECT_EQ(result("and.b32", 32, {word(0xff00ff00), word(0x0ff00ff0)}), word(0x0f000f00));
  EXPECT_EQ(result("or.b64", 64, {quad(1ULL << 63), quad(1)}), quad((1ULL << 63) | 1));
  EXPECT_EQ(result("xor.b16", 16, {half(0xffff), half(0x0f0f)}), half(0xf0f0));
  EXPECT_EQ(result("not.b32", 32, {word(0x0000ffff)}), word(0xffff0000));
  EXPECT_EQ(result("not.b64", 64, {quad(0)}), quad(~0ULL));
  EXPECT_EQ(result("cnot.b32", 32, {word(0)}), word(1));
  EXPECT_EQ(result("cnot.b32", 32, {word(7)}), word(0));
  EXPECT_EQ(result("and.pred", 1, {flag(true), flag(false)}), flag(false));
  EXPECT_EQ(result("or.pred", 1, {flag(true), flag(false)}), flag(true));
  EXPECT_EQ(result("xor.pred", 1, {flag(true), flag(true)}), flag(false));
  EXPECT_EQ(result("not.pred", 1, {flag(true)}), flag(false));
}

// Shift counts are not taken modulo the width.
TEST(BitInstructions, ShiftsByTheWidthOrMore) {
  EXPECT_EQ(result("shl.b32", 32, {word(1), word(31)}), word(0x80000000));
  EXPECT_EQ(result("shl.b32", 32, {word(1), word(32)}), word(0));
  EXPECT_EQ(result("shl.b32", 32, {word(1), word(0xffffffff)}), word(0));
  EXPECT_EQ(result("shl.b64", 64, {quad(1), word(63)}), quad(1ULL << 63));
  EXPECT_EQ(result("shl.b64", 64, {quad(1), word(64)}), quad(0));
  EXPECT_EQ(result("shl.b16", 16, {half(1), word(16)}), half(0));
  EXPECT_EQ(result("shr.u32", 32, {word(0x80000000), word(31)}), word(1));
  EXPECT_EQ(result("shr.u32", 32, {word(0x80000000), word(32)}), word(0));
  EXPECT_EQ(result("shr.s32", 32, {word(0x80000000), word(40)}), word(0xffffffff));
  EXPECT_EQ(result("shr.s64", 64, {quad(1ULL << 63), word(64)}), quad(~0ULL));
  EXPECT_EQ(result("shr.s64", 64, {quad(1ULL << 62), word(62)}), quad(1));
  EXPECT_EQ(result("shr.u64", 64, {quad(~0ULL), word(60)}), quad(15));
  EXPECT_EQ(result("shr.s16", 16, {half(0x8000), word(3)}), half(0xf000));
}

TEST(BitInstructions, FunnelShifts) {
  // Source a is the lower word, b the upper.
  EXPECT_EQ(result("shf.l.wrap.b32", 32, {word(0x80000000), word(1), word(33)}), word(3));
  EXPECT_EQ(result("shf.l.clamp.b32", 32, {word(0x12345678), word(1), word(40)}), word(0x12345678));
  EXPECT_EQ(result("shf.r.wrap.b32", 32, {word(2), word(1), word(1)}), word(0x80000001));
  EXPECT_EQ(result("shf.r.clamp.b32", 32, {word(2), word(9), word(99)}), word(9));
}

TEST(BitInstructions, BytesAndFields) {
  EXPECT_EQ(result("prmt.b32", 32, {word(0x33221100), word(0x77665544), word(0x7410)}), word(0x77441100));
  EXPECT_EQ(result("prmt.b32", 32, {word(0x80), word(0x7f000000), word(0xf888)}), word(0x00ffffff));
  EXPECT_EQ(result("bfe.u32", 32, {word(0xabcd1234), word(8), word(8)}), word(0x12));
  EXPECT_EQ(result("bfe.s32", 32, {word(0x00000f00), word(8), word(4)}), word(0xffffffff));
  EXPECT_EQ(result("bfe.s32", 32, {word(0x80000000), word(28), word(20)}), word(0xfffffff8));
  EXPECT_EQ(result("bfe.u32", 32, {word(0xffffffff), word(40), word(4)}), word(0));
  EXPECT_EQ(result("bfe.u32", 32, {word(0xffffffff), word(4), word(0)}), word(0));
  EXPECT_EQ(result("bfi.b32", 32, {word(0x5), word(0xffffffff), word(4), word(4)}), word(0xffffff5f));
  EXPECT_EQ(result("bfi.b32", 32, {word(0x5), word(0x1234), word(32), word(4)}), word(0x1234));
  EXPECT_EQ(result("bfi.b64", 64, {quad(1), quad(0), word(63), word(1)}), quad(1ULL << 63));
  EXPECT_EQ(result("bmsk.clamp.b32", 32, {word(4), word(8)}), word(0xff0));
  EXPECT_EQ(result("bmsk.clamp.b32", 32, {word(0), word(99)}), word(0xffffffff));
  EXPECT_EQ(result("bmsk.wrap.b32", 32, {word(33), word(2)}), word(6));
}

TEST(BitInstructions, Counts) {
  EXPECT_EQ(result("brev.b32", 32, {word(1)}), word(0x80000000));
  EXPECT_EQ(result("brev.b64", 64, {quad(1)}), quad(1ULL << 63));
  EXPECT_EQ(result("clz.b32", 32, {word(0)}), word(32));
  EXPECT_EQ(result("clz.b32", 32, {word(0x00010000)}), word(15));
  EXPECT_EQ(result("clz.b64", 32, {quad(1)}), word(63));
  EXPECT_EQ(result("popc.b32", 32, {word(0xf0f0f0f0)}), word(16));
  EXPECT_EQ(result("popc.b64", 32, {quad(~0ULL)}), word(64));
  EXPECT_EQ(result("bfind.u32", 32, {word(0x00010000)}), word(16));
  EXPECT_EQ(result("bfind.u32", 32, {word(0)}), word(0xffffffff));
  EXPECT_EQ(result("bfind.s32", 32, {word(0xffffffff)}), word(0xffffffff));
  EXPECT_EQ(result("bfind.s32", 32, {word(0xfffffffb)}), word(2));  // -5: highest bit unlike the sign
  EXPECT_EQ(result("bfind.shiftamt.u32", 32, {word(1)}), word(31));
}

// The immediate is the truth table with a = 0xf0, b = 0xcc, c = 0xaa.
TEST(BitInstructions, Lop3IsItsTruthTable) {
  const std::uint64_t a = 0xf0f01234;
  const std::uint64_t b = 0xcccc5678;
  const std::uint64_t c = 0xaaaa9abc;
  const auto lop3 = [&](int table) {
    return result("lop3.b32 %d, %a, %b, %c, " + std::to_string(table) + ";", 32, {word(a), word(b), word(c)});
  };
  EXPECT_EQ(lop3(0xf0 & 0xcc & 0xaa), word(a & b & c));
  EXPECT_EQ(lop3((0xf0 ^ 0xcc) | 0xaa), word((a ^ b) | c));
  EXPECT_EQ(lop3(0xf0 & ~0xaa & 0xff), word(a & ~c));
  EXPECT_EQ(lop3(0), word(0));
}

}  // namespace
}  // namespace pregate::standin::ptx
