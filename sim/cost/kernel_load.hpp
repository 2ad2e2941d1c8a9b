// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace pregate::sim {

/// Rows of the blocks into which kernels put the tokens of an expert.
inline constexpr std::array<int, 7> expert_block_rows{8, 16, 32, 48, 64, 128, 256};

/// How the tokens of a layer fall on the experts of one GPU: all that the time of its kernel depends on.
/// Means over several drawings are whole numbers no longer.
struct ExpertLoad {
  double tokens = 0;                                      ///< of the layer, those of other GPUs' experts too
  double choices = 0;                                     ///< tokens times experts of a token
  double experts = 0;                                     ///< on the GPU, those without a token too
  double active = 0;                                      ///< of these, those that get a token
  double pairs = 0;                                       ///< of a token and one of its experts, on the GPU
  std::array<double, expert_block_rows.size()> blocks{};  ///< sum over experts of ceil(tokens / rows)
};

/// What kernels see of a layer before its tokens are counted; as in ExpertLoad.
struct ExpertLayer {
  double tokens = 1, top_k = 1, experts = 1;
};

/// Of known counts, e.g. a recorded routing: tokens of each expert on this GPU.
ExpertLoad expert_load(std::span<const int> counts, const ExpertLayer& layer);
ExpertLoad expert_load(std::span<const std::uint32_t> counts, const ExpertLayer& layer);

/// Which tokens choose which experts, where no routing is given.
struct RoutingShape {
  int tokens = 1;   ///< of the layer
  int top_k = 1;    ///< experts of a token
  int experts = 1;  ///< of the layer
  int gpus = 1;     ///< that share the experts; a divisor of `experts`
};

/// All experts alike: token t takes every ceil(experts / top_k)-th one. The load of the first GPU.
ExpertLoad balanced_load(const RoutingShape& shape);

/// Who gets the tokens that rounding left over.
enum class Leftover { where_rounding_erred, least_loaded };

/// Popularity by a power law: an expert's share is drawn with density x^-exponent, between 1 and 0.8 tokens'
/// worth (0.01 and 2 when there are fewer choices than experts), rounded to whole tokens; no expert gets a
/// token twice. The mean load of the busiest GPU over a few drawings of a fixed generator.
ExpertLoad power_law_load(const RoutingShape& shape, double exponent,
                          Leftover leftover = Leftover::where_rounding_erred);

}  // namespace pregate::sim
