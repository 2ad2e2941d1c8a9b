// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/cost/kernel_parts.hpp"

namespace pregate::sim {
namespace {

constexpr double prompt_wave_share = 0.5;  // SMs take another tile when they are done with one, not in step

/// How a kernel cuts the work of a prompt. A tile holds the same `queries` for the heads that it packs; its
/// rows and the keys of a step are computed whole, what lies beyond the prompt is masked.
struct PromptTiles {
  double sequences;     ///< times key heads where heads are packed, else times heads
  double rows;          ///< of a tile: queries times packed heads
  double queries;       ///< of a tile
  double keys;          ///< of a step
  double count;         ///< tiles of a sequence
  double head_dim;      ///< that is computed
  double widening = 0;  ///< of one key or value of 8 bits for a tile, in FLOP
  bool splits = false;  ///< the keys of few tiles go to several SMs
};

/// Keys and values of 8 bits are widened by each of the four warps of a tile (one where 16 rows hold all):
/// about two instructions a value, of which an SM does 64 a clock, while tensor cores do 1024 FLOP.
constexpr double widening_flop = 32;
constexpr double warps_of_a_tile = 4;

/// Triton's unified attention, which vLLM runs on 8 bits where FlashInfer lacks the head dimension: 16 rows
/// (or the heads that share keys) x 32 keys, the dimension filled up to a power of two.
PromptTiles triton_tiles(const AttentionShape& shape) {
  const std::int64_t group = blocks_of(shape.heads, shape.kv_heads);
  const auto power = [](std::int64_t least) {
    return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(least)));
  };
  const std::int64_t side = std::max(narrow_tile, power(group));
  return {.sequences = static_cast<double>(shape.batch * shape.kv_heads),
          .rows = static_cast<double>(side),
          .queries = static_cast<double>(side) / static_cast<double>(group),
          .keys = 32,
          .count = static_cast<double>(blocks_of(shape.queries * group, side)),
          .head_dim = static_cast<double>(power(shape.head_dim)),
          .widening = widening_flop};
}

/// FlashAttention 2 over a paged cache (run_mha_fwd_splitkv_dispatch of flash_fwd_launch_template.h) takes 64
/// queries of one head; it packs heads for a single query
/// without a window only (seqlenq_ngroups_swapped). FlashAttention 3 (hopper/tile_size.h, pack_gqa) and
/// FlashInfer (FA2DetermineCtaTileQ) put the queries of all heads that share keys into one tile: FlashInfer
/// 128 rows below 256 values a head and 64 from there on, FlashAttention 3 192 up to 64 values and 128 above;
/// both less where that holds all.
PromptTiles prompt_tiles(const AttentionShape& shape, const KernelFormat& format, AttentionKernel kernel) {
  const bool widens = kernel == AttentionKernel::flash_infer && format.activation_bytes < bf16_bytes;
  if (widens && shape.head_dim != 64 && shape.head_dim != 128 && shape.head_dim != 256)
    return triton_tiles(shape);
  const bool packs = kernel != AttentionKernel::flash_attention_2 ||
                     (shape.queries == 1 && shape.window == 0 && shape.heads > shape.kv_heads);
  const std::int64_t group = packs ? blocks_of(shape.heads, shape.kv_heads) : 1;
  const std::int64_t rows = shape.queries * group;
  std::int64_t side = 64, keys = 64;
  switch (kernel) {
    case AttentionKernel::flash_attention_2:
      keys = flash_attention_2_keys(shape.head_dim);
      break;
    case AttentionKernel::flash_attention_3:
      side = shape.head_dim <= 64 ? 192 : 128;
      keys = 128;
      break;
    case AttentionKernel::flash_infer:
      side = shape.head_dim < 256 ? 128 : 64;
      break;
  }
  if (kernel != AttentionKernel::flash_attention_2 && rows <= 64)
    side = rows <= narrow_tile ? narrow_tile : 64;
  return {.sequences = static_cast<double>(shape.batch * shape.heads) / static_cast<double>(group),
          .rows = static_cast<double>(side),
          .queries = static_cast<double>(side) / static_cast<double>(group),
          .keys = static_cast<double>(keys),
          .count = static_cast<double>(blocks_of(rows, side)),
          .head_dim = static_cast<double>(shape.head_dim),
          .widening = !widens              ? 0
                      : side > narrow_tile ? warps_of_a_tile * widening_flop
                                           : widening_flop,
          .splits = kernel == AttentionKernel::flash_infer};
}

/// p of overlap(memory, arithmetic): with several tiles on an SM one loads while another computes; with one
/// (FlashAttention 3) nothing hides its first load and last store.
double prompt_overlap(AttentionKernel kernel) {
  return kernel == AttentionKernel::flash_attention_3 ? 1.5 : 4;
}

/// Steps over keys: of all tiles of a sequence, and of its last one.
struct KeySteps {
  double all, longest;
};

/// A tile sees the keys up to its own last query, in whole steps, and with a window those from the first
/// key of its first query on.
KeySteps key_steps(const AttentionShape& shape, const PromptTiles& tiles) {
  const auto context = static_cast<double>(shape.context);
  const double before = std::max(0.0, context - static_cast<double>(shape.queries)) / tiles.keys;
  const double each = tiles.queries / tiles.keys;   // steps that a tile sees more than the one before it
  const double part = std::max(0.0, 1 - each) / 2;  // the mean of what rounding up to a step adds
  const double whole = std::ceil(context / tiles.keys);
  const double most =
      shape.window > 0 ? std::max(each, 1.0) + static_cast<double>(shape.window) / tiles.keys : whole + 1;
  const double longest = std::min(whole, most);
  if (tiles.count <= 1) return {longest, longest};
  const double rising = std::clamp((most - part - before) / each, 0.0, tiles.count);  // that see all before
  const double all = rising * (before + part + (rising + 1) / 2 * each) + (tiles.count - rising) * most;
  return {std::clamp(all, tiles.count, tiles.count * longest), longest};
}

/// Seconds until the last SM is done, from those of a mean tile and of the longest. A grid in the order of
/// the queries ends with its longest tiles; FlashAttention 3 hands out the longest first and fills up with
/// short ones.
double last_tile_done(double tiles, double mean, double longest, bool longest_first, const KernelPeaks& gpu) {
  const double filled = tiles / gpu.sm_count;
  const double rounds = prompt_wave_share * std::ceil(filled) + (1 - prompt_wave_share) * filled;
  if (longest_first) return std::max(longest, rounds * mean);
  return std::max(rounds, 1.0) * mean + longest - mean;
}

/// Seconds until all tiles are done. FlashInfer gives the keys of a tile to several SMs, 128 at least each,
/// as long as those are no more than two an SM (PrefillBinarySearchKVChunkSize of scheduler.cuh), and joins
/// the parts of each row: 0.3 of the start of a tile a row, an observation.
double tiles_done(const AttentionShape& shape, const PromptTiles& tiles, const KeySteps& steps, double step,
                  AttentionKernel kernel, const KernelPeaks& gpu, const KernelConstants& constants) {
  constexpr double least_keys = 128, joining = 0.3;
  const double all = tiles.sequences * tiles.count;
  const double room = tiles.splits ? std::floor(2 * gpu.sm_count / all) : 1;
  const double parts = std::clamp(room, 1.0, std::ceil(static_cast<double>(shape.context) / least_keys));
  const auto rows = static_cast<double>(shape.batch * shape.heads * shape.queries);
  const double join = parts > 1 ? joining * constants.step_s * rows / gpu.sm_count : 0;
  return join + last_tile_done(all * parts, steps.all / tiles.count / parts * step + constants.step_s,
                               steps.longest / parts * step + constants.step_s,
                               kernel == AttentionKernel::flash_attention_3, gpu);
}

}  // namespace

double attention_prefill_time(const AttentionShape& shape, const KernelPeaks& gpu, const KernelFormat& format,
                              const KernelConstants& constants) {
  const AttentionKernel kernel = attention_kernel(constants);
  const PromptTiles tiles = prompt_tiles(shape, format, kernel);
  const KeySteps steps = key_steps(shape, tiles);
  const auto dim = static_cast<double>(shape.head_dim);
  const double scores = tiles.rows * (4 * tiles.head_dim + constants.softmax_flop);  // to one key
  const double step = tiles.keys * (scores + 2 * tiles.head_dim * tiles.widening) /
                      (kernel_rate(gpu, {2, 2, "bf16"}) / gpu.sm_count * constants.arithmetic_share);
  const double arithmetic = tiles_done(shape, tiles, steps, step, kernel, gpu, constants);

  const double key_values = static_cast<double>(shape.batch * shape.kv_heads) * 2 * dim;  // of one position
  const auto queries = static_cast<double>(shape.queries);
  const double passed = static_cast<double>(shape.batch * shape.heads) * queries * dim * bf16_bytes * 2;
  const double stored = queries * key_values * (bf16_bytes + format.activation_bytes);
  const double read_back = queries * key_values * format.activation_bytes;
  const double earlier =
      std::max(0.0,
               std::min(static_cast<double>(shape.context), queries + steps.longest * tiles.keys) - queries) *
      key_values * format.activation_bytes;
  // Queries, keys and values have just been written by the product before, and are there again in the next
  // kernel: what fits L2 is found there, what is larger in part. Keys of earlier chunks come from memory.
  const double in_l2 =
      std::clamp(2 - (passed + stored + read_back) / static_cast<double>(gpu.l2.count), 0.0, 1.0);
  const double rate = gpu.memory_bandwidth.value * constants.memory_share;
  const double slower = 1 - in_l2 + in_l2 / constants.l2_multiple;
  return constants.floor_s + stored * slower / rate +
         overlapped(((passed + read_back) * slower + earlier) / rate, arithmetic, prompt_overlap(kernel));
}

}  // namespace pregate::sim
