// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/routing_statistics.hpp"

#include <cmath>

#include "models/error.hpp"
#include "sim/expert_placement/token_routes.hpp"
#include "sim/parts/predictor/transitions.hpp"

namespace pregate::sim {

namespace {

constexpr double most_bytes = 2.0 * 1024 * 1024 * 1024;

void check_size(const ExpertMap& map, const std::string& where) {
  double cells = 0;
  for (const MoeLayer& layer : map.layers()) cells += static_cast<double>(layer.experts) * layer.experts;
  // A correlation, a sum of products and two counts of transitions for each pair.
  if (cells * (3 * sizeof(double) + sizeof(float)) > most_bytes)
    throw InputError(where, "tables of all pairs of so many experts would take more than 2 GiB",
                     "give a trace of fewer layers or experts");
}

/// Shares of batches that activate a layer, and how two of them go together.
struct Moments {
  std::vector<double> sum;
  CountTable products;
  double batches = 0;

  explicit Moments(std::size_t experts)
      : sum(experts), products{experts, experts, std::vector<double>(experts * experts)} {}

  void add(std::span<const ExpertKey> keys, std::span<const std::uint32_t> tokens, ExpertKey first,
           double routed) {
    ++batches;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const double share = tokens[i] / routed;
      sum[keys[i] - first] += share;
      for (std::size_t j = 0; j < keys.size(); ++j)
        products.at(keys[i] - first, keys[j] - first) += share * (tokens[j] / routed);
    }
  }

  /// Pearson's, in the place of the products.
  CountTable correlation() && {
    const std::size_t experts = sum.size();
    std::vector<double> deviation(experts);
    const auto covariance = [&](std::size_t i, std::size_t j) {
      return batches * products.at(i, j) - sum[i] * sum[j];
    };
    for (std::size_t i = 0; i < experts; ++i) {
      // What is left of a difference of equal numbers is no variance.
      const double variance = covariance(i, i), rounding = 1e-12 * batches * products.at(i, i);
      deviation[i] = variance > rounding ? std::sqrt(variance) : 0;
    }
    CountTable result{experts, experts, std::vector<double>(experts * experts)};
    for (std::size_t i = 0; i < experts; ++i)
      for (std::size_t j = 0; j < experts; ++j)
        if (deviation[i] > 0 && deviation[j] > 0)
          result.at(i, j) = covariance(i, j) / (deviation[i] * deviation[j]);
    return result;
  }
};

CountTable table_of(Transitions& transitions, int ordinal, int experts) {
  CountTable table;
  for (int i = 0; i < experts; ++i) {
    const auto counts = transitions.counts(ordinal, i);
    if (counts.empty()) return {};
    table.cells.insert(table.cells.end(), counts.begin(), counts.end());
    table.columns = counts.size();
    ++table.rows;
  }
  return table;
}

}  // namespace

RoutingStatistics measure_routing(trace::StepSource& source, const ExpertMap& map, StepSpan span,
                                  const std::string& where) {
  check_size(map, where);
  auto bytes_left = static_cast<std::int64_t>(most_bytes);
  Transitions transitions(map, 1, 1, bytes_left);
  std::vector<Moments> moments;
  RoutingStatistics statistics;
  statistics.layers.resize(map.layers().size());
  for (std::size_t ordinal = 0; ordinal < map.layers().size(); ++ordinal) {
    const auto experts = static_cast<std::size_t>(map.layers()[ordinal].experts);
    moments.emplace_back(experts);
    statistics.layers[ordinal].tokens.assign(experts, 0);
  }
  StepRouting routing(map);
  std::vector<ExpertKey> here, before;
  statistics.steps = each_step(source, span, [&](const trace::Step& step) {
    statistics.tokens += step.tokens;
    routing.load(step);
    const TokenRoutes routes(map, step);
    const auto [first, last] = routes.ordinals();
    for (int ordinal = first; ordinal < last; ++ordinal) {
      const auto at = static_cast<std::size_t>(ordinal);
      const auto keys = routing.activated(ordinal);
      const auto tokens = routing.tokens(ordinal);
      const ExpertKey first_key = map.layers()[at].first_key;
      if (keys.empty()) continue;
      moments[at].add(keys, tokens, first_key, routing.routed(ordinal));
      for (std::size_t i = 0; i < keys.size(); ++i)
        statistics.layers[at].tokens[keys[i] - first_key] += tokens[i];
    }
    for (int token = 0; token < step.tokens; ++token) {
      before.clear();
      for (int ordinal = first; ordinal < last; ++ordinal) {
        routes.read(token, ordinal, here);
        if (ordinal > first) transitions.learn(ordinal - 1, {}, before, here);
        std::swap(before, here);
      }
    }
  });
  if (statistics.steps == 0) {
    throw InputError(where, "no step of the trace is left to learn the routing from",
                     "give a longer trace, or learn from another one");
  }
  for (std::size_t ordinal = 0; ordinal < moments.size(); ++ordinal) {
    LayerRouting& layer = statistics.layers[ordinal];
    layer.load = moments[ordinal].sum;
    for (double& load : layer.load) load /= std::max(1.0, moments[ordinal].batches);
    layer.correlation = std::move(moments[ordinal]).correlation();
    layer.next = table_of(transitions, static_cast<int>(ordinal), map.layers()[ordinal].experts);
  }
  return statistics;
}

}  // namespace pregate::sim
