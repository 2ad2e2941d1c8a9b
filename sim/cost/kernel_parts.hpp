// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "sim/cost/kernel_model.hpp"

// What the kernel models share.
namespace pregate::sim {

inline constexpr std::int64_t narrow_tile = 16;  ///< rows of the smallest tensor-core product
inline constexpr double bf16_bytes = 2;          ///< of activations

/// Peak of the format's precision; one that the GPU lacks runs in the next wider one that it has.
double kernel_rate(const KernelPeaks& gpu, const KernelFormat& format);

/// Seconds in which `bytes` pass, of which `again` belong to a working set that each call goes over, to
/// memory, or to L2 where calls are repeated and the whole working set fits it.
double read_time(double bytes, double again, double working_set, const KernelPeaks& gpu,
                 const KernelConstants& constants, Residency residency);
inline double read_time(double bytes, double again, const KernelPeaks& gpu, const KernelConstants& constants,
                        Residency residency) {
  return read_time(bytes, again, again, gpu, constants, residency);
}

/// Both at once: the longer one, and something of the shorter one (KernelConstants::overlap).
double overlapped(double memory, double arithmetic, double power);
inline double overlapped(double memory, double arithmetic, const KernelConstants& constants) {
  return overlapped(memory, arithmetic, constants.overlap);
}

/// Rounds in which `tiles` pass through the SMs, one each, the last of them full or in part.
double waves(double tiles, const KernelPeaks& gpu, const KernelConstants& constants);

/// Seconds that one SM works on an output tile over a depth of k: its products, or what feeds them.
double tile_time(double rows, double columns, double k, const KernelPeaks& gpu, const KernelFormat& format,
                 const KernelConstants& constants);

/// Seconds in which row_blocks x ceil(n / columns) tiles over a depth of k pass through the SMs.
double tiles_time(int rows, int columns, double row_blocks, std::int64_t n, std::int64_t k,
                  const KernelPeaks& gpu, const KernelFormat& format, const KernelConstants& constants);

/// The same with the columns that are best for so many rows, as libraries choose.
double best_columns(int rows, double row_blocks, std::int64_t n, std::int64_t k, const KernelPeaks& gpu,
                    const KernelFormat& format, const KernelConstants& constants);

/// Whose kernel the routed experts run, which says how many tokens of an expert are a block:
/// KernelConstants::packed.
enum class ExpertKernel { default_triton, tuned, marlin, triton_kernels, cutlass };
inline ExpertKernel expert_kernel(const KernelConstants& constants) {
  return static_cast<ExpertKernel>(std::lround(constants.packed));
}

/// Whose kernel a product runs: KernelConstants::packed.
enum class ProductKernel { clustered, best_tiles, deep_gemm };
inline ProductKernel product_kernel(const KernelConstants& constants) {
  return static_cast<ProductKernel>(std::lround(constants.packed));
}

/// What a launch from Python takes at least (all-reduces of 128 elements that were not replayed:
/// docs/collectives.md, eager_us): a kernel with a longer floor was launched one by one when it was measured.
inline constexpr double launch_from_python_s = 20e-6;
inline bool launched_from_python(const KernelConstants& constants) {
  return constants.floor_s > launch_from_python_s;
}
/// Of such kernels the launches of the next call pass while the GPU still works: a call takes the longer of
/// both, joined with this exponent (overlapped()).
inline constexpr double launch_overlap = 8;

/// Whose kernel attention runs: KernelConstants::packed.
enum class AttentionKernel { flash_attention_2, flash_attention_3, flash_infer };
inline AttentionKernel attention_kernel(const KernelConstants& constants) {
  if (constants.packed < 0.5) return AttentionKernel::flash_attention_2;
  return constants.packed < 1.5 ? AttentionKernel::flash_attention_3 : AttentionKernel::flash_infer;
}

/// Keys of a step of FlashAttention 2 over a paged cache, by the values of a head
/// (run_mha_fwd_splitkv_dispatch of flash_fwd_launch_template.h).
constexpr std::int64_t flash_attention_2_keys(std::int64_t head_dim) {
  return head_dim <= 64 ? 256 : head_dim <= 128 ? 128 : 64;
}

constexpr std::int64_t blocks_of(std::int64_t count, std::int64_t block) {
  return (count + block - 1) / block;
}

}  // namespace pregate::sim
