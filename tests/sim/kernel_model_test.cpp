// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/kernel_model.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "models/error.hpp"
#include "sim/cost/kernel_parts.hpp"
#include "sim/cost/kernel_times.hpp"

namespace pregate::sim {
namespace {

/// Ten SMs of 1 TFLOP/s each; memory so fast that only what a test slows down is seen.
KernelPeaks ten_sms(double memory = 1e18, double flop = 1e13) {
  return {{memory}, {1'000'000}, 10, {{"bf16", {flop}}}};
}

KernelConstants ideal() {
  KernelConstants constants;
  constants.floor_s = 5e-6;
  constants.sm_feed = 1e18;
  constants.overlap = 20;
  return constants;
}

const KernelFormat bf16 = kernel_format("bf16");

// 1000 x 1000 weights and 1000 + 1000 activations of 2 B, at half of 1 TB/s: 2.004 MB / 0.5 TB/s = 4.008 us.
TEST(KernelModel, AGemmOfOneRowTakesFloorAndTheReadingOfItsBytes) {
  KernelConstants constants = ideal();
  constants.memory_share = 0.5;
  EXPECT_NEAR(gemm_time({1, 1000, 1000}, ten_sms(1e12, 1e16), bf16, constants), 5e-6 + 4.008e-6, 1e-11);
}

// 128 x 1280 outputs of depth 1000 fill ten SMs with one tile of 128 x 128 each: 2 x 128 x 128 x 1000 / 1
// TFLOP/s = 32.768 us. One column more, and the best tile is 16 x 32: 8 x 41 = 328 of them are 33 rounds
// of 1.024 us.
TEST(KernelModel, TilesPassThroughTheSmsInWholeRounds) {
  EXPECT_NEAR(gemm_time({128, 1280, 1000}, ten_sms(), bf16, ideal()), 5e-6 + 32.768e-6, 1e-11);
  EXPECT_NEAR(gemm_time({128, 1281, 1000}, ten_sms(), bf16, ideal()), 5e-6 + 33.792e-6, 1e-11);
  KernelConstants half = ideal();  // half of the loss of 0.2 of a round
  half.wave_share = 0.5;
  EXPECT_NEAR(gemm_time({128, 1281, 1000}, ten_sms(), bf16, half), 5e-6 + 32.9 * 1.024e-6, 1e-11);
}

// CUTLASS's kernels of 8 bits on Hopper: 129 rows are two tiles of 128 x 128 for each 128 columns, as 256
// are; 65 two of 64 x 128. 640 columns on ten SMs are one round: 32.768 us at 1 TFLOP/s each, or half.
TEST(KernelModel, TilesOfAClusterAreComputedTogether) {
  KernelConstants constants = ideal();
  constants.packed = 0;
  const auto time = [&](std::int64_t m) {
    return gemm_time({m, 640, 1000}, ten_sms(), bf16, constants) - 5e-6;
  };
  EXPECT_NEAR(time(65), 16.384e-6, 1e-11);
  EXPECT_NEAR(time(128), 16.384e-6, 1e-11);
  EXPECT_NEAR(time(129), 32.768e-6, 1e-11);
  EXPECT_NEAR(time(256), 32.768e-6, 1e-11);
  EXPECT_NEAR(time(257), 2 * 32.768e-6, 1e-11);
}

// DeepGEMM: the fewest rounds on ten SMs, of those the fullest last one. 1280 columns are ten tiles of 128 x
// 128; 1281 would be eleven, but nine of 128 x 144 are one round; 1281 of 256 rows are two of those.
TEST(KernelModel, DeepGemmTakesTheFewestAndFullestRounds) {
  KernelConstants constants = ideal();
  constants.packed = 2;
  const auto time = [&](std::int64_t m, std::int64_t n) {
    return gemm_time({m, n, 1000}, ten_sms(), bf16, constants) - 5e-6;
  };
  EXPECT_NEAR(time(128, 1280), 32.768e-6, 1e-11);
  EXPECT_NEAR(time(128, 1281), 36.864e-6, 1e-11);
  EXPECT_NEAR(time(64, 1280), 0.5 * 32.768e-6, 1e-11) << "a tile of 64 rows";
  EXPECT_NEAR(time(256, 1280), 2 * 32.768e-6, 1e-11) << "256 x 128";
}

// Launches of 100 us from Python hide 10 us of work and are hidden by 1 ms; where both are alike the sum of
// the eighth powers counts. DeepGEMM lays out scales anew unless rows are a multiple of four.
TEST(KernelModel, LaunchesFromPythonPassWhileTheGpuWorks) {
  KernelConstants constants = ideal();
  constants.floor_s = 100e-6;
  const auto time = [&](double work, std::int64_t m = 4) {  // 1000 columns of depth 1000 at so many bytes/s
    const double bytes = 1000 * 1000 * 2 + static_cast<double>(m) * (1000 + 1000) * 2;
    return gemm_time({m, 1000, 1000}, ten_sms(bytes / work, 1e18), bf16, constants);
  };
  EXPECT_NEAR(time(10e-6), 100e-6, 1e-9);
  EXPECT_NEAR(time(1e-3), 1e-3, 1e-9);
  EXPECT_NEAR(time(100e-6), 100e-6 * std::pow(2, 1.0 / 8), 1e-9);
  constants.packed = 2;
  EXPECT_NEAR(time(10e-6, 8), 100e-6, 1e-9);
  EXPECT_NEAR(time(10e-6, 9), 112e-6, 1e-9);
}

// Calls that repeat find 0.5 MB of weights in 1 MB of L2, at twice the memory's rate; 2 MB they do not.
TEST(KernelModel, OnlyRepeatedCallsReadFromL2) {
  KernelConstants constants = ideal();
  constants.l2_multiple = 2;
  const KernelPeaks gpu = ten_sms(1e12, 1e16);
  const double passed = (500 + 500) * 2 / 1e12;
  EXPECT_NEAR(gemm_time({1, 500, 500}, gpu, bf16, constants), 5e-6 + 0.5e-6 + passed, 1e-11);
  EXPECT_NEAR(gemm_time({1, 500, 500}, gpu, bf16, constants, Residency::repeated), 5e-6 + 0.25e-6 + passed,
              1e-11);
  EXPECT_EQ(gemm_time({1, 1000, 1000}, gpu, bf16, constants, Residency::repeated),
            gemm_time({1, 1000, 1000}, gpu, bf16, constants));
}

// ceil(tokens / rows) of 1, 17 and 300 tokens for 8, 16, 32, 48, 64, 128 and 256 rows.
TEST(KernelLoad, CountsExpertsPairsAndBlocks) {
  constexpr std::array tokens{0, 1, 17, 300};
  const ExpertLoad load = expert_load(tokens, {300, 2, 4});
  EXPECT_EQ(load.active, 3);
  EXPECT_EQ(load.pairs, 318);
  EXPECT_EQ(load.blocks, (std::array<double, 7>{42, 22, 12, 9, 7, 5, 4}));
}

// 8 of 128 experts: every 16th. 16 tokens reach all 128 once, 32 reach them twice; an eighth of the experts
// gets an eighth.
TEST(KernelLoad, BalancedTokensReachAsManyExpertsAsTheyCan) {
  EXPECT_EQ(balanced_load({1, 8, 128, 1}).active, 8);
  EXPECT_EQ(balanced_load({1, 8, 128, 8}).active, 1);
  EXPECT_EQ(balanced_load({16, 8, 128, 1}).active, 128);
  const ExpertLoad twice = balanced_load({32, 8, 128, 8});
  EXPECT_EQ(twice.active, 16);
  EXPECT_EQ(twice.pairs, 32);
}

TEST(KernelLoad, APowerLawKeepsTheTokensAndLeavesExpertsIdle) {
  for (const int tokens : {1, 8, 100, 4096}) {
    const ExpertLoad load = power_law_load({tokens, 8, 128, 1}, 1.2);
    EXPECT_NEAR(load.pairs, tokens * 8, 1e-6) << tokens;
    EXPECT_LE(load.active, balanced_load({tokens, 8, 128, 1}).active) << tokens;
  }
  // 64 choices of 256 experts, no share above 1.5: what rounding leaves goes to experts without a token.
  EXPECT_NEAR(power_law_load({8, 8, 256, 1}, 1.01, Leftover::least_loaded).active, 64, 1e-6);
  // Two of two experts: no skew is left, as no expert takes a token twice.
  EXPECT_EQ(power_law_load({50, 2, 2, 1}, 1.2).blocks[1], 2 * 4);
  // The busiest of eight GPUs has more than its eighth.
  EXPECT_GT(power_law_load({4096, 8, 128, 8}, 1.2).pairs, 4096);
}

// Two experts of 1000 x 500, three matrices of 1 MB each: 6 MB at 1 TB/s. Each of two pairs passes
// 2 B x (3 x 1000 + 6 x 500) = 12 kB.
TEST(KernelModel, AFusedMoeReadsTheExpertsThatGetTokens) {
  constexpr std::array tokens{1, 1, 0, 0};
  const MoeShape shape{expert_load(tokens, {1, 2, 4}), 1000, 500, true};
  EXPECT_NEAR(fused_moe_time(shape, ten_sms(1e12, 1e18), bf16, ideal()), 5e-6 + 6e-6 + 0.024e-6, 1e-11);
  const MoeShape ungated{expert_load(tokens, {1, 2, 4}), 1000, 500,
                         false};  // 4 MB; 2 B x (3 x 1000 + 4 x 500) = 10 kB
  EXPECT_NEAR(fused_moe_time(ungated, ten_sms(1e12, 1e18), bf16, ideal()), 5e-6 + 4e-6 + 0.020e-6, 1e-11);
}

/// Rows that one token of an expert takes: matrices of 32 x 32 are one tile, of 2 x rows x 1024 FLOP each at
/// 1 GFLOP/s an SM.
double rows_of_a_block(ExpertKernel kernel, const ExpertLayer& layer) {
  constexpr std::array tokens{1};
  KernelConstants constants = ideal();
  constants.packed = static_cast<double>(kernel);
  const MoeShape shape{expert_load(tokens, layer), 32, 32, false};
  return (fused_moe_time(shape, ten_sms(1e18, 1e10), bf16, constants) - 5e-6) / 4.096e-6;
}

// Ten experts. Marlin: the first of 8, 16, 32, 48, 64 rows that the choices fill to less than 0.9.
TEST(KernelExperts, BlocksOfRowsAreThoseOfTheirKernel) {
  const auto rows = [](ExpertKernel kernel, double choices) {
    return rows_of_a_block(kernel, {choices / 2, 2, 10});
  };
  for (const auto& [choices, expected] : std::initializer_list<std::pair<double, double>>{
           {70, 8}, {72, 16}, {143, 16}, {144, 32}, {288, 48}, {430, 48}, {432, 64}, {9000, 64}})
    EXPECT_NEAR(rows(ExpertKernel::marlin, choices), expected, 1e-6) << choices;
  for (const auto& [choices, expected] : std::initializer_list<std::pair<double, double>>{
           {2, 16}, {168, 16}, {170, 32}, {330, 64}, {650, 128}, {9000, 128}})
    EXPECT_NEAR(rows(ExpertKernel::triton_kernels, choices), expected, 1e-6) << choices;
  EXPECT_NEAR(rows(ExpertKernel::cutlass, 2), 128, 1e-6);
  EXPECT_NEAR(rows(ExpertKernel::tuned, 9000), 16, 1e-6);
  EXPECT_NEAR(rows(ExpertKernel::default_triton, 20), 16, 1e-6);  // ten tokens of ten experts
  EXPECT_NEAR(rows(ExpertKernel::default_triton, 22), 128,
              1e-6);  // 64 x 64, of which half is computed in vain
}

// Above as many tokens as experts the steps of vLLM's default tiles are 32 values, half a cache line: 64 x 64
// tiles are fed (64 + 64) x 2 B x 32 twice, each of two products.
TEST(KernelExperts, HalfACacheLineIsFetchedTwice) {
  constexpr std::array tokens{1};
  KernelConstants constants = ideal();
  constants.packed = static_cast<double>(ExpertKernel::default_triton);
  constants.sm_feed = 1e9;
  const auto time = [&](double count) {
    return fused_moe_time({expert_load(tokens, {count, 1, 10}), 32, 32, false}, ten_sms(1e18, 1e18), bf16,
                          constants) -
           5e-6;
  };
  EXPECT_NEAR(time(10), 2 * (16 + 32) * 2 * 32 / 1e9, 1e-11);
  EXPECT_NEAR(time(11), 2 * 2 * (64 + 64) * 2 * 32 / 1e9, 1e-11);
}

// 1280 keys of 512 B are ten blocks of 65,536 B, at 1 GB/s into an SM 65.536 us each: side by side where the
// context is split (and joined, 2 us), else one after another.
TEST(KernelModel, DecodeWalksThroughKeysAloneOrTogether) {
  KernelConstants constants = ideal();
  constants.sm_feed = 1e9;
  constants.split_s = 2e-6;
  const AttentionShape shape{.context = 1280, .head_dim = 128};
  EXPECT_NEAR(attention_decode_time(shape, ten_sms(), bf16, constants), 7e-6 + 65.536e-6, 1e-11);
  constants.packed = 0;  // FlashAttention 2, heads that share no keys
  EXPECT_NEAR(attention_decode_time(shape, ten_sms(), bf16, constants), 5e-6 + 655.36e-6, 1e-11);
}

// 130 tokens are three chunks of 64, one after another, 2 us each; twenty heads on ten SMs take two rounds,
// and each a start of 1 us. Triton's kernels start once, and as much less as a first chunk is short of 64
// tokens.
TEST(KernelModel, ChunksOfTheDeltaRuleRunInOrder) {
  KernelConstants constants = ideal();
  constants.step_s = 2e-6;
  constants.start_s = 1e-6;
  const LinearShape shape{
      .batch = 1, .tokens = 130, .key_heads = 10, .key_dim = 128, .value_heads = 20, .value_dim = 128};
  EXPECT_NEAR(delta_prefill_time(shape, ten_sms(), constants), 5e-6 + 2 * (1e-6 + 3 * 2e-6), 1e-11);
  constants.packed = 0;
  EXPECT_NEAR(delta_prefill_time(shape, ten_sms(), constants), 5e-6 + 1e-6 + 2 * 3 * 2e-6, 1e-11);
  LinearShape part = shape;
  part.tokens = 32;
  EXPECT_NEAR(delta_prefill_time(part, ten_sms(), constants), 5e-6 + 0.5e-6 + 2 * 2e-6, 1e-11);
}

// One value head of 64 tokens, 16 x 16: FlashInfer reads 3 and writes 1 x 2048 B, and a state of 1024 B in
// and out: 10,240 B, half of which fit an L2 of 5,120 B that is four times as fast.
TEST(KernelModel, TheDeltaRuleFindsInL2WhatFits) {
  KernelConstants constants = ideal();
  constants.l2_multiple = 4;
  KernelPeaks gpu = ten_sms(1e12);
  gpu.l2 = {5'120};
  const LinearShape shape{
      .batch = 1, .tokens = 64, .key_heads = 1, .key_dim = 16, .value_heads = 1, .value_dim = 16};
  EXPECT_NEAR(delta_prefill_time(shape, gpu, constants), 5e-6 + 10'240 * 0.625 / 1e12, 1e-14);
}

TEST(KernelTimes, KinInheritSharesAndKeepTheirOwnPeaks) {
  GpuKernels kin;
  kin.name = "kin";
  kin.peaks = ten_sms(1e12, 1e16);
  KernelFit fit{KernelFamily::gemm, "bf16", ideal(), 1, 1};
  fit.median = 0.05;
  fit.kin_median = 0.15;
  kin.fits.push_back(fit);
  const GpuKernelTimes own(kin), twice_as_fast(kin, ten_sms(2e12, 1e16));
  EXPECT_NEAR(twice_as_fast.gemm({1, 1000, 1000}, "bf16") - 5e-6,
              (own.gemm({1, 1000, 1000}, "bf16") - 5e-6) / 2, 1e-12);
  EXPECT_EQ(own.expected_error(KernelFamily::gemm, "bf16"), 0.05);
  EXPECT_EQ(twice_as_fast.expected_error(KernelFamily::gemm, "bf16"), 0.15);
  EXPECT_FALSE(own.expected_error(KernelFamily::gemm, "fp8"));
  EXPECT_THROW(static_cast<void>(own.fused_moe({}, "bf16")), InputError);
  EXPECT_THROW(static_cast<void>(own.gemm({}, "fp9")), InputError);
}

}  // namespace
}  // namespace pregate::sim
