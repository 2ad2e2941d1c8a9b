// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/kernel_load.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace pregate::sim {
namespace {

constexpr int drawings = 5;

/// splitmix64: the same numbers everywhere, unlike the distributions of <random>.
class Uniform {
 public:
  explicit Uniform(std::uint64_t seed) : state_(seed) {}
  double operator()() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }

 private:
  std::uint64_t state_;
};

/// Whole tokens of each expert, `target` in all and none above `limit`: shares rounded; what is missing or
/// too much after that is made up one token an expert, where the rounding erred most. Spread evenly over the
/// experts when no share reaches half a token.
std::vector<int> whole_tokens(const std::vector<double>& shares, std::int64_t target, int limit,
                              Leftover leftover) {
  const double scale = static_cast<double>(target) / std::accumulate(shares.begin(), shares.end(), 0.0);
  const std::size_t experts = shares.size();
  std::vector<int> tokens(experts);
  std::int64_t left = target;
  for (std::size_t i = 0; i < experts; ++i) {
    tokens[i] = static_cast<int>(std::min<double>(std::nearbyint(shares[i] * scale), limit));
    left -= tokens[i];
  }
  if (left == target && leftover == Leftover::where_rounding_erred) {
    for (std::int64_t i = 0; i < target; ++i)
      ++tokens[static_cast<std::size_t>(i * static_cast<std::int64_t>(experts) / target) % experts];
    return tokens;
  }
  std::vector<std::size_t> order(experts);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<double> rank(experts);
  for (std::size_t i = 0; i < experts; ++i)
    rank[i] = leftover == Leftover::least_loaded ? -tokens[i] : shares[i] * scale - tokens[i];
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rank[a] > rank[b]; });
  const auto whole = static_cast<std::int64_t>(experts);
  while (left > 0) {  // ends: target <= limit x experts
    const std::int64_t before = left, each = std::max<std::int64_t>(1, left / whole);
    for (const std::size_t i : order) {
      const std::int64_t more = std::min({each, std::int64_t{limit} - tokens[i], left});
      tokens[i] += static_cast<int>(more);
      left -= more;
    }
    if (left == before) break;
  }
  while (left < 0) {
    const std::int64_t before = left;
    for (auto i = order.rbegin(); i != order.rend() && left < 0; ++i) {
      if (tokens[*i] > 0) --tokens[*i], ++left;
    }
    if (left == before) break;
  }
  return tokens;
}

template <typename Count>
ExpertLoad load_of(std::span<const Count> counts, const ExpertLayer& layer) {
  ExpertLoad load{.tokens = layer.tokens, .choices = layer.tokens * layer.top_k, .experts = layer.experts};
  for (const Count count : counts) {
    if (count <= 0) continue;
    load.active += 1;
    load.pairs += static_cast<double>(count);
    for (std::size_t i = 0; i < expert_block_rows.size(); ++i) {
      const auto rows = static_cast<Count>(expert_block_rows[i]);
      const auto blocks = (count + rows - 1) / rows;
      load.blocks[i] += static_cast<double>(blocks);
    }
  }
  return load;
}

}  // namespace

ExpertLoad expert_load(std::span<const int> counts, const ExpertLayer& layer) {
  return load_of(counts, layer);
}
ExpertLoad expert_load(std::span<const std::uint32_t> counts, const ExpertLayer& layer) {
  return load_of(counts, layer);
}

ExpertLoad balanced_load(const RoutingShape& shape) {
  const int stride = (shape.experts + shape.top_k - 1) / shape.top_k;
  const int local = std::max(1, shape.experts / shape.gpus);
  std::vector<int> tokens(static_cast<std::size_t>(local));
  for (int token = 0; token < shape.tokens; ++token) {
    // Few tokens spread over the stride, many walk through it.
    const int first = shape.tokens >= stride ? token % stride
                                             : static_cast<int>(std::int64_t{token} * stride / shape.tokens);
    for (int i = 0; i < shape.top_k; ++i) {
      const int expert = (first + i * stride) % shape.experts;
      if (expert < local) ++tokens[static_cast<std::size_t>(expert)];
    }
  }
  return expert_load(tokens, {static_cast<double>(shape.tokens), static_cast<double>(shape.top_k),
                              static_cast<double>(local)});
}

ExpertLoad power_law_load(const RoutingShape& shape, double exponent, Leftover leftover) {
  const std::int64_t choices = std::int64_t{shape.tokens} * shape.top_k;
  const bool many = choices > shape.experts;
  const double least = many ? 1 : 0.01, most = many ? std::max(1.0, 0.8 * shape.tokens) : 2;
  const double power = 1 - exponent;
  const auto local = static_cast<std::size_t>(std::max(1, shape.experts / shape.gpus));
  Uniform uniform(1);
  const ExpertLayer layer{static_cast<double>(shape.tokens), static_cast<double>(shape.top_k),
                          static_cast<double>(local)};
  ExpertLoad mean{.tokens = layer.tokens, .choices = static_cast<double>(choices), .experts = layer.experts};
  std::vector<double> shares(static_cast<std::size_t>(shape.experts));
  for (int drawing = 0; drawing < drawings; ++drawing) {
    for (double& share : shares) {
      const double u = uniform();
      share = std::abs(power) < 1e-9
                  ? least * std::pow(most / least, u)
                  : std::pow((std::pow(most, power) - std::pow(least, power)) * u + std::pow(least, power),
                             1 / power);
    }
    const std::vector<int> tokens = whole_tokens(shares, choices, shape.tokens, leftover);
    std::size_t busiest = 0;
    std::int64_t busiest_sum = -1;
    for (std::size_t first = 0; first + local <= tokens.size(); first += local) {
      const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(first);
      const auto sum = std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(local), std::int64_t{0});
      if (sum > busiest_sum) busiest_sum = sum, busiest = first;
    }
    const ExpertLoad load = expert_load(std::span(tokens).subspan(busiest, local), layer);
    mean.active += load.active / drawings;
    mean.pairs += load.pairs / drawings;
    for (std::size_t i = 0; i < load.blocks.size(); ++i) mean.blocks[i] += load.blocks[i] / drawings;
  }
  return mean;
}

}  // namespace pregate::sim
