// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/reference.hpp"

namespace pregate::kernels {
namespace {

std::vector<float> unpacked(BlockFormat format, const std::vector<std::uint8_t>& blocks) {
  const auto count = static_cast<std::int32_t>(blocks.size()) / block_bytes(format);
  std::vector<float> values(static_cast<std::size_t>(count * block_values(format)), -7);
  reference::dequantize<float>({blocks.data(), values.data(), count, format});
  return values;
}

// ggml's block_q8_0: a binary16 scale, then 32 signed bytes. 0x3800 is 0.5.
TEST(ReferenceDequantize, Q8ByHand) {
  std::vector<std::uint8_t> block(34, 0);
  block[1] = 0x38;
  block[2] = 1;
  block[3] = 0x80;  // -128
  block[33] = 127;
  const std::vector<float> values = unpacked(BlockFormat::q8_0, block);
  EXPECT_EQ(values[0], 0.5F);
  EXPECT_EQ(values[1], -64.0F);
  EXPECT_EQ(values[2], 0.0F);
  EXPECT_EQ(values[31], 63.5F);
}

// OCP Microscaling 1.0: an E8M0 scale of 2^(e - 127), then 32 E2M1 values; ggml's order has value i in the
// low half of byte i and value i + 16 in its high half.
TEST(ReferenceDequantize, Mxfp4ByHand) {
  std::vector<std::uint8_t> block(17, 0);
  block[0] = 128;  // 2
  for (unsigned i = 0; i < 16; ++i) block[1 + i] = static_cast<std::uint8_t>(i | (15 - i) << 4U);
  const std::vector<float> magnitudes = {0, 1, 2, 3, 4, 6, 8, 12};
  const std::vector<float> values = unpacked(BlockFormat::mxfp4, block);
  for (std::size_t i = 0; i < 16; ++i) {
    const auto expected = [&](std::size_t code) {
      return code < 8 ? magnitudes[code] : -magnitudes[code - 8];
    };
    EXPECT_EQ(values[i], expected(i)) << i;
    EXPECT_EQ(values[i + 16], expected(15 - i)) << i;
  }
}

TEST(ReferenceDequantize, Mxfp4ScalesAtTheEnds) {
  std::vector<std::uint8_t> block(17, 0x22);  // all 1
  block[0] = 0;
  EXPECT_EQ(unpacked(BlockFormat::mxfp4, block)[5], 0x1p-127F);
  block[0] = 254;
  EXPECT_EQ(unpacked(BlockFormat::mxfp4, block)[5], 0x1p127F);
  block[0] = 255;
  EXPECT_TRUE(std::isnan(unpacked(BlockFormat::mxfp4, block)[5]));
}

// ggml's block_q4_K: d = 0.5, dmin = 2; of part 1 scale 33, minimum 1; of part 6 scale 0x2B, minimum 0x1D,
// each cut in two: the lower four bits in byte 10, the upper two above those of part 2.
TEST(ReferenceDequantize, Q4ByHand) {
  std::vector<std::uint8_t> block(144, 0);
  block[1] = 0x38;
  block[3] = 0x40;
  std::uint8_t* const packed = block.data() + 4;
  packed[1] = 33;
  packed[5] = 1;
  packed[10] = 0xDB;
  packed[2] = 0x80;
  packed[6] = 0x40;
  block[16] = 0xA7;           // part 0: 7, part 1: 10
  block[16 + 3 * 32] = 0x5C;  // part 6: 12, part 7: 5
  const std::vector<float> values = unpacked(BlockFormat::q4_k, block);
  EXPECT_EQ(values[0], 0.0F);                              // a scale of 0
  EXPECT_EQ(values[32], 0.5F * 33 * 10 - 2 * 1);           //
  EXPECT_EQ(values[33], -2.0F);                            // the minimum itself
  EXPECT_EQ(values[6 * 32], 0.5F * 0x2B * 12 - 2 * 0x1D);  //
  EXPECT_EQ(values[7 * 32], 0.0F);                         //
}

}  // namespace
}  // namespace pregate::kernels
