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
// keys at 64 values a head, of 64 above 128. FlashInfer: 128 or, from 256 values on, 64 rows; 64 keys; those
// of two tiles on ten SMs go to two SMs each.
TEST(KernelPrompt, TilesAreThoseOfTheirLibrary) {
  AttentionShape shape{.queries = 256, .context = 256, .head_dim = 128};
  EXPECT_NEAR(prompt(flash_attention_2, shape), 2 * tile_step / 2, 1e-11);
  EXPECT_NEAR(prompt(flash_infer, shape), 2 * tile_step / 2, 1e-11);
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

// Two tiles of 128 queries on ten SMs: two parts of 128 keys each, which start in 1 us; each of 256 rows is
// joined in 0.3 us by one of ten SMs. A hundred sequences are 200 tiles and split nothing.
TEST(KernelPrompt, FlashInferGivesTheKeysOfFewTilesToSeveralSms) {
  KernelConstants constants = constants_of(flash_infer);
  constants.step_s = 1e-6;
  const auto time = [&](std::int64_t batch) {
    return attention_prefill_time({.batch = batch, .queries = 256, .context = 256, .head_dim = 128},
                                  sms_with_l2(), keys_bf16, constants) -
           5e-6;
  };
  EXPECT_NEAR(time(1), 7.68e-6 + tile_step + 1e-6, 1e-11);
  EXPECT_NEAR(time(100), (20 * 3 + 1) * tile_step / 2 + 20e-6, 1e-11);
}

// 128 rows x 64 keys of 8 bits: 128 x 4 x 128 FLOP a key, and 2 x 128 values of it widened by four warps of
// 32 FLOP: half as much again. 16 rows have one warp. FlashAttention 3 multiplies 8 bits as they are.
TEST(KernelPrompt, KeysOfEightBitsAreWidened) {
  const KernelFormat fp8 = kernel_format("fp8");
  const auto time = [&](Kernel kernel, const AttentionShape& shape) {
    return attention_prefill_time(shape, sms_with_l2(), fp8, constants_of(kernel)) - 5e-6;
  };
  EXPECT_NEAR(time(flash_infer, {.queries = 128, .context = 128, .head_dim = 128}), 1.5 * tile_step, 1e-11);
  EXPECT_NEAR(time(flash_infer, {.queries = 16, .context = 16, .head_dim = 128}), 2 * tile_step / 16, 1e-11);
  EXPECT_NEAR(time(flash_attention_3, {.queries = 128, .context = 128, .head_dim = 128}), tile_step, 1e-11);
  // Triton where FlashInfer has no such heads: 16 rows x 32 keys of 256 values, as much widening as products.
  EXPECT_NEAR(time(flash_infer, {.queries = 16, .context = 16, .head_dim = 192}),
              32 * (16 * 4 * 256 + 2 * 256 * 32) / 1e12, 1e-11);
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

// Triton's latent attention: four parts of a context and groups of 16 heads walk in steps of 32 keys of 1152
// B, one an SM: 36.864 us at 1 GB/s. 11 sequences of 128 keys are 44 walks on ten SMs, five rounds.
TEST(KernelLatent, WalksPassInWholeRounds) {
  KernelConstants constants = constants_of(flash_attention_2);
  constants.floor_s = 1e-9;
  constants.sm_feed = 1e9;
  const auto time = [&](const MlaShape& shape) {
    return mla_decode_time(shape, sms_with_l2(1e21, 1e21), keys_bf16, constants);
  };
  constexpr double step = 36.864e-6;
  EXPECT_NEAR(time({1, 128, 16}), step, 1e-11);
  EXPECT_NEAR(time({1, 129, 16}), 2 * step, 1e-11);
  EXPECT_NEAR(time({11, 128, 16}), 5 * step, 1e-11);
  EXPECT_NEAR(time({11, 128, 128}), 36 * step, 1e-11);
}

// Eight groups of heads of 20 sequences on ten SMs: no two groups of a sequence walk at the same time, and
// what L2 cannot keep between them, 20 x 32 keys of 1152 B, is read eight times.
TEST(KernelLatent, GroupsOfHeadsReadAnewWhatL2Lost) {
  KernelConstants constants = constants_of(flash_attention_2);
  constants.floor_s = 1e-9;
  const auto time = [&](std::int64_t l2) {
    return mla_decode_time({20, 128, 128}, sms_with_l2(1e12, 1e21, l2), keys_bf16, constants);
  };
  constexpr double keys = 20 * 128 * 1152, queries = 20 * 128 * 1088 * 2;
  EXPECT_NEAR(time(20 * 32 * 1152), (keys + queries) / 1e12, 1e-12);
  EXPECT_NEAR(time(20 * 32 * 1152 - 1), (8 * keys + queries) / 1e12, 1e-12);
}

// Launched one by one, a call takes the longer of its launches and its work.
TEST(KernelLatent, LaunchesAndWorkPassAtTheSameTime) {
  KernelConstants constants = constants_of(flash_attention_2);
  constants.floor_s = 300e-6;
  constants.sm_feed = 1e9;
  const auto time = [&](std::int64_t context) {
    return mla_decode_time({1, context, 16}, sms_with_l2(1e21, 1e21), keys_bf16, constants);
  };
  EXPECT_NEAR(time(128), 300e-6, 1e-9);
  EXPECT_NEAR(time(128 * 100), 3686.4e-6, 1e-9);
}

// A layer of the newer version: a walk through up to 1023 keys alone, through 1024 in two parts, 32 steps
// either way; 16 heads hold 36.5 million values in bf16. Block-scaled weights have three products quantised
// first.
TEST(KernelLatent, ALayerSplitsContextsByTheirKeys) {
  KernelConstants constants = constants_of(flash_attention_2);
  constants.split_s = 2e-6;
  constants.arithmetic_share = 1e-3;
  const auto time = [&](std::int64_t context, const char* weights) {
    return mla_layer_decode_time({1, context, 16}, sms_with_l2(1e21, 1e16), keys_bf16, kernel_format(weights),
                                 constants);
  };
  const double step = 32 * 16 * 2 * 1088.0 / 1e12;  // on one SM, at a thousandth of 1e15
  EXPECT_NEAR(time(1023, "bf16") - time(512, "bf16"), 16 * step, 1e-11);
  EXPECT_NEAR(time(1024, "bf16") - time(512, "bf16"), 0, 1e-11);
  EXPECT_NEAR(time(512, "fp8_block") - time(512, "bf16"), 6e-6, 1e-9);
}

}  // namespace
}  // namespace pregate::sim
