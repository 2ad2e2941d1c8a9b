// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/block_weights.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels/reference.hpp"
#include "runtime/weights/block_numbers.hpp"

namespace pregate::runtime {
namespace {

using kernels::BlockFormat;

std::vector<float> random_values(std::size_t count, float low, float high) {
  std::mt19937 random(7);
  std::vector<float> values(count);
  for (float& value : values) value = low + (high - low) * static_cast<float>(random()) * 0x1p-32F;
  return values;
}

std::vector<std::byte> packed(const std::vector<float>& values, BlockFormat format) {
  const auto blocks = values.size() / static_cast<std::size_t>(kernels::block_values(format));
  std::vector<std::byte> to(blocks * static_cast<std::size_t>(kernels::block_bytes(format)));
  pack_blocks(values, format, to);
  return to;
}

/// The worst error, as a share of the range from the smallest value (or 0) to the largest.
double worst_error(const std::vector<float>& values, BlockFormat format) {
  const std::vector<double> numbers = numbers_of_blocks(packed(values, format), format);
  double worst = 0, low = 0, high = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<double>(values[i]);
    low = std::min(low, value);
    high = std::max(high, value);
    worst = std::max(worst, std::abs(numbers.at(i) - value));
  }
  return worst / (high - low);
}

// Half a step of each format, and what the rounding of the scales adds.
TEST(BlockWeights, AreAsCloseAsTheFormatAllows) {
  for (const auto& [low, high] : {std::pair{-1.0F, 1.0F}, {-0.01F, 0.3F}, {0.5F, 1.0F}, {-30.0F, -20.0F}}) {
    const std::vector<float> values = random_values(4 * 256, low, high);
    EXPECT_LT(worst_error(values, BlockFormat::q8_0), 0.51 / 127) << low;
    EXPECT_LT(worst_error(values, BlockFormat::q4_k), 0.5 / 15 * 1.2 + 0.5 / 63) << low;
    EXPECT_LT(worst_error(values, BlockFormat::mxfp4), 0.27) << low;
  }
}

TEST(BlockWeights, NothingStaysNothing) {
  const std::vector<float> zeros(256, 0.0F);
  for (const BlockFormat format : {BlockFormat::q8_0, BlockFormat::mxfp4, BlockFormat::q4_k}) {
    for (const double number : numbers_of_blocks(packed(zeros, format), format)) EXPECT_EQ(number, 0.0);
  }
}

TEST(BlockWeights, OnlyWholeBlocks) {
  std::vector<std::byte> to(144);
  EXPECT_NO_THROW(pack_blocks(std::vector<float>(256), BlockFormat::q4_k, to));
  EXPECT_THROW(pack_blocks(std::vector<float>(255), BlockFormat::q4_k, to), std::invalid_argument);
  EXPECT_THROW(pack_blocks(std::vector<float>(512), BlockFormat::q4_k, to), std::invalid_argument);
}

// Two readings of the formats that share no code: the kernels' reference, and the reference model's in
// double.
TEST(BlockWeights, BothReadingsAgree) {
  std::mt19937 random(3);
  for (const BlockFormat format : {BlockFormat::q8_0, BlockFormat::mxfp4, BlockFormat::q4_k}) {
    const auto size = static_cast<std::size_t>(kernels::block_bytes(format));
    std::vector<std::byte> blocks(40 * size);
    for (std::byte& byte : blocks) byte = static_cast<std::byte>(random());
    for (std::size_t block = 0; block < blocks.size(); block += size) {  // scales that are numbers
      if (format == BlockFormat::mxfp4) blocks[block] = static_cast<std::byte>(100 + random() % 50);
      if (format != BlockFormat::mxfp4) blocks[block + 1] = static_cast<std::byte>(random() % 0x7C);
      if (format == BlockFormat::q4_k) blocks[block + 3] = static_cast<std::byte>(0x80 + random() % 0x7C);
    }
    const std::vector<double> numbers = numbers_of_blocks(blocks, format);
    std::vector<float> values(numbers.size());
    kernels::reference::dequantize<float>({.blocks = reinterpret_cast<const std::uint8_t*>(blocks.data()),
                                           .values = values.data(),
                                           .count = 40,
                                           .format = format});
    for (std::size_t i = 0; i < numbers.size(); ++i)
      EXPECT_EQ(values[i], static_cast<float>(numbers[i])) << i;
  }
}

}  // namespace
}  // namespace pregate::runtime
