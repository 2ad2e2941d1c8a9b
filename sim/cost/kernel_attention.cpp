// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "sim/cost/kernel_parts.hpp"

namespace pregate::sim {
namespace {

constexpr std::int64_t tile = 128;        // queries, and keys, of one step of a kernel
constexpr std::int64_t narrow_tile = 16;  // rows of the smallest tensor-core product
constexpr double query_bytes = 2;         // bf16

double precision_rate(const KernelPeaks& gpu) { return kernel_rate(gpu, {2, 2, "bf16"}); }

/// Decode: each SM walks through its part of the keys of its sequences.
double decode_time(double sequences, double rows, double keys, double key_values, double key_bytes,
                   double flop_per_score, double query_and_output, const KernelPeaks& gpu,
                   const KernelConstants& constants, Residency residency) {
  const double bytes = sequences * keys * key_values * key_bytes;
  const double rate = precision_rate(gpu) / gpu.sm_count * constants.arithmetic_share;
  const double step = std::max(static_cast<double>(tile) * key_values * key_bytes / constants.sm_feed,
                               static_cast<double>(tile) * rows * flop_per_score / rate);
  const double steps = waves(sequences * std::ceil(keys / static_cast<double>(tile)), gpu, constants);
  return constants.floor_s + overlapped(read_time(bytes + query_and_output, bytes, gpu, constants, residency),
                                        steps * step, constants);
}

}  // namespace

double attention_decode_time(const AttentionShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                             const KernelConstants& constants, Residency residency) {
  const std::int64_t seen = shape.window > 0 ? std::min(shape.window, shape.context) : shape.context;
  const auto dim = static_cast<double>(shape.head_dim);
  const std::int64_t rows = blocks_of(blocks_of(shape.heads, shape.kv_heads), narrow_tile) * narrow_tile;
  const double queries = static_cast<double>(shape.batch * shape.heads) * dim * query_bytes * 2;
  return decode_time(static_cast<double>(shape.batch * shape.kv_heads), static_cast<double>(rows),
                     static_cast<double>(seen), 2 * dim, format.activation_bytes, 4 * dim, queries, gpu,
                     constants, residency);
}

double attention_prefill_time(const AttentionShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                              const KernelConstants& constants) {
  // Tiles of 128 queries, each over the 128-key blocks that it sees up to its own; a window cuts them off
  // below.
  const std::int64_t query_tiles = blocks_of(shape.queries, tile);
  const std::int64_t first = blocks_of(std::max<std::int64_t>(shape.context - shape.queries, 0), tile);
  const std::int64_t most =
      shape.window > 0 ? blocks_of(shape.window, tile) + 1 : first + query_tiles;  // key blocks of a tile
  const std::int64_t rising =
      std::clamp<std::int64_t>(most - first, 0, query_tiles);  // tiles that see all before
  const double blocks = static_cast<double>(rising) * static_cast<double>(2 * first + rising + 1) / 2 +
                        static_cast<double>(query_tiles - rising) * static_cast<double>(most);
  const auto longest = static_cast<double>(std::min(most, first + query_tiles));
  const auto dim = static_cast<double>(shape.head_dim);
  const double block_time = static_cast<double>(tile * tile) * (4 * dim + constants.softmax_flop) /
                            (precision_rate(gpu) / gpu.sm_count * constants.arithmetic_share);
  const auto sequences = static_cast<double>(shape.batch * shape.heads);
  const double steps = std::max(longest, sequences * blocks / gpu.sm_count);
  const double bytes = sequences * static_cast<double>(shape.queries) * dim * query_bytes * 2 +
                       static_cast<double>(shape.batch * shape.kv_heads) *
                           static_cast<double>(std::min(shape.context, shape.queries + (most - 1) * tile)) *
                           2 * dim * format.activation_bytes;
  return constants.floor_s +
         overlapped(read_time(bytes, 0, gpu, constants, Residency::cold), steps * block_time, constants);
}

double mla_decode_time(const MlaShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                       const KernelConstants& constants, Residency residency) {
  constexpr double latent = 512, rope = 64;
  const auto sequences = static_cast<double>(shape.batch);
  const auto rows = static_cast<double>(blocks_of(shape.heads, narrow_tile) * narrow_tile);
  const double queries = sequences * static_cast<double>(shape.heads) * (2 * latent + rope) * query_bytes;
  return decode_time(sequences, rows, static_cast<double>(shape.context), latent + rope,
                     format.activation_bytes, 2 * (2 * latent + rope), queries, gpu, constants, residency);
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
