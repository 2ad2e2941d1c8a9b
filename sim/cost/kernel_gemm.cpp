// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>

#include "sim/cost/kernel_parts.hpp"

namespace pregate::sim {
namespace {

constexpr std::array<int, 4> tile_columns{32, 64, 128, 256};
constexpr int largest_tile = 128 * 256;  // of fp32 sums in the registers of an SM

/// The products of one grouped GEMM with the tile that is best for it, as libraries choose.
double best_tiles(const std::array<double, kernel_tile_rows.size()>& row_blocks, std::int64_t n,
                  std::int64_t k, const KernelPeaks& gpu, const KernelFormat& format,
                  const KernelConstants& constants) {
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < kernel_tile_rows.size(); ++i) {
    for (const int columns : tile_columns) {
      if (kernel_tile_rows[i] * columns > largest_tile) continue;
      const double tiles = row_blocks[i] * static_cast<double>(blocks_of(n, columns));
      best = std::min(
          best, waves(tiles, gpu, constants) *
                    tile_time(kernel_tile_rows[i], columns, static_cast<double>(k), gpu, format, constants));
    }
  }
  return best;
}

}  // namespace

double weight_bytes(const GemmShape& shape, const KernelFormat& format) {
  return static_cast<double>(shape.n) * static_cast<double>(shape.k) * format.weight_bytes;
}

double weight_bytes(const MoeShape& shape, const KernelFormat& format) {
  return shape.load.active * (shape.gated ? 3 : 2) * static_cast<double>(shape.hidden) *
         static_cast<double>(shape.inter) * format.weight_bytes;
}

double gemm_time(const GemmShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                 const KernelConstants& constants, Residency residency) {
  const auto m = static_cast<double>(shape.m), n = static_cast<double>(shape.n),
             k = static_cast<double>(shape.k);
  const double weights = weight_bytes(shape, format);
  const double bytes = weights + m * k * format.activation_bytes + m * n * 2;
  std::array<double, kernel_tile_rows.size()> blocks{};
  for (std::size_t i = 0; i < blocks.size(); ++i)
    blocks[i] = static_cast<double>(blocks_of(shape.m, kernel_tile_rows[i]));
  return constants.floor_s + overlapped(read_time(bytes, weights, gpu, constants, residency),
                                        best_tiles(blocks, shape.n, shape.k, gpu, format, constants),
                                        constants);
}

double fused_moe_time(const MoeShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                      const KernelConstants& constants, Residency residency) {
  if (shape.load.active <= 0) return constants.floor_s;
  const auto hidden = static_cast<double>(shape.hidden), inter = static_cast<double>(shape.inter);
  const double weights = weight_bytes(shape, format);
  const std::int64_t ups = shape.gated ? 2 : 1;  // matrices of the first product
  // Written and read between the kernels, a pair: gathered input, each half of the gate, their product,
  // output.
  const double passed = shape.load.pairs * 2 * (hidden * 3 + inter * static_cast<double>(2 * ups + 2));
  const double up = best_tiles(shape.load.blocks, ups * shape.inter, shape.hidden, gpu, format, constants);
  const double down = best_tiles(shape.load.blocks, shape.hidden, shape.inter, gpu, format, constants);
  const double read = read_time(weights, weights, gpu, constants, residency) / static_cast<double>(ups + 1);
  return constants.floor_s + overlapped(read * static_cast<double>(ups), up, constants) +
         overlapped(read, down, constants) + read_time(passed, 0, gpu, constants, residency);
}

}  // namespace pregate::sim
