// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "kernels/cuda.hpp"
#include "kernels/reference.hpp"
#include "tests/kernels/cuda_test_support.hpp"
#include "tests/kernels/device_array.hpp"
#include "tests/kernels/random_rows.hpp"

namespace pregate::kernels {
namespace {

constexpr Activation every_kind[] = {Activation::relu, Activation::silu, Activation::gelu, Activation::swiglu,
                                     Activation::geglu};

/// `shift` takes the arrays off their alignment by so many elements.
template <class Element>
void expect_as_reference(const std::vector<Element>& input, std::int32_t rows, std::int32_t width,
                         Activation kind, std::size_t shift) {
  SCOPED_TRACE(testing::Message() << rows << " x " << width << ", kind " << static_cast<int>(kind)
                                  << ", shift " << shift);
  const std::vector<float> wide = widened(input);
  std::vector<float> expected(static_cast<std::size_t>(rows) * static_cast<std::size_t>(width));
  reference::activation<float>({wide.data(), expected.data(), rows, width, kind});
  DeviceArray<Element> device_input(input, shift);
  DeviceArray<Element> output(expected.size(), shift);
  cuda::activation<Element>({device_input.data(), output.data(), rows, width, kind}, nullptr);
  EXPECT_LE(relative_error(widened(output.values()), expected), bound<Element>);
}

template <class Element>
class CudaActivation : public testing::Test {};
using Elements = testing::Types<float, Float16, BFloat16>;
TYPED_TEST_SUITE(CudaActivation, Elements);

// Widths: less than a pack, odd, whole packs, more than a block of them (256 * 8).
TYPED_TEST(CudaActivation, RandomRows) {
  std::uint32_t seed = 1;
  for (const Activation kind : every_kind)
    for (const std::int32_t width : sizes<std::int32_t>({1, 3, 8, 77, 264}, {2056, 14336}))
      for (const std::int32_t rows : sizes<std::int32_t>({1, 3}, {513}))
        for (const std::size_t shift : {0U, 1U}) {
          const std::size_t inputs = static_cast<std::size_t>(rows * width) * (is_gated(kind) ? 2 : 1);
          expect_as_reference(random_values<TypeParam>(inputs, seed++, 5), rows, width, kind, shift);
        }
}

// More rows than a grid is high; a last block that is not full.
TYPED_TEST(CudaActivation, ManyRows) {
  if (!with_large_sizes()) GTEST_SKIP() << "PREGATE_KERNEL_TEST_SIZES=large runs it";
  expect_as_reference(random_values<TypeParam>(std::size_t{70001} * 16, 3, 5), 70001, 8, Activation::swiglu,
                      0);
}

TYPED_TEST(CudaActivation, ExtremeValues) {
  std::vector<TypeParam> input;
  for (const float value : {0.0F, -0.0F, 1e-7F, -1e-7F, 20.0F, -20.0F, 88.0F, -88.0F, 104.0F, -104.0F,
                            30000.0F, -30000.0F, NAN, INFINITY, 0.044715F, 1.0F})
    input.push_back(from_float<TypeParam>(value));
  for (const Activation kind : {Activation::relu, Activation::silu, Activation::gelu})
    expect_as_reference(input, 1, static_cast<std::int32_t>(input.size()), kind, 0);
}

TYPED_TEST(CudaActivation, InPlaceAndEmpty) {
  const auto input = random_values<TypeParam>(100, 8);
  std::vector<TypeParam> expected(100);
  DeviceArray<TypeParam> separate(input), output(100), same(input);
  cuda::activation<TypeParam>({separate.data(), output.data(), 4, 25, Activation::gelu}, nullptr);
  cuda::activation<TypeParam>({same.data(), same.data(), 4, 25, Activation::gelu}, nullptr);
  EXPECT_TRUE(same_bits(same.values(), output.values()));
  EXPECT_NO_THROW(cuda::activation<TypeParam>({nullptr, nullptr, 0, 25, Activation::swiglu}, nullptr));
}

}  // namespace
}  // namespace pregate::kernels
