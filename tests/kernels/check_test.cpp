// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

#include "kernels/reference.hpp"

namespace pregate::kernels {
namespace {

using testing::ThrowsMessage;

constexpr std::int32_t huge = std::numeric_limits<std::int32_t>::max();

auto refuses(const char* text) { return ThrowsMessage<std::invalid_argument>(text); }

struct Arrays {
  float values[4] = {};
  std::int32_t ids[4] = {};
};

TEST(KernelArguments, RouterSizesAndPointers) {
  Arrays a, out;
  const RouterArgs<float> good{a.values, a.ids, out.values, 1, 4, 2};
  EXPECT_NO_THROW(reference::router(good));
  const auto with = [&](auto change) {
    return [good, change] {
      auto args = good;
      change(args);
      reference::router(args);
    };
  };
  EXPECT_THAT(with([](auto& args) { args.experts = 0; }), refuses("router: experts is 0, not in 1..1024"));
  EXPECT_THAT(with([](auto& args) { args.experts = 1025; }),
              refuses("router: experts is 1025, not in 1..1024"));
  EXPECT_THAT(with([](auto& args) { args.top_k = 5; }), refuses("router: top_k is 5, not in 1..4"));
  EXPECT_THAT(with([](auto& args) { args.tokens = -1; }),
              refuses("router: tokens is -1, not in 0..1073741823"));
  EXPECT_THAT(with([](auto& args) { args.tokens = huge; }),
              refuses("router: tokens is 2147483647, not in 0..1073741823"));
  EXPECT_THAT(with([](auto& args) { args.gate_weights = nullptr; }), refuses("router: gate_weights is null"));
}

TEST(KernelArguments, OrderNeedsItsOutputsEvenWithoutPairs) {
  std::int32_t counts[2], offsets[3];
  EXPECT_NO_THROW(reference::order({nullptr, counts, offsets, nullptr, nullptr, 0, 2}));
  EXPECT_THAT(
      [&] {
        reference::order({nullptr, counts, nullptr, nullptr, nullptr, 0, 2});
      },
      refuses("order: offsets is null"));
  EXPECT_THAT(
      [&] {
        reference::order({nullptr, counts, offsets, nullptr, nullptr, 1, 2});
      },
      refuses("order: expert_ids is null"));
}

TEST(KernelArguments, RowKernels) {
  Arrays a, b;
  EXPECT_THAT(
      [&] {
        reference::permute<float>({a.values, a.ids, b.values, 1, 1, 0});
      },
      refuses("permute: width is 0, not in 1..2147483647"));
  EXPECT_THAT(
      [&] {
        reference::unpermute<float>({a.values, nullptr, b.values, 1, 1});
      },
      refuses("unpermute: positions is null"));
  EXPECT_THAT(
      [&] {
        reference::rms_norm<float>({a.values, b.values, a.values, 1, 1, 0.0F});
      },
      refuses("rms_norm: epsilon is 0.000000, not a positive number"));
  EXPECT_THAT(
      [&] {
        reference::activation<float>({a.values, a.values, 1, 2, Activation::swiglu});
      },
      refuses("activation: a gated one cannot write over its input"));
  EXPECT_THAT(
      [&] {
        reference::activation<float>({a.values, b.values, 1, huge, Activation::geglu});
      },
      refuses("activation: width is 2147483647, not in 1..1073741823"));
  EXPECT_THAT(
      [&] {
        reference::activation<float>({a.values, b.values, 1, 2, static_cast<Activation>(9)});
      },
      refuses("activation: kind is 9, not in 0..4"));
  const std::uint8_t block[1] = {};
  EXPECT_THAT(
      [&] {
        reference::dequantize<float>({block, a.values, 1, static_cast<BlockFormat>(7)});
      },
      refuses("dequantize: format is 7, not in 0..2"));
  EXPECT_THAT(
      [&] {
        reference::dequantize<float>({block, a.values, huge, BlockFormat::q4_k});
      },
      refuses("dequantize: count is 2147483647, not in 0..8388607"));
  AttentionArgs<float> attention{.queries = a.values,
                                 .keys = a.values,
                                 .values = a.values,
                                 .firsts = a.ids,
                                 .counts = a.ids,
                                 .output = b.values,
                                 .tokens = 1,
                                 .heads = 3,
                                 .kv_heads = 2,
                                 .head_dim = 1,
                                 .value_dim = 257};
  EXPECT_THAT([&] { reference::attention(attention); },
              refuses("attention: 3 heads cannot share 2 of keys and values equally"));
  attention.kv_heads = 1;
  EXPECT_THAT([&] { reference::attention(attention); },
              refuses("attention: value_dim is 257, not in 1..256"));
  attention.value_dim = 1;
  attention.scale = std::numeric_limits<float>::infinity();
  EXPECT_THAT([&] { reference::attention(attention); }, refuses("attention: scale is not a finite number"));
  attention.scale = 1;
  attention.tokens = huge;
  EXPECT_THAT([&] { reference::attention(attention); },
              refuses("attention: tokens is 2147483647, not in 0..715827882"));
  CombineArgs<float> combine{.permuted = a.values,
                             .positions = a.ids,
                             .gate_weights = a.values,
                             .shared_weights = a.values,
                             .output = b.values,
                             .tokens = 1,
                             .top_k = 1,
                             .width = 1};
  EXPECT_THAT([&] { reference::combine(combine); }, refuses("combine: shared (of shared_weights) is null"));
}

}  // namespace
}  // namespace pregate::kernels
