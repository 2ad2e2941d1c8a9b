// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/packed_weights.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "models/formats/weight_format.hpp"
#include "sim/cost/cost_model.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

/// 4 multiprocessors of 1 GHz with `units` fp32 units each.
GpuSpec gpu_of(double units) {
  GpuSpec gpu = test::tiny_machine().gpu;
  gpu.sm_count = 4;
  gpu.clock_ghz = 1;
  gpu.rates = {{"fp32", {2 * 4 * 1e9 * units}}};
  gpu.tile_flop = 1000;
  return gpu;
}

TEST(TileRate, GoesByFp32UnitsAndByScales) {
  EXPECT_DOUBLE_EQ(tile_rate(gpu_of(128), tile_format_of("q4_0")), 1000);
  EXPECT_DOUBLE_EQ(tile_rate(gpu_of(64), tile_format_of("q4_0")), 500);
  EXPECT_DOUBLE_EQ(tile_rate(gpu_of(256), tile_format_of("q4_0")), 1000) << "no more than what was fitted";
  GpuSpec gpu = gpu_of(128);
  gpu.tile_scales = 0.25;
  EXPECT_DOUBLE_EQ(tile_rate(gpu, tile_format_of("q4_k")), 1000);
  EXPECT_DOUBLE_EQ(tile_rate(gpu, tile_format_of("q6_k")), 1000 / 1.25) << "twice as many scales";
  EXPECT_LT(tile_rate(gpu, tile_format_of("q4_k_m")), 1000) << "some of its tensors are q6_k";
  EXPECT_GT(tile_rate(gpu, tile_format_of("q4_k_m")), 1000 / 1.25);
}

TEST(TileRate, FormatsOfFp4HaveTensorCoresOfTheirOwnWhereTheGpuHasTheRate) {
  GpuSpec gpu = gpu_of(128);
  gpu.tile_fp4 = 2;
  EXPECT_DOUBLE_EQ(tile_rate(gpu, tile_format_of("mxfp4")), 1000);
  gpu.rates["fp4"] = {1e15};
  EXPECT_DOUBLE_EQ(tile_rate(gpu, tile_format_of("mxfp4")), 2000);
  gpu.tile_scales = 0.5;
  EXPECT_DOUBLE_EQ(tile_rate(gpu, tile_format_of("nvfp4")), 2000) << "they apply the scales too";
  EXPECT_DOUBLE_EQ(tile_rate(gpu, tile_format_of("q4_k")), 1000);
  gpu.tile_fp4 = 0;
  EXPECT_DOUBLE_EQ(tile_rate(gpu, tile_format_of("mxfp4")), 1000);
}

TEST(TileClock, PowerBelowWhatTilesTakeLowersIt) {
  GpuSpec gpu = gpu_of(128);
  EXPECT_EQ(tile_clock(gpu), 1) << "no power said";
  gpu.power = 2;
  EXPECT_EQ(tile_clock(gpu), 1) << "the software says no watts";
  gpu.tile_watts = 0.5;
  EXPECT_EQ(tile_clock(gpu), 1) << "just enough";
  gpu.tile_watts = 1;
  EXPECT_DOUBLE_EQ(tile_clock(gpu), std::pow(0.5, 0.55));
}

TEST(PackedRows, ShortOnesCountForMore) {
  GpuSpec gpu;
  EXPECT_EQ(packed_rows(10, 64, gpu).counted, 640);
  gpu.row_weights = 100;
  EXPECT_EQ(packed_rows(10, 64, gpu).counted, 1000);
  EXPECT_EQ(packed_rows(10, 64, gpu).weights, 640);
  EXPECT_EQ(packed_rows(10, 128, gpu).counted, 1280);
}

// An expert of 64 by 128: gate and up have 256 rows of 64, down 64 of 128. 4 multiprocessors of 1 MHz take a
// weight apart in two cycles.
TEST(PackedRows, OneTokenTakesThemAndAPassInTilesDoesNot) {
  ModelSpec model = test::tiny_model(1, 8, 2);
  model.expert_format = weight_format("q8_0", "test");
  MachineSpec machine = test::tiny_machine();
  machine.gpu = gpu_of(1e6);
  machine.gpu.memory_bandwidth = {1e15};
  machine.gpu.clock_ghz = 1e-3;
  machine.gpu.unpacked_per_cycle = 0.5;
  const auto experts = [&](std::uint32_t tokens) {
    CostModel costs(model, machine, {});
    costs.begin_step({.tokens = static_cast<int>(tokens)});
    const std::vector<std::uint32_t> load{tokens};
    return costs.experts(0, load, tokens, static_cast<int>(tokens), false);
  };
  const Picoseconds plain = experts(1), in_tiles = experts(16);
  machine.gpu.row_weights = 96;
  const double more = 256 * (96 - 64);
  EXPECT_EQ(experts(1) - plain, from_seconds(more * 2 / (4 * 1e6)));
  EXPECT_EQ(experts(16), in_tiles);
}

}  // namespace
}  // namespace pregate::sim
