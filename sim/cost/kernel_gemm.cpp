// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>

#include "sim/cost/kernel_parts.hpp"

namespace pregate::sim {
namespace {

constexpr std::array tile_rows{16, 32, 64, 128, 256};

double best_tiles(const GemmShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                  const KernelConstants& constants) {
  double best = std::numeric_limits<double>::infinity();
  for (const int rows : tile_rows) {
    const auto blocks = static_cast<double>(blocks_of(shape.m, rows));
    best = std::min(best, best_columns(rows, blocks, shape.n, shape.k, gpu, format, constants));
  }
  return best;
}

/// vLLM's CUTLASS kernels of 8 bits on Hopper (scaled_mm_sm90_fp8_dispatch.cuh): above 64 rows two tiles of
/// 64 x 128, above 128 of 128 x 128, below one another are a cluster and are computed together.
double clustered_tiles(const GemmShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                       const KernelConstants& constants) {
  if (shape.m <= 64) return best_tiles(shape, gpu, format, constants);
  const int rows = shape.m <= 128 ? 64 : 128;
  return tiles_time(rows, 128, 2 * static_cast<double>(blocks_of(shape.m, 2 * rows)), shape.n, shape.k, gpu,
                    format, constants);
}

/// What DeepGEMM chooses on Hopper for activations with a scale to 128 values and weights with one to 128 x
/// 128 (csrc/jit_kernels/heuristics/common.hpp and sm90.hpp of deepseek-ai/DeepGEMM): the fewest rounds of
/// tiles, of those the fullest last round. Columns beyond 128 are those whose scales its unrolled loop can
/// hold.
struct Tile {
  int rows, columns;
};
Tile deep_gemm_tile(const GemmShape& shape, int sm_count) {
  constexpr std::array columns{16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 192};
  Tile best{};
  std::int64_t best_rounds = 0, best_last = 0;
  for (const int rows : {64, 128, 256}) {
    for (const int wide : columns) {
      if (rows > 128 && wide > 128) continue;  // sums in registers
      const std::int64_t tiles = blocks_of(shape.m, rows) * blocks_of(shape.n, wide);
      const std::int64_t rounds = blocks_of(tiles, sm_count), last = tiles - (rounds - 1) * sm_count;
      const bool better =
          best.rows == 0 || rounds < best_rounds || (rounds == best_rounds && last > best_last);
      const bool wider = rounds == best_rounds && last == best_last && rows != best.rows &&
                         wide > best.columns && wide <= shape.n && rows <= shape.m;
      if (!better && !wider) continue;
      best = {rows, wide};
      best_rounds = rounds;
      best_last = last;
    }
  }
  return best;
}

double deep_gemm_tiles(const GemmShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                       const KernelConstants& constants) {
  const Tile tile = deep_gemm_tile(shape, gpu.sm_count);
  return tiles_time(tile.rows, tile.columns, static_cast<double>(blocks_of(shape.m, tile.rows)), shape.n,
                    shape.k, gpu, format, constants);
}

double tiles_of(const GemmShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                const KernelConstants& constants) {
  switch (product_kernel(constants)) {
    case ProductKernel::clustered:
      return clustered_tiles(shape, gpu, format, constants);
    case ProductKernel::deep_gemm:
      return deep_gemm_tiles(shape, gpu, format, constants);
    case ProductKernel::best_tiles:
      break;
  }
  return best_tiles(shape, gpu, format, constants);
}

/// The host's launches, which another call's work hides (kernel_model.hpp), and for DeepGEMM those of a
/// kernel that lays out the activations' scales anew unless rows are a multiple of four (16 bytes of fp32).
double launches(const GemmShape& shape, const KernelConstants& constants) {
  // How much longer the shortest products of the H100's rows take there (docs/kernel-times.md).
  constexpr double relaid = 1.12;
  const bool again = product_kernel(constants) == ProductKernel::deep_gemm && shape.m % 4 != 0;
  return constants.floor_s * (again ? relaid : 1);
}

}  // namespace

double weight_bytes(const GemmShape& shape, const KernelFormat& format) {
  return static_cast<double>(shape.n) * static_cast<double>(shape.k) * format.weight_bytes;
}

double gemm_time(const GemmShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                 const KernelConstants& constants, Residency residency) {
  const auto m = static_cast<double>(shape.m), n = static_cast<double>(shape.n),
             k = static_cast<double>(shape.k);
  const double weights = weight_bytes(shape, format);
  const double bytes = weights + m * k * format.activation_bytes + m * n * 2;
  const double work = overlapped(read_time(bytes, weights, gpu, constants, residency),
                                 tiles_of(shape, gpu, format, constants), constants);
  if (launched_from_python(constants)) return overlapped(launches(shape, constants), work, launch_overlap);
  return constants.floor_s + work;
}

}  // namespace pregate::sim
