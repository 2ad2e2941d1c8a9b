// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "kernels/cuda.hpp"
#include "kernels/reference.hpp"
#include "tests/kernels/cuda_test_support.hpp"
#include "tests/kernels/device_array.hpp"

namespace pregate::kernels {
namespace {

template <class Element>
class CudaDequantize : public testing::Test {};
using Elements = testing::Types<float, Float16, BFloat16>;
TYPED_TEST_SUITE(CudaDequantize, Elements);

// Any bytes are blocks: the same bits as the reference, which rounds once. Scales that overflow 16 bits or
// are NaN are left out, as the bits of a NaN are nobody's promise.
TYPED_TEST(CudaDequantize, RandomBlocks) {
  std::mt19937 random(5);
  for (const BlockFormat format : {BlockFormat::q8_0, BlockFormat::mxfp4, BlockFormat::q4_k}) {
    for (const std::int32_t length : sizes<std::int32_t>({32, 7 * 32, 33 * 32}, {70001 * 32})) {
      const std::int32_t count = std::max(1, length / block_values(format));
      const auto bytes = static_cast<std::size_t>(block_bytes(format));
      std::vector<std::uint8_t> blocks(static_cast<std::size_t>(count) * bytes);
      for (std::uint8_t& byte : blocks) byte = static_cast<std::uint8_t>(random());
      for (std::size_t block = 0; block < blocks.size(); block += bytes) {
        if (format == BlockFormat::mxfp4) {
          blocks[block] = static_cast<std::uint8_t>(110 + random() % 20);
        } else {
          blocks[block + 1] = static_cast<std::uint8_t>(random() % 0x50);
        }
        if (format == BlockFormat::q4_k) {  // at most 60 and 60, whose numbers come to at most 60000
          blocks[block + 1] = static_cast<std::uint8_t>(random() % 0x54);
          blocks[block + 3] = static_cast<std::uint8_t>(0x80 + random() % 0x54);
        }
      }
      std::vector<TypeParam> expected(static_cast<std::size_t>(count * block_values(format)));
      reference::dequantize<TypeParam>({blocks.data(), expected.data(), count, format});
      DeviceArray<std::uint8_t> from(blocks);
      DeviceArray<TypeParam> to(expected.size());
      cuda::dequantize<TypeParam>({from.data(), to.data(), count, format}, nullptr);
      EXPECT_TRUE(same_bits(to.values(), expected)) << count << ", " << static_cast<int>(format);
    }
  }
  EXPECT_NO_THROW(cuda::dequantize<TypeParam>({nullptr, nullptr, 0, BlockFormat::q8_0}, nullptr));
}

}  // namespace
}  // namespace pregate::kernels
