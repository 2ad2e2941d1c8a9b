// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The routed experts of a layer as two grouped GEMMs.
#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/cost/kernel_parts.hpp"

namespace pregate::sim {
namespace {

double blocks_of_rows(const ExpertLoad& load, int rows) {
  const auto* const found = std::find(expert_block_rows.begin(), expert_block_rows.end(), rows);
  return load.blocks[static_cast<std::size_t>(found - expert_block_rows.begin())];
}

/// fused_marlin_moe.py: the first that the choices of an expert on this GPU, if all were its own, fill to
/// less than 0.9.
int marlin_rows(const ExpertLoad& load) {
  for (const int rows : {8, 16, 32, 48}) {
    if (load.choices / load.experts / rows < 0.9) return rows;
  }
  return 64;
}

/// make_default_opt_flags_nvidia of triton_kernels' opt_flags.py: the power of two above as many.
int triton_kernels_rows(const ExpertLoad& load) {
  const double each = std::floor(load.choices / load.experts);
  for (const int rows : {16, 32, 64}) {
    if (each <= rows) return rows;
  }
  return 128;
}

/// vLLM's Triton kernel where no tuned tiles are given (get_default_config of fused_moe.py): 16 x 32 x 64 up
/// to as many tokens as experts, above 64 x 64 x 32.
double default_tiles(const ExpertLoad& load, std::int64_t n, std::int64_t k, const KernelPeaks& gpu,
                     KernelFormat format, const KernelConstants& constants) {
  const bool few = load.tokens <= load.experts;
  const int rows = few ? 16 : 64, columns = few ? 32 : 64;
  if (!few) {  // 32 values of bf16 are half a cache line: each is fetched twice
    format.weight_bytes *= 2;
    format.activation_bytes *= 2;
  }
  return tiles_time(rows, columns, blocks_of_rows(load, rows), n, k, gpu, format, constants);
}

/// The products of one grouped GEMM.
double tiles_time(const ExpertLoad& load, std::int64_t n, std::int64_t k, const KernelPeaks& gpu,
                  const KernelFormat& format, const KernelConstants& constants) {
  const auto of_rows = [&](int rows) {
    return best_columns(rows, blocks_of_rows(load, rows), n, k, gpu, format, constants);
  };
  switch (expert_kernel(constants)) {
    case ExpertKernel::default_triton:
      return default_tiles(load, n, k, gpu, format, constants);
    case ExpertKernel::marlin:
      return of_rows(marlin_rows(load));
    case ExpertKernel::triton_kernels:
      return of_rows(triton_kernels_rows(load));
    case ExpertKernel::cutlass:  // all tiles of its warp-specialised grouped kernels have as many
      return of_rows(128);
    case ExpertKernel::tuned:
      break;
  }
  double best = std::numeric_limits<double>::infinity();
  for (const int rows : {16, 32, 64, 128, 256}) best = std::min(best, of_rows(rows));
  return best;
}

}  // namespace

double weight_bytes(const MoeShape& shape, const KernelFormat& format) {
  return shape.load.active * (shape.gated ? 3 : 2) * static_cast<double>(shape.hidden) *
         static_cast<double>(shape.inter) * format.weight_bytes;
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
  const double up = tiles_time(shape.load, ups * shape.inter, shape.hidden, gpu, format, constants);
  const double down = tiles_time(shape.load, shape.hidden, shape.inter, gpu, format, constants);
  const double read = read_time(weights, weights, gpu, constants, residency) / static_cast<double>(ups + 1);
  return constants.floor_s + overlapped(read * static_cast<double>(ups), up, constants) +
         overlapped(read, down, constants) + read_time(passed, 0, gpu, constants, residency);
}

}  // namespace pregate::sim
