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
  std::vector<float> values(static_cast<std::size_t>(count * block_values), -7);
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

}  // namespace
}  // namespace pregate::kernels
