// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/engine/histogram.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

constexpr std::int64_t us = 1'000'000;

MachineSpec bare_machine() {
  MachineSpec machine = test::tiny_machine();
  machine.gpu.memory_bandwidth = {1e9};
  machine.gpu.memory_efficiency = 0.5;
  machine.gpu.compute_efficiency = 0.5;
  machine.gpu.rates = {{"fp32", {1e9}}};
  return machine;
}

// time = overhead + max(FLOP / (rate x efficiency), bytes / (bandwidth x efficiency)).
TEST(Roofline, ExpertsAreBoundByBytesThenByArithmetic) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  CostModel costs(model, bare_machine(), {});
  costs.begin_step({.tokens = 1});
  const double bytes = 98304, flop = 2.0 * 3 * 64 * 128;  // of one token through one expert
  const std::vector<std::uint32_t> one{1};
  EXPECT_EQ(costs.experts(0, one, 1, 1, false), Picoseconds{60 * us} + from_seconds(bytes / 0.5e9));
  // Bytes and arithmetic balance at bytes / flop = 2 tokens (both efficiencies are 0.5): at 2 equal, at 3
  // arithmetic.
  EXPECT_DOUBLE_EQ(bytes / flop, 2);
  const std::vector<std::uint32_t> two{2}, three{3};
  EXPECT_EQ(costs.experts(0, two, 2, 2, false), Picoseconds{60 * us} + from_seconds(bytes / 0.5e9));
  EXPECT_EQ(costs.experts(0, three, 3, 3, false), Picoseconds{60 * us} + from_seconds(3 * flop / 0.5e9));
}

// Weights of 8 bits, 4 multiprocessors of 1 MHz that unpack a weight in two cycles: 24576 weights of an
// expert take 12.3 ms where 8 tokens or fewer meet them, and one byte each at 500 MB/s else. 32-bit weights
// need no unpacking.
TEST(Roofline, UnpackingMayBoundFewTokens) {
  ModelSpec model = test::tiny_model(1, 8, 2);
  MachineSpec machine = bare_machine();
  machine.gpu.rates = {{"fp32", {1e15}}};
  machine.gpu.sm_count = 4;
  machine.gpu.clock_ghz = 1e-3;
  machine.gpu.unpacked_per_cycle = 0.5;
  const auto experts = [&](std::uint32_t tokens) {
    CostModel costs(model, machine, {});
    const int step = static_cast<int>(tokens);
    costs.begin_step({.tokens = step});
    const std::vector<std::uint32_t> load{tokens};
    return costs.experts(0, load, tokens, step, false) - Picoseconds{60 * us};
  };
  constexpr double weights = 3 * 64 * 128;
  EXPECT_EQ(experts(1), from_seconds(weights * 4 / 0.5e9)) << "not packed";
  model.expert_format = weight_format("q8_0", "test");
  model.expert_format.bits_per_parameter = 8;
  EXPECT_EQ(experts(1), from_seconds(weights / (4 * 1e6 * 0.5)));
  EXPECT_EQ(experts(8), from_seconds(weights / (4 * 1e6 * 0.5)));
  EXPECT_EQ(experts(9), from_seconds(weights / 0.5e9));
  machine.gpu.clock_ghz = 0;
  EXPECT_EQ(experts(1), from_seconds(weights / 0.5e9)) << "no clock is said";
}

// Packed weights that more than 8 tokens meet are computed in tiles as wide as the pass: 4 multiprocessors of
// 1 MHz that unpack a weight in two cycles and then reach 64 FLOP in a cycle. 16 tokens of one expert are a
// tile of 16, 17 one of 24; with tiles of 16 at most they are two.
TEST(Roofline, PackedWeightsAreComputedInWholeTiles) {
  ModelSpec model = test::tiny_model(1, 8, 2);
  model.expert_format = weight_format("q8_0", "test");
  MachineSpec machine = bare_machine();
  machine.gpu.rates = {{"fp32", {1e15}}};
  machine.gpu.memory_bandwidth = {1e15};
  machine.gpu.sm_count = 4;
  machine.gpu.clock_ghz = 1e-3;
  machine.gpu.unpacked_per_cycle = 0.5;
  machine.gpu.tile_flop = 64;
  const auto experts = [&](const std::vector<std::uint32_t>& load, int step) {
    CostModel costs(model, machine, {});
    costs.begin_step({.tokens = step});
    std::uint32_t routed = 0;
    for (const std::uint32_t tokens : load) routed += tokens;
    return costs.experts(0, load, routed, step, false) - Picoseconds{60 * us};
  };
  constexpr double weights = 3 * 64 * 128;
  const auto tiles = [](double count, double width) {
    return from_seconds(count * weights * (2 + 2 * width / 64) / (4 * 1e6));
  };
  EXPECT_EQ(experts({16}, 16), tiles(1, 16));
  EXPECT_EQ(experts({17}, 17), tiles(1, 24)) << "whole steps of 8";
  EXPECT_EQ(experts({1, 15}, 16), tiles(2, 16)) << "as wide for one token as for 15";
  machine.gpu.tile_tokens = 16;
  EXPECT_EQ(experts({17}, 17), tiles(2, 16));
  EXPECT_LT(experts({8}, 8), tiles(1, 16)) << "8 tokens are no tile's";
  // Numbers between the products, at 8 bytes each: gate and up and the activation of 128, four times 64.
  machine.gpu.activation_bytes = 8;
  machine.gpu.memory_bandwidth = {1e6};
  machine.gpu.tile_flop = 1e9;
  machine.gpu.unpacked_per_cycle = 0;
  const double numbers = 2 * 2 * 128 + 2 * 128 + 4 * 64;
  const double read = static_cast<double>(model.profile(model.stacks[0])[0].expert.count);
  EXPECT_EQ(experts({16}, 16), from_seconds(read / 0.5e6) + from_seconds(16 * numbers * 8 / 0.5e6));
  model.expert_format = weight_format("bf16", "test");
  EXPECT_EQ(experts({16}, 16), from_seconds(2 * weights / 0.5e6)) << "not packed";
}

TEST(Roofline, PassesInTilesAreLaunchedOneByOne) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  MachineSpec machine = bare_machine();
  machine.overhead.replayed = 0.5;
  const auto gate = [&](int tokens) {
    CostModel costs(model, machine, load_policy("gpu-only"));
    costs.begin_step({.tokens = tokens});
    return costs.layer(0).gate;
  };
  const Picoseconds replayed = from_seconds(machine.overhead.gate.seconds() / 2);
  EXPECT_EQ(gate(9), replayed) << "nothing says that there are tiles";
  machine.gpu.tile_flop = 64;
  EXPECT_EQ(gate(8), replayed);
  EXPECT_EQ(gate(9), machine.overhead.gate);
}

TEST(Roofline, SharedCostsAreAddedOnce) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  CostModel costs(model, bare_machine(), {});
  costs.begin_step({.tokens = 1});
  const std::vector<std::uint32_t> one{1};
  const Picoseconds shared = costs.experts(0, one, 1, 1, true) - costs.experts(0, one, 1, 1, false);
  EXPECT_EQ(shared, costs.layer(0).shared);
  EXPECT_GT(shared.count, 0);
}

// An expert with one token costs a whole tile of rows; a tile more only when the rows or the SMs are full.
TEST(GroupedGemm, CostsWholeTilesInWaves) {
  const ModelSpec model = test::tiny_model(1, 64, 1);
  MachineSpec machine = bare_machine();
  machine.gpu.memory_bandwidth = {1e15};  // arithmetic only
  machine.gpu.sm_count = 4;
  machine.gpu.grouped_gemm_tile_rows = 16;
  machine.gpu.grouped_gemm_tile_columns = 64;
  machine.gpu.grouped_gemm_efficiency = 0.5;
  CostModel costs(model, machine, {});
  costs.begin_step({.tokens = 1});
  // First GEMM: 2 x 128 columns (gated) = 4 tiles = one wave of 4 SMs, 64 inner steps; second: 64 columns = 1
  // tile, one wave, 128 inner steps. A wave takes 2 x 16 x 64 x inner / (rate / 4 x 0.5).
  const auto wave = [](double inner) { return 2.0 * 16 * 64 * inner / (1e9 / 4 * 0.5); };
  const std::vector<std::uint32_t> one{1}, full{16}, over{17};
  const Picoseconds base = Picoseconds{60 * us} + from_seconds(wave(64) + wave(128));
  EXPECT_EQ(costs.experts(0, one, 1, 1, false), base);
  EXPECT_EQ(costs.experts(0, full, 16, 16, false), base);
  EXPECT_EQ(costs.experts(0, over, 17, 17, false),
            Picoseconds{60 * us} + from_seconds(2 * wave(64) + wave(128)));
}

TEST(CopyTable, InterpolatesInTheLogarithmOfTheSize) {
  const LinkSpec link{.bandwidth = {9e9},
                      .latency = {},
                      .per_copy = {},
                      .pageable_bandwidth = {1e9},
                      .table = {{Bytes{1 << 10}, {1e9}}, {Bytes{1 << 14}, {5e9}}}};
  EXPECT_DOUBLE_EQ(copy_rate(link, Bytes{1}).value, 1e9);
  EXPECT_DOUBLE_EQ(copy_rate(link, Bytes{1 << 10}).value, 1e9);
  EXPECT_DOUBLE_EQ(copy_rate(link, Bytes{1 << 12}).value, 3e9);
  EXPECT_DOUBLE_EQ(copy_rate(link, Bytes{1 << 14}).value, 5e9);
  EXPECT_DOUBLE_EQ(copy_rate(link, Bytes{1 << 20}).value, 5e9);
}

// The driver's copy into page-locked memory and the link follow each other: the slower one decides.
TEST(Pageable, CopiesAreNoFasterThanTheLink) {
  const ModelSpec model = test::tiny_model(2, 8, 1);
  MachineSpec machine = bare_machine();  // half a GB/s from pageable memory
  PolicySpec policy;
  policy.transfer.pinned = false;
  const auto rate = [&](double link) {
    machine.h2d.bandwidth = {link};
    return CostModel(model, machine, policy).fetch().rate.value;
  };
  EXPECT_EQ(rate(2e9), 5e8);
  EXPECT_EQ(rate(5e8), 5e8);
  EXPECT_EQ(rate(4e8), 4e8);
}

TEST(ExpertTable, InterpolatesInTokensAndActivatedExperts) {
  const auto micro = [](double value) { return from_seconds(value * 1e-6); };
  const std::vector<ExpertKernelPoint> table = {
      {1, 8, micro(50)}, {4, 8, micro(80)}, {4, 16, micro(160)}, {4, 32, micro(200)}};
  EXPECT_EQ(kernel_time(table, 1, 8), micro(50));
  EXPECT_EQ(kernel_time(table, 4, 24), micro(180));
  EXPECT_EQ(kernel_time(table, 2, 8), micro(60));
  EXPECT_EQ(kernel_time(table, 1, 4), micro(25));    // in proportion below the grid
  EXPECT_EQ(kernel_time(table, 4, 64), micro(400));  // and beyond it
  EXPECT_EQ(kernel_time(table, 8, 8), micro(160));
}

TEST(KernelTimesByTokens, AreLinearBetweenAndGoOnWithTheLastSlope) {
  const auto micro = [](double value) { return from_seconds(value * 1e-6); };
  const std::vector<KernelPoint> table = {{2, micro(50)}, {4, micro(80)}, {8, micro(100)}};
  EXPECT_EQ(kernel_time(table, 1), micro(50));
  EXPECT_EQ(kernel_time(table, 2), micro(50));
  EXPECT_EQ(kernel_time(table, 3), micro(65));
  EXPECT_EQ(kernel_time(table, 8), micro(100));
  EXPECT_EQ(kernel_time(table, 16), micro(140));
  EXPECT_EQ(kernel_time(std::vector<KernelPoint>{{2, micro(50)}}, 6), micro(150));
  EXPECT_EQ(kernel_time(std::vector<KernelPoint>{{2, micro(50)}, {4, micro(40)}}, 64), micro(40)) << "noise";
}

TEST(CostModel, ReplacesTheRooflineByTheMachinesTable) {
  MachineSpec machine = bare_machine();
  machine.expert_kernel_table = {{1, 1, from_seconds(7e-6)}};
  CostModel costs(test::tiny_model(1, 8, 2), machine, {});
  costs.begin_step({.tokens = 1});
  const std::vector<std::uint32_t> one{1};
  EXPECT_EQ(costs.experts(0, one, 1, 1, false), from_seconds(7e-6));
}

TEST(CostModel, ComputesInTheNextWiderPrecisionThatTheMachineHas) {
  MachineSpec machine = bare_machine();
  machine.gpu.rates = {{"fp16", {1e9}}};
  EXPECT_THROW(CostModel(test::tiny_model(1, 8, 2), machine, {}),
               InputError);  // fp32 is never computed in fp16
  machine.gpu.rates = {{"tf32", {1e9}}};
  EXPECT_THROW(CostModel(test::tiny_model(1, 8, 2), machine, {}), InputError);
}

TEST(CostModel, AttentionGrowsWithTheContext) {
  CostModel costs(test::tiny_model(1, 8, 2), bare_machine(), {});
  costs.begin_step({.tokens = 1, .position = 0});
  const Picoseconds empty = costs.layer(0).attention;
  costs.begin_step({.tokens = 1, .position = 1000});
  // 4 heads x 16 x (k and v) x 4 bytes = 512 bytes a cached token, at 0.5 GB/s.
  EXPECT_EQ(costs.layer(0).attention - empty, from_seconds(512.0 * 1000 / 0.5e9));
}

TEST(Histogram, PercentilesAreExactToOneInAThousand) {
  Histogram histogram;
  for (std::int64_t i = 1; i <= 100'000; ++i) histogram.add(Picoseconds{i * 1'000'003});
  for (const double share : {0.01, 0.5, 0.95, 0.99, 1.0}) {
    const double exact = 100'000 * share * 1'000'003e-9;
    EXPECT_NEAR(histogram.percentile_ms(share), exact, exact * 1e-3) << share;
  }
  EXPECT_DOUBLE_EQ(histogram.mean_ms(), 100'001.0 / 2 * 1'000'003e-9);
}

TEST(Histogram, OfOneValueIsThatValue) {
  Histogram histogram;
  histogram.add(Picoseconds{1'234'567'891});
  EXPECT_DOUBLE_EQ(histogram.percentile_ms(0.5), 1.234567891);
  EXPECT_DOUBLE_EQ(histogram.percentile_ms(0.99), 1.234567891);
}

}  // namespace
}  // namespace pregate::sim
