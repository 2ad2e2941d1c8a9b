// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/kernel_constants.hpp"
#include "sim/cost/kernel_format.hpp"
#include "sim/cost/kernel_load.hpp"

// Time of one kernel in seconds, from its shape, the GPU's peaks and the constants of its family and data
// type. Dimensions are those of the whole call; all are at least 1. No shape was looked up:
// docs/kernel-times.md.
namespace pregate::sim {

/// Where a kernel finds what it reads.
enum class Residency {
  cold,      ///< in memory: other work has passed through L2 since, as in a decode pass
  repeated,  ///< the same call runs over and over, as benchmarks do: what fits L2 is read from there
};

/// m x k activations times k x n weights.
struct GemmShape {
  std::int64_t m = 1, n = 1, k = 1;
};

/// Feed-forward of the experts of one GPU: up (and gate) to `inter`, and down again.
struct MoeShape {
  ExpertLoad load;
  std::int64_t hidden = 1, inter = 1;
  bool gated = true;  ///< three matrices an expert; else two
};

/// Queries at the end of a context of keys, for each sequence of the batch.
struct AttentionShape {
  std::int64_t batch = 1;
  std::int64_t queries = 1;  ///< of a sequence: 1 in decode
  std::int64_t context = 1;  ///< keys that the last query sees, itself included
  std::int64_t heads = 1, kv_heads = 1, head_dim = 1;
  std::int64_t window = 0;  ///< keys that a query sees at most; 0 = all
};

/// Multi-head latent attention with the projections absorbed: 512 + 64 values a key for all heads.
struct MlaShape {
  std::int64_t batch = 1, context = 1, heads = 1;
};

/// Linear attention (gated delta rule): `tokens` of each sequence.
struct LinearShape {
  std::int64_t batch = 1, tokens = 1;
  std::int64_t key_heads = 1, key_dim = 1, value_heads = 1, value_dim = 1;
  std::int64_t taps = 1;  ///< of the causal convolution
};

double gemm_time(const GemmShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                 const KernelConstants& constants, Residency residency = Residency::cold);
double fused_moe_time(const MoeShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                      const KernelConstants& constants, Residency residency = Residency::cold);
/// `format` of the keys and values; queries are bf16.
double attention_decode_time(const AttentionShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                             const KernelConstants& constants, Residency residency = Residency::cold);
double attention_prefill_time(const AttentionShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                              const KernelConstants& constants);
double mla_decode_time(const MlaShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                       const KernelConstants& constants, Residency residency = Residency::cold);
/// `format` of the keys, `weights` of the projections of a layer of this hidden size (DeepSeek-V3's ranks).
double mla_layer_decode_time(const MlaShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                             const KernelFormat& weights, const KernelConstants& constants,
                             Residency residency = Residency::cold);
double conv_decode_time(const LinearShape& shape, const KernelPeaks& gpu, const KernelConstants& constants,
                        Residency residency = Residency::cold);
double conv_prefill_time(const LinearShape& shape, const KernelPeaks& gpu, const KernelConstants& constants,
                         Residency residency = Residency::cold);
double delta_decode_time(const LinearShape& shape, const KernelPeaks& gpu, const KernelConstants& constants,
                         Residency residency = Residency::cold);
/// What it reads, the layer's kernels before it have just written.
double delta_prefill_time(const LinearShape& shape, const KernelPeaks& gpu, const KernelConstants& constants);

/// Bytes of weights that a call reads.
double weight_bytes(const GemmShape& shape, const KernelFormat& format);
double weight_bytes(const MoeShape& shape, const KernelFormat& format);

}  // namespace pregate::sim
