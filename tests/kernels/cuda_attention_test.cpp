// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "kernels/cuda.hpp"
#include "kernels/reference.hpp"
#include "tests/kernels/attention_case.hpp"
#include "tests/kernels/cuda_test_support.hpp"
#include "tests/kernels/device_array.hpp"

namespace pregate::kernels {
namespace {

template <class Element>
std::vector<Element> on_device(AttentionCase<Element>& attention) {
  DeviceArray<Element> queries(attention.queries), keys(attention.keys), values(attention.values),
      output(attention.output.size());
  DeviceArray<std::int32_t> firsts(attention.firsts), counts(attention.counts);
  AttentionArgs<Element> args = attention.args();
  args.queries = queries.data();
  args.keys = keys.data();
  args.values = values.data();
  args.firsts = firsts.data();
  args.counts = counts.data();
  args.output = output.data();
  cuda::attention(args, nullptr);
  return output.values();
}

template <class Element>
void expect_reference(AttentionCase<Element> attention) {
  const std::vector<Element> out = on_device(attention);
  reference::attention(attention.args());
  EXPECT_LT(relative_error(widened(out), widened(attention.output)), bound<Element>)
      << attention.tokens << " tokens, heads of " << attention.head_dim;
}

template <class Element>
class CudaAttention : public testing::Test {};
using Elements = testing::Types<float, Float16, BFloat16>;
TYPED_TEST_SUITE(CudaAttention, Elements);

// One row and several, fewer rows than warps and more; heads of each kernel, and not a multiple of a warp.
TYPED_TEST(CudaAttention, IsTheReference) {
  using Case = AttentionCase<TypeParam>;
  expect_reference(Case(1, 1, 1, 1, 1, 1));
  expect_reference(Case(4, 4, 2, 8, 16, 11));
  expect_reference(Case(2, 2, 1, 70, 64, 5));
  expect_reference(Case(1, 1, 1, 33, 200, 3));
  if (with_large_sizes()) {
    expect_reference(Case(17, 32, 4, 128, 128, 1500));
    expect_reference(Case(3, 8, 8, 256, 256, 700));
  }
}

TYPED_TEST(CudaAttention, WithoutRowsIsZero) {
  AttentionCase<TypeParam> attention(2, 1, 1, 2, 3, 4);
  attention.counts = {0, 2};
  expect_reference(attention);
  EXPECT_NO_THROW(
      cuda::attention<TypeParam>({.heads = 1, .kv_heads = 1, .head_dim = 1, .value_dim = 1}, nullptr));
}

TEST(CudaAttention, ScoresOfAnySize) {
  constexpr float infinite = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& keys : std::vector<std::vector<float>>{{1000, 999},
                                                                        {-1000, -999},
                                                                        {3e38F, -3e38F},
                                                                        {infinite, 5},
                                                                        {infinite, infinite},
                                                                        {-infinite, -infinite},
                                                                        {NAN, 0},
                                                                        {NAN, NAN}}) {
    AttentionCase<float> attention(1, 1, 1, 1, 1, 2);
    attention.queries = {1};
    attention.keys = keys;
    attention.values = {1, 0.25F};
    attention.counts = {2};
    attention.scale = 1;
    expect_reference(attention);
  }
}

}  // namespace
}  // namespace pregate::kernels
