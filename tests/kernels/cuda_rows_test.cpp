// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <ostream>
#include <vector>

#include "kernels/cuda.hpp"
#include "kernels/reference.hpp"
#include "tests/kernels/cuda_test_support.hpp"
#include "tests/kernels/device_array.hpp"
#include "tests/kernels/random_rows.hpp"

namespace pregate::kernels {
namespace {

struct Shape {
  std::int32_t tokens, top_k, experts, width;
  std::size_t shift;  // elements off the alignment
};

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  return out << shape.tokens << " tokens, top " << shape.top_k << " of " << shape.experts << ", width "
             << shape.width << ", shift " << shape.shift;
}

/// One token, odd widths, whole packs, more than a block's packs (128 * 8), unaligned.
std::vector<Shape> shapes() {
  return sizes<Shape>(
      {{1, 1, 1, 1, 0}, {5, 2, 3, 7, 0}, {9, 4, 8, 16, 0}, {3, 3, 3, 40, 1}, {2, 1, 64, 1032, 0}},
      {{1, 8, 128, 2048, 0}, {257, 8, 64, 2880, 0}, {64, 2, 8, 4097, 1}});
}

/// Rows of pairs by expert, with every seventh pair dropped.
std::vector<std::int32_t> positions_of(const Shape& shape) {
  auto ids = random_ids(static_cast<std::size_t>(shape.tokens * shape.top_k), shape.experts, 11);
  for (std::size_t i = 6; i < ids.size(); i += 7) ids[i] = -1;
  std::vector<std::int32_t> counts(static_cast<std::size_t>(shape.experts)), offsets(counts.size() + 1);
  std::vector<std::int32_t> positions(ids.size()), sources(ids.size());
  reference::order({ids.data(), counts.data(), offsets.data(), positions.data(), sources.data(),
                    static_cast<std::int32_t>(ids.size()), shape.experts});
  return positions;
}

std::size_t size(std::int32_t rows, std::int32_t width) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(width);
}

template <class Element>
class CudaRows : public testing::Test {};
using Elements = testing::Types<float, Float16, BFloat16>;
TYPED_TEST_SUITE(CudaRows, Elements);

TYPED_TEST(CudaRows, PermuteAndInverseCopyTheSameBits) {
  std::array<std::byte, sizeof(TypeParam)> canary;
  canary.fill(std::byte{0x5a});
  const auto untouched = std::bit_cast<TypeParam>(canary);
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(shape);
    const std::int32_t pairs = shape.tokens * shape.top_k;
    const auto input = random_values<TypeParam>(size(shape.tokens, shape.width), 21);
    const auto positions = positions_of(shape);
    std::vector<TypeParam> expected(size(pairs, shape.width), untouched), expected_back(expected.size());
    reference::permute<TypeParam>(
        {input.data(), positions.data(), expected.data(), shape.tokens, shape.top_k, shape.width});
    reference::unpermute<TypeParam>(
        {expected.data(), positions.data(), expected_back.data(), pairs, shape.width});

    DeviceArray<TypeParam> device_input(input, shape.shift), permuted(expected.size(), shape.shift);
    DeviceArray<TypeParam> back(expected.size(), shape.shift);
    DeviceArray<std::int32_t> device_positions(positions);
    cuda::permute<TypeParam>({device_input.data(), device_positions.data(), permuted.data(), shape.tokens,
                              shape.top_k, shape.width},
                             nullptr);
    cuda::unpermute<TypeParam>({permuted.data(), device_positions.data(), back.data(), pairs, shape.width},
                               nullptr);
    EXPECT_TRUE(same_bits(permuted.values(), expected));
    EXPECT_TRUE(same_bits(back.values(), expected_back));
  }
}

// With and without what is optional; run twice, the bits repeat.
TYPED_TEST(CudaRows, Combine) {
  for (const Shape& shape : shapes()) {
    for (const bool with_more : {false, true}) {
      SCOPED_TRACE(testing::Message() << shape << (with_more ? ", shared and residual" : ""));
      const std::int32_t pairs = shape.tokens * shape.top_k;
      const auto permuted = random_values<TypeParam>(size(pairs, shape.width), 31, 2);
      const auto shared = random_values<TypeParam>(size(shape.tokens, shape.width), 32);
      const auto residual = random_values<TypeParam>(shared.size(), 33, 3);
      const auto weights = random_values<float>(static_cast<std::size_t>(pairs), 34);
      const auto shared_weights = random_values<float>(static_cast<std::size_t>(shape.tokens), 35);
      const auto positions = positions_of(shape);

      const std::vector<float> wide = widened(permuted), wide_shared = widened(shared),
                               wide_residual = widened(residual);
      std::vector<float> expected(shared.size());
      reference::combine<float>({.permuted = wide.data(),
                                 .positions = positions.data(),
                                 .gate_weights = weights.data(),
                                 .shared = with_more ? wide_shared.data() : nullptr,
                                 .shared_weights = with_more ? shared_weights.data() : nullptr,
                                 .residual = with_more ? wide_residual.data() : nullptr,
                                 .output = expected.data(),
                                 .tokens = shape.tokens,
                                 .top_k = shape.top_k,
                                 .width = shape.width});

      DeviceArray<TypeParam> device_permuted(permuted, shape.shift), device_shared(shared, shape.shift);
      DeviceArray<TypeParam> device_residual(residual, shape.shift), output(shared.size(), shape.shift);
      DeviceArray<std::int32_t> device_positions(positions);
      DeviceArray<float> device_weights(weights), device_shared_weights(shared_weights);
      CombineArgs<TypeParam> args{.permuted = device_permuted.data(),
                                  .positions = device_positions.data(),
                                  .gate_weights = device_weights.data(),
                                  .shared = with_more ? device_shared.data() : nullptr,
                                  .shared_weights = with_more ? device_shared_weights.data() : nullptr,
                                  .residual = with_more ? device_residual.data() : nullptr,
                                  .output = output.data(),
                                  .tokens = shape.tokens,
                                  .top_k = shape.top_k,
                                  .width = shape.width};
      cuda::combine(args, nullptr);
      const auto first = output.values();
      EXPECT_LE(relative_error(widened(first), expected), bound<TypeParam>);
      args.output = with_more ? device_residual.data() : output.data();  // the second time in place
      cuda::combine(args, nullptr);
      EXPECT_TRUE(same_bits(with_more ? device_residual.values() : output.values(), first));
    }
  }
}

TYPED_TEST(CudaRows, RmsNorm) {
  for (const std::int32_t width : sizes<std::int32_t>({1, 7, 8, 300, 2048}, {2880, 4097}))
    for (const std::int32_t rows : sizes<std::int32_t>({1, 3}, {1000}))
      for (const std::size_t shift : {0U, 1U}) {
        SCOPED_TRACE(testing::Message() << rows << " x " << width << ", shift " << shift);
        auto input = random_values<TypeParam>(size(rows, width), 41, 8);
        std::fill_n(input.begin(), width, from_float<TypeParam>(0));  // a row of zeros: epsilon alone
        const auto weight = random_values<TypeParam>(static_cast<std::size_t>(width), 42, 2);
        const std::vector<float> wide = widened(input), wide_weight = widened(weight);
        std::vector<float> expected(input.size());
        reference::rms_norm<float>({wide.data(), wide_weight.data(), expected.data(), rows, width, 1e-5F});
        DeviceArray<TypeParam> device_input(input, shift), device_weight(weight, shift),
            output(input.size(), shift);
        RmsNormArgs<TypeParam> args{
            device_input.data(), device_weight.data(), output.data(), rows, width, 1e-5F};
        cuda::rms_norm(args, nullptr);
        EXPECT_LE(relative_error(widened(output.values()), expected), bound<TypeParam>);
        args.output = device_input.data();  // in place
        cuda::rms_norm(args, nullptr);
        EXPECT_TRUE(same_bits(device_input.values(), output.values()));
      }
}

TYPED_TEST(CudaRows, NoRows) {
  EXPECT_NO_THROW(cuda::permute<TypeParam>({nullptr, nullptr, nullptr, 0, 2, 8}, nullptr));
  EXPECT_NO_THROW(cuda::unpermute<TypeParam>({nullptr, nullptr, nullptr, 0, 8}, nullptr));
  EXPECT_NO_THROW(cuda::combine<TypeParam>({.top_k = 2, .width = 8}, nullptr));
  EXPECT_NO_THROW(cuda::rms_norm<TypeParam>({.width = 8}, nullptr));
}

}  // namespace
}  // namespace pregate::kernels
