// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "sim/cost/kernel_parts.hpp"

namespace pregate::sim {
namespace {

constexpr std::int64_t tile = 128;  // keys of one step of a kernel

double precision_rate(const KernelPeaks& gpu) { return kernel_rate(gpu, {2, 2, "bf16"}); }

/// Sequences of a decode kernel, a key head each, and what one of their keys costs.
struct DecodeWork {
  double sequences, keys, key_bytes, key_flop;
  double walks;                   ///< through the keys of a sequence: one, or one for each of its heads
  double query_bytes;             ///< queries and outputs of all
  double parts = 0;               ///< of each context, whatever the occupation; 0: as `splits` says
  double context;                 ///< keys from which a kernel decides, those before a window too
  bool splits;                    ///< several SMs may share a context
  bool regroups;                  ///< another kernel puts heads that share keys beside one another
  std::int64_t step_keys = tile;  ///< computed whole, what lies beyond the context is masked
  double start = 1;               ///< of a walk, in KernelConstants::step_s: an observation
  double wave_share = 0;          ///< of the loss of a part-filled last round of walks
};

/// One SM walks through some keys at a time, of a whole context or, when there are too few to occupy the SMs,
/// of a part; the parts are joined by a second kernel.
double decode_time(const DecodeWork& work, const KernelPeaks& gpu, const KernelConstants& constants,
                   Residency residency) {
  const double blocks = std::ceil(work.keys / static_cast<double>(work.step_keys));
  const double occupied = 0.8 * gpu.sm_count;  // as kernels decide
  const double walks = work.sequences * work.walks;
  const bool split =
      work.parts > 0 || (work.splits && work.context > static_cast<double>(tile) && walks < occupied);
  const double filled = walks * std::max(1.0, work.parts) / gpu.sm_count;
  const double rounds = std::max(1.0, work.wave_share * std::ceil(filled) + (1 - work.wave_share) * filled);
  const double steps = work.parts > 0 ? rounds * std::ceil(blocks / work.parts)
                       : split        ? std::max(1.0, walks * blocks / gpu.sm_count)
                                      : rounds * blocks;
  const double step =
      static_cast<double>(work.step_keys) *
      std::max(work.key_bytes / constants.sm_feed,
               work.key_flop / (precision_rate(gpu) / gpu.sm_count * constants.arithmetic_share));
  const double bytes = work.sequences * work.keys * work.key_bytes;
  const int further = (split ? 1 : 0) + (work.regroups ? 1 : 0);
  return constants.floor_s + further * constants.split_s +
         overlapped(read_time(bytes + work.query_bytes, bytes, gpu, constants, residency),
                    steps * step + rounds * work.start * constants.step_s, constants);
}

}  // namespace

double attention_decode_time(const AttentionShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                             const KernelConstants& constants, Residency residency) {
  const std::int64_t seen = shape.window > 0 ? std::min(shape.window, shape.context) : shape.context;
  const auto dim = static_cast<double>(shape.head_dim);
  const AttentionKernel kernel = attention_kernel(constants);
  const bool two = kernel == AttentionKernel::flash_attention_2;
  const bool packed = !two || (shape.window == 0 && shape.heads > shape.kv_heads);
  const std::int64_t rows = blocks_of(blocks_of(shape.heads, shape.kv_heads), narrow_tile) * narrow_tile;
  return decode_time(
      {.sequences = static_cast<double>(shape.batch * shape.kv_heads),
       .keys = static_cast<double>(seen),
       .key_bytes = 2 * dim * format.activation_bytes,
       .key_flop = static_cast<double>(rows) * 4 * dim,
       .walks = packed ? 1 : static_cast<double>(shape.heads) / static_cast<double>(shape.kv_heads),
       .query_bytes = static_cast<double>(shape.batch * shape.heads) * dim * bf16_bytes * 2,
       .context = static_cast<double>(shape.context),
       .splits = packed,
       .regroups = packed && two && shape.batch > 1 && shape.kv_heads > 1,
       .step_keys = two ? flash_attention_2_keys(shape.head_dim) : tile,
       .start = kernel == AttentionKernel::flash_attention_3 ? std::sqrt(dim / 128) : 1,
       .wave_share = 0.5},
      gpu, constants, residency);
}

double mla_decode_time(const MlaShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                       const KernelConstants& constants, Residency residency) {
  constexpr double latent = 512, rope = 64;
  constexpr double triton_parts = 4;  // vLLM's Triton kernel: four parts of 16 heads each
  const bool packed = constants.packed > 0.5;
  const auto rows = static_cast<double>(blocks_of(shape.heads, narrow_tile) * narrow_tile);
  return decode_time(
      {.sequences = static_cast<double>(shape.batch),
       .keys = static_cast<double>(shape.context),
       .key_bytes = (latent + rope) * format.activation_bytes,
       .key_flop = (packed ? rows : static_cast<double>(narrow_tile)) * 2 * (2 * latent + rope),
       .walks = packed ? 1 : rows / static_cast<double>(narrow_tile),
       .query_bytes = static_cast<double>(shape.batch * shape.heads) * (2 * latent + rope) * bf16_bytes,
       .parts = packed ? 0 : triton_parts,
       .context = static_cast<double>(shape.context),
       .splits = true,
       .regroups = false},
      gpu, constants, residency);
}

double mla_layer_decode_time(const MlaShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                             const KernelFormat& weights, const KernelConstants& constants,
                             Residency residency) {
  constexpr double hidden = 7168, query_rank = 1536, latent = 512, rope = 64, nope = 128, value = 128;
  const auto heads = static_cast<double>(shape.heads);
  const double quantised =
      hidden * (query_rank + latent + rope) + heads * query_rank * (nope + rope) + heads * value * hidden;
  const double absorbed = heads * latent * (nope + value);  // bf16
  const double bytes = quantised * weights.weight_bytes + absorbed * 2;
  const double flop = 2 * static_cast<double>(shape.batch) * (quantised + absorbed);
  return mla_decode_time(shape, gpu, format, constants, residency) +
         overlapped(read_time(bytes, bytes, gpu, constants, residency),
                    flop / (kernel_rate(gpu, weights) * constants.arithmetic_share), constants);
}

}  // namespace pregate::sim
