// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "sim/cost/kernel_model.hpp"

// Attention kernels against times counted by hand from docs/kernel-times.md.
namespace pregate::sim {
namespace {

enum Kernel { flash_attention_2, flash_attention_3, flash_infer };  // KernelConstants::packed

/// Ten SMs of 1 TFLOP/s each; memory so fast that only what a test slows down is seen.
KernelPeaks sms_with_l2(double memory = 1e21, double flop = 1e13, std::int64_t l2 = 1'000'000) {
  return {{memory}, {l2}, 10, {{"bf16", {flop}}}};
}

KernelConstants constants_of(Kernel kernel) {
  KernelConstants constants;
  constants.floor_s = 5e-6;
  constants.sm_feed = 1e18;
  constants.overlap = 20;
  constants.packed = kernel;
  return constants;
}

const KernelFormat keys_bf16 = kernel_format("bf16");
constexpr double tile_step =
    128 * 128 * 4 * 128 / 1e12;  // 128 x 128 scores of dimension 128 on one SM: 8.39 us

double prompt(Kernel kernel, const AttentionShape& shape) {
  return attention_prefill_time(shape, sms_with_l2(), keys_bf16, constants_of(kernel)) - 5e-6;
}

// Of 256 queries the second tile of 128 sees two steps of keys; after 256 cached keys it sees four.
TEST(KernelPrompt, AShortPromptTakesItsLongestTile) {
  AttentionShape shape{.queries = 256, .context = 256, .head_dim = 128};
  EXPECT_NEAR(prompt(flash_attention_3, shape), 2 * tile_step, 1e-11);
  shape.context = 512;
  EXPECT_NEAR(prompt(flash_attention_3, shape), 4 * tile_step, 1e-11);
  shape.batch = 100;  // 3 + 4 steps each, on ten SMs
  EXPECT_NEAR(prompt(flash_attention_3, shape), 70 * tile_step, 1e-11);
}

// FlashAttention 3: tiles of 16, 64 and 128 rows by need, 192 up to 64 values a head; whole steps of 128
// keys.
TEST(KernelPrompt, ATileIsComputedWhole) {
  const auto queries = [](std::int64_t count, std::int64_t dim) {
    return prompt(flash_attention_3, {.queries = count, .context = count, .head_dim = dim});
  };
  EXPECT_NEAR(queries(16, 128), tile_step / 8, 1e-11);
  EXPECT_NEAR(queries(17, 128), tile_step / 2, 1e-11);
  EXPECT_NEAR(queries(64, 128), tile_step / 2, 1e-11);
  EXPECT_NEAR(queries(65, 128), tile_step, 1e-11);
  EXPECT_NEAR(queries(128, 128), tile_step, 1e-11);
  EXPECT_NEAR(queries(129, 128), 2 * tile_step, 1e-11);  // the second tile sees two steps
  EXPECT_NEAR(queries(65, 64), tile_step * 1.5 / 2, 1e-11);
}

// Eight heads of one key head, 16 queries: one tile of 128 rows, or eight of 64 rows of which 48 are empty.
// Of two sequences those are 16 tiles on ten SMs, between 1.6 and 2 rounds.
TEST(KernelPrompt, HeadsThatShareKeysShareATile) {
  AttentionShape shape{.queries = 16, .context = 16, .heads = 8, .kv_heads = 1, .head_dim = 128};
  EXPECT_NEAR(prompt(flash_attention_3, shape), tile_step, 1e-11);
  EXPECT_NEAR(prompt(flash_attention_2, shape), tile_step / 2, 1e-11);
  shape.batch = 2;
  EXPECT_NEAR(prompt(flash_attention_3, shape), tile_step, 1e-11);
  EXPECT_NEAR(prompt(flash_attention_2, shape), 1.8 * tile_step / 2, 1e-11);
}

// FlashAttention 2: tiles of 64 queries see 1, 1, 2 and 2 steps of 128 keys, the longest last; steps of 256
// keys at 64 values a head, of 64 above 128. FlashInfer: 128 or, from 256 values on, 64 rows; 64 keys.
TEST(KernelPrompt, TilesAreThoseOfTheirLibrary) {
  AttentionShape shape{.queries = 256, .context = 256, .head_dim = 128};
  EXPECT_NEAR(prompt(flash_attention_2, shape), 2 * tile_step / 2, 1e-11);
  EXPECT_NEAR(prompt(flash_infer, shape), 4 * tile_step / 2, 1e-11);
  shape.batch = 100;
  EXPECT_NEAR(prompt(flash_attention_2, shape), (40 * 1.5 + 0.5) * tile_step / 2, 1e-11);
  EXPECT_NEAR(prompt(flash_infer, shape), (20 * 3 + 1) * tile_step / 2, 1e-11);
  EXPECT_NEAR(prompt(flash_attention_2, {.queries = 64, .context = 64, .head_dim = 64}), tile_step / 2,
              1e-11);
  EXPECT_NEAR(prompt(flash_attention_2, {.queries = 64, .context = 64, .head_dim = 192}), tile_step * 1.5 / 4,
              1e-11);
  EXPECT_NEAR(prompt(flash_infer, {.queries = 128, .context = 128, .head_dim = 256}), 2 * tile_step / 2,
              1e-11);
}

// 1024 queries with a window of 128 keys: the first tile of 128 sees one step, the other seven two each.
TEST(KernelPrompt, AWindowCutsOffWhatLiesBeforeIt) {
  AttentionShape shape{.batch = 100, .queries = 1024, .context = 1024, .head_dim = 128, .window = 128};
  EXPECT_NEAR(prompt(flash_attention_3, shape), 150 * tile_step, 1e-11);
  shape.context = 2048;
  EXPECT_NEAR(prompt(flash_attention_3, shape), 160 * tile_step, 1e-11);
}

// 100 queries of 128 values: 51,200 B of queries and outputs and as many of keys and values read, 102,400 B
// of those copied into the cache. All of it in L2, at four times the memory's rate; a quarter not; none.
TEST(KernelPrompt, WhatWasJustWrittenIsReadFromL2) {
  KernelConstants constants = constants_of(flash_attention_3);
  constants.l2_multiple = 4;
  AttentionShape shape{.queries = 100, .context = 100, .head_dim = 128};
  const auto time = [&](std::int64_t l2) {
    return attention_prefill_time(shape, sms_with_l2(1e12, 1e20, l2), keys_bf16, constants) - 5e-6;
  };
  EXPECT_NEAR(time(204'800), 0.0512e-6, 1e-12);
  EXPECT_NEAR(time(163'840), 0.0896e-6, 1e-12);
  EXPECT_NEAR(time(102'400), 0.2048e-6, 1e-12);
  shape.context = 200;  // 100 earlier keys, 51,200 B, from memory
  EXPECT_NEAR(time(204'800), 0.1024e-6, 1e-12);
}

// At 1 GB/s into an SM a step of 65,536 B takes 65.536 us. FlashAttention 2 takes 256 keys of 64 values
// at a time; the others 128.
TEST(KernelDecode, StepsAndWalksAreThoseOfTheirLibrary) {
  constexpr double walk = 65.536e-6;
  const auto time = [&](Kernel kernel, const AttentionShape& shape) {
    KernelConstants constants = constants_of(kernel);
    constants.sm_feed = 1e9;
    return attention_decode_time(shape, sms_with_l2(), keys_bf16, constants) - 5e-6;
  };
  EXPECT_NEAR(time(flash_attention_2, {.context = 256, .head_dim = 64}), walk, 1e-11);
  EXPECT_NEAR(time(flash_attention_2, {.context = 257, .head_dim = 64}), 2 * walk, 1e-11);
  EXPECT_NEAR(time(flash_attention_2, {.context = 257, .head_dim = 128}), 3 * walk, 1e-11);
  EXPECT_NEAR(time(flash_attention_3, {.context = 128, .head_dim = 128}), walk, 1e-11);
  EXPECT_NEAR(time(flash_infer, {.context = 128, .head_dim = 128}), walk, 1e-11);
  EXPECT_NEAR(time(flash_attention_3, {.batch = 40, .context = 128, .head_dim = 128}), 4 * walk, 1e-11);
  EXPECT_NEAR(time(flash_infer, {.batch = 14, .context = 128, .head_dim = 128}), 1.7 * walk, 1e-11);
}

// FlashAttention 3 starts a walk in step_us at 128 values a head, as the root of the values: half of it
// at 32.
TEST(KernelDecode, TheStartOfAWalkGrowsWithTheHead) {
  const auto time = [&](Kernel kernel, std::int64_t dim) {
    KernelConstants constants = constants_of(kernel);
    constants.step_s = 4e-6;
    return attention_decode_time({.context = 64, .head_dim = dim}, sms_with_l2(1e21, 1e20), keys_bf16,
                                 constants) -
           5e-6;
  };
  EXPECT_NEAR(time(flash_attention_3, 32), 2e-6, 1e-11);
  EXPECT_NEAR(time(flash_attention_3, 128), 4e-6, 1e-11);
  EXPECT_NEAR(time(flash_infer, 32), 4e-6, 1e-11);
}

}  // namespace
}  // namespace pregate::sim
