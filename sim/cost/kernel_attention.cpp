// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/cost/kernel_parts.hpp"

namespace pregate::sim {
namespace {

constexpr std::int64_t triton_step = 32;  // keys of one step of Triton's latent attention
constexpr std::int64_t tile = 128;        // keys of one step of a kernel

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
  double working_set = 0;         ///< bytes that a repeated call goes over, if more than the keys
  double times_read = 1;          ///< keys: by walks that do not run side by side
};

/// Without what it takes to start. One SM walks through some keys at a time, of a whole context or, when
/// there are too few to occupy the SMs, of a part; the parts are joined by a second kernel.
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
      std::max(constants.sm_feed > 0 ? work.key_bytes / constants.sm_feed : 0.0,
               work.key_flop / (precision_rate(gpu) / gpu.sm_count * constants.arithmetic_share));
  const double bytes = work.sequences * work.keys * work.key_bytes;
  const int further = (split ? 1 : 0) + (work.regroups ? 1 : 0);
  return further * constants.split_s +
         overlapped(read_time(work.times_read * bytes + work.query_bytes, work.times_read * bytes,
                              std::max(work.working_set, bytes), gpu, constants, residency),
                    steps * step + rounds * work.start * constants.step_s, constants);
}

/// Parts into which Triton's kernel cuts a context (triton_mla.py of vLLM): four, as the kernels alone were
/// measured; newer versions, as the layers were, one for each 512 keys, a power of two and at most two an SM.
constexpr double four_parts = 4;
double parts_by_keys(const MlaShape& shape, const KernelPeaks& gpu) {
  const auto ideal =
      std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(1, shape.context / 512)));
  return std::min(static_cast<double>(ideal), 2.0 * gpu.sm_count);
}

/// Without what it takes to start. `working_set`: bytes that a repeated call goes over, the keys included.
double latent_decode_time(const MlaShape& shape, double triton_parts, double working_set,
                          const KernelPeaks& gpu, const KernelFormat& format,
                          const KernelConstants& constants, Residency residency) {
  constexpr double latent = 512, rope = 64;
  const bool packed = constants.packed > 0.5;
  const auto rows = static_cast<double>(blocks_of(shape.heads, narrow_tile) * narrow_tile);
  const double groups = rows / static_cast<double>(narrow_tile);
  // Triton's walks begin sequence by sequence: those of other heads through the same keys come later, and
  // read anew what L2 has lost by then.
  const auto batch = static_cast<double>(shape.batch);
  const double key_bytes = (latent + rope) * format.activation_bytes;
  const double between = batch * static_cast<double>(shape.context) * key_bytes / triton_parts;
  const bool again = !packed && between > static_cast<double>(gpu.l2.count);
  return decode_time(
      {.sequences = batch,
       .keys = static_cast<double>(shape.context),
       .key_bytes = key_bytes,
       .key_flop = (packed ? rows : static_cast<double>(narrow_tile)) * 2 * (2 * latent + rope),
       .walks = packed ? 1 : groups,
       .query_bytes = static_cast<double>(shape.batch * shape.heads) * (2 * latent + rope) * bf16_bytes,
       .parts = packed ? 0 : triton_parts,
       .context = static_cast<double>(shape.context),
       .splits = true,
       .regroups = false,
       .step_keys = packed ? tile : triton_step,
       .wave_share = packed ? 0. : 1.,
       .working_set = working_set,
       .times_read = again ? std::clamp(groups * batch / gpu.sm_count, 1.0, groups) : 1},
      gpu, constants, residency);
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
  return constants.floor_s +
         decode_time(
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
  return overlapped(constants.floor_s,
                    latent_decode_time(shape, four_parts, 0, gpu, format, constants, residency),
                    launch_overlap);
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
  const double keys =
      static_cast<double>(shape.batch * shape.context) * (latent + rope) * format.activation_bytes;
  const double flop = 2 * static_cast<double>(shape.batch) * (quantised + absorbed);
  // Three products with weights of fewer bits each have their activations quantised first.
  const int further = weights.weight_bytes < bf16_bytes ? 3 : 0;
  return constants.floor_s + further * constants.split_s +
         latent_decode_time(shape, parts_by_keys(shape, gpu), bytes + keys, gpu, format, constants,
                            residency) +
         overlapped(read_time(bytes, bytes, bytes + keys, gpu, constants, residency),
                    flop / (kernel_rate(gpu, weights) * constants.arithmetic_share), constants);
}

}  // namespace pregate::sim
