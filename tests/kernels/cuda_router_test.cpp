// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
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

/// Choices must equal the reference's exactly; weights are always float, so their bound is float's for every
/// element.
template <class Element>
void expect_as_reference(const std::vector<Element>& logits, std::int32_t experts, std::int32_t top_k) {
  const auto tokens = static_cast<std::int32_t>(logits.size()) / experts;
  const auto pairs = static_cast<std::size_t>(tokens * top_k);
  for (const GateWeights mode : {GateWeights::softmax, GateWeights::renormalised}) {
    SCOPED_TRACE(testing::Message() << tokens << " tokens, " << experts << " experts, top " << top_k
                                    << ", mode " << static_cast<int>(mode));
    std::vector<std::int32_t> expected_ids(pairs);
    std::vector<float> expected(pairs);
    reference::router<Element>(
        {logits.data(), expected_ids.data(), expected.data(), tokens, experts, top_k, mode});

    DeviceArray<Element> device_logits(logits);
    DeviceArray<std::int32_t> ids(pairs);
    DeviceArray<float> weights(pairs);
    cuda::router<Element>({device_logits.data(), ids.data(), weights.data(), tokens, experts, top_k, mode},
                          nullptr);
    EXPECT_EQ(ids.values(), expected_ids);
    EXPECT_LE(relative_error(weights.values(), expected), bound<float>);
  }
}

template <class Element>
class CudaRouter : public testing::Test {};
using Elements = testing::Types<float, Float16, BFloat16>;
TYPED_TEST_SUITE(CudaRouter, Elements);

// 64/65 and 256/257 are where another kernel is chosen; 1024 is the most. Blocks hold four tokens.
TYPED_TEST(CudaRouter, RandomLogits) {
  std::uint32_t seed = 1;
  for (const std::int32_t experts : {1, 7, 32, 64, 65, 256, 257, 1024})
    for (const std::int32_t tokens : sizes<std::int32_t>({1, 5}, {4, 1023}))
      for (const std::int32_t top_k : {1, std::min(8, experts)})
        expect_as_reference(random_values<TypeParam>(static_cast<std::size_t>(tokens * experts), seed++, 6),
                            experts, top_k);
}

TYPED_TEST(CudaRouter, EveryExpertIsChosen) {
  for (const std::int32_t experts : {3, 33, 60, 128})
    expect_as_reference(random_values<TypeParam>(static_cast<std::size_t>(2 * experts), 77, 6), experts,
                        experts);
}

TYPED_TEST(CudaRouter, TiesGoToTheLowerExpert) {
  std::vector<TypeParam> logits;
  for (int i = 0; i < 3 * 96; ++i) logits.push_back(from_float<TypeParam>(static_cast<float>((i * 7) % 3)));
  logits[5] = from_float<TypeParam>(-0.0F);
  expect_as_reference(logits, 96, 12);
  expect_as_reference(std::vector<TypeParam>(40, from_float<TypeParam>(1.5F)), 40, 40);
}

TYPED_TEST(CudaRouter, NanInfinityAndHugeSpread) {
  const float infinity = INFINITY;
  for (const std::vector<float>& row :
       std::vector<std::vector<float>>{{NAN, 1, NAN, 1, -2},
                                       {NAN, NAN, NAN, NAN, NAN},
                                       {-infinity, NAN, -infinity, NAN, NAN},
                                       {1, infinity, NAN, infinity, -infinity},
                                       {-60000, 60000, 0, -1000, 59000}}) {
    std::vector<TypeParam> logits;
    for (const float logit : row) logits.push_back(from_float<TypeParam>(logit));
    for (const std::int32_t top_k : {1, 2, 5}) expect_as_reference(logits, 5, top_k);
  }
}

TYPED_TEST(CudaRouter, NoTokens) {
  EXPECT_NO_THROW(cuda::router<TypeParam>({nullptr, nullptr, nullptr, 0, 8, 2}, nullptr));
}

}  // namespace
}  // namespace pregate::kernels
