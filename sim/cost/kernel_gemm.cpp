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
  const double tiles = constants.packed < 0.5 ? clustered_tiles(shape, gpu, format, constants)
                                              : best_tiles(shape, gpu, format, constants);
  return constants.floor_s +
         overlapped(read_time(bytes, weights, gpu, constants, residency), tiles, constants);
}

}  // namespace pregate::sim
