// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/clusters.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/expert_placement/affinity.hpp"
#include "sim/expert_placement/packing.hpp"

namespace pregate::sim {

namespace {

using Order = std::vector<std::uint8_t>;  // by cluster, its GPU

/// A search of this size ends within seconds for 128 experts; a solution that is not proven by then seldom
/// gets better.
constexpr std::int64_t most_cluster_nodes = 100;

IntegerProgram cluster_program(std::span<const double> loads, int clusters, double mean) {
  IntegerProgram program;
  const auto experts = static_cast<int>(loads.size());
  for (int i = 0; i < experts * clusters; ++i) program.add_column(0, true);
  for (int expert = 0; expert < experts; ++expert) {
    IntegerProgram::Row one{.low = 1, .high = 1};
    for (int cluster = 0; cluster < clusters; ++cluster)
      one.terms.push_back({expert * clusters + cluster, 1});
    program.rows.push_back(std::move(one));
  }
  for (int cluster = 0; cluster < clusters; ++cluster) {
    const double count = quota(loads.size(), clusters, cluster);
    IntegerProgram::Row full{.low = count, .high = count};
    // deviation >= load - mean and deviation >= mean - load, in units of the mean.
    const int off = program.add_column(1, false);
    IntegerProgram::Row above{.terms = {{off, -1}}, .high = 1}, below{.terms = {{off, 1}}, .low = 1};
    for (int expert = 0; expert < experts; ++expert) {
      const int column = expert * clusters + cluster;
      full.terms.push_back({column, 1});
      const double load = loads[static_cast<std::size_t>(expert)] / mean;
      if (load <= 0) continue;
      above.terms.push_back({column, load});
      below.terms.push_back({column, load});
    }
    for (IntegerProgram::Row* row : {&full, &above, &below}) program.rows.push_back(std::move(*row));
  }
  program.allowed_gap = cluster_tolerance;
  program.most_nodes = most_cluster_nodes;
  return program;
}

}  // namespace

double deviation(std::span<const double> loads, const std::vector<std::uint8_t>& of_expert, int clusters) {
  std::vector<double> sums(static_cast<std::size_t>(clusters));
  for (std::size_t expert = 0; expert < loads.size(); ++expert) sums[of_expert[expert]] += loads[expert];
  const double mean = std::accumulate(loads.begin(), loads.end(), 0.0) / clusters;
  double off = 0;
  for (const double sum : sums) off += std::abs(sum - mean);
  return off;
}

double deviation_bound(std::span<const double> loads, int clusters) {
  std::vector<double> rising(loads.begin(), loads.end());
  std::sort(rising.begin(), rising.end());
  // The fewest experts that a cluster holds.
  const auto beside = rising.begin() + quota(loads.size(), clusters, clusters - 1) - 1;
  const double least = rising.back() + std::accumulate(rising.begin(), beside, 0.0);
  const double mean = std::accumulate(rising.begin(), rising.end(), 0.0) / clusters;
  // What one cluster has too much the others lack.
  const double heaviest = 2 * std::max(0.0, least - mean);
  const auto is_whole = [](double load) { return load == std::floor(load); };
  if (!std::all_of(rising.begin(), rising.end(), is_whole)) return heaviest;
  // Whole loads cannot all be a mean that is not: at best `over` clusters are the next whole number.
  const double over = std::round((mean - std::floor(mean)) * clusters);
  return std::max(heaviest, 2 * over * (clusters - over) / clusters);
}

namespace {

/// Swaps of two experts while any lowers the deviation.
void swap_downhill(std::span<const double> loads, std::vector<std::uint8_t>& of_expert, int clusters) {
  std::vector<double> sums(static_cast<std::size_t>(clusters));
  for (std::size_t expert = 0; expert < loads.size(); ++expert) sums[of_expert[expert]] += loads[expert];
  const double mean = std::accumulate(sums.begin(), sums.end(), 0.0) / clusters;
  const double least_gain = 1e-9 * mean;  // what rounding cannot feign
  for (bool improved = true; improved;) {
    improved = false;
    for (std::size_t a = 0; a < loads.size(); ++a)
      for (std::size_t b = a + 1; b < loads.size(); ++b) {
        double &of_a = sums[of_expert[a]], &of_b = sums[of_expert[b]];
        const double moved = loads[a] - loads[b];
        if (&of_a == &of_b || std::abs(of_a - moved - mean) + std::abs(of_b + moved - mean) >=
                                  std::abs(of_a - mean) + std::abs(of_b - mean) - least_gain)
          continue;
        of_a -= moved;
        of_b += moved;
        std::swap(of_expert[a], of_expert[b]);
        improved = true;
      }
  }
}

}  // namespace

Clusters balanced_clusters(std::span<const double> loads, int clusters, const IntegerProgramSolver& solve) {
  Clusters best;
  best.of_expert = pack_by_weight(loads, equal_room(loads.size(), clusters));
  swap_downhill(loads, best.of_expert, clusters);
  best.deviation = deviation(loads, best.of_expert, clusters);
  const double mean = std::accumulate(loads.begin(), loads.end(), 0.0) / clusters;
  best.is_optimal = best.deviation <= deviation_bound(loads, clusters) + cluster_tolerance * mean;
  if (best.is_optimal) return best;
  const IntegerSolution solution = solve(cluster_program(loads, clusters, mean));
  if (solution.values.empty()) return best;
  std::vector<std::uint8_t> of_expert(loads.size());
  for (std::size_t expert = 0; expert < loads.size(); ++expert)
    for (int cluster = 0; cluster < clusters; ++cluster)
      if (solution.values[expert * static_cast<std::size_t>(clusters) + static_cast<std::size_t>(cluster)] >
          0.5)
        of_expert[expert] = static_cast<std::uint8_t>(cluster);
  const double off = deviation(loads, of_expert, clusters);
  if (off < best.deviation) best = {of_expert, off, false};
  best.is_optimal = solution.is_optimal || best.deviation <= (solution.bound + cluster_tolerance) * mean;
  return best;
}

namespace {

/// The largest tokens / rate of a link between GPUs, from a layer in one order to the next in another.
double busiest_link(const CountTable& tokens, const Order& from, const Order& to, const CountTable& links) {
  double most = 0;
  for (std::size_t i = 0; i < tokens.rows; ++i)
    for (std::size_t j = 0; j < tokens.columns; ++j) {
      if (from[i] == to[j]) continue;
      const double rate = links.rows > 0 ? links.at(from[i], to[j]) : 1;
      most = std::max(most, tokens.at(i, j) / rate);
    }
  return most;
}

Order first_order(int gpus) {
  Order order;
  for (int gpu = 0; gpu < gpus; ++gpu) order.push_back(static_cast<std::uint8_t>(gpu));
  return order;
}

ClusterHomes exact(const std::vector<CountTable>& tokens, int gpus, const CountTable& links) {
  std::vector<Order> orders;
  Order order = first_order(gpus);
  do orders.push_back(order);
  while (std::next_permutation(order.begin(), order.end()));
  struct Reached {
    double cost = 0;
    std::uint32_t from = 0;
  };
  std::vector<std::vector<Reached>> reached(tokens.size() + 1, std::vector<Reached>(orders.size()));
  // Where links are alike only the order relative to the layer before matters.
  if (links.rows == 0)
    for (std::size_t i = 1; i < orders.size(); ++i)
      reached[0][i].cost = std::numeric_limits<double>::infinity();
  for (std::size_t layer = 0; layer < tokens.size(); ++layer)
    for (std::size_t to = 0; to < orders.size(); ++to) {
      Reached best{std::numeric_limits<double>::infinity(), 0};
      for (std::uint32_t from = 0; from < orders.size(); ++from) {
        const double before = reached[layer][from].cost;
        if (before >= best.cost) continue;
        const double cost = before + busiest_link(tokens[layer], orders[from], orders[to], links);
        if (cost < best.cost) best = {cost, from};
      }
      reached[layer + 1][to] = best;
    }
  const auto end = std::min_element(reached.back().begin(), reached.back().end(),
                                    [](const Reached& a, const Reached& b) { return a.cost < b.cost; });
  ClusterHomes homes{.cost = end->cost, .is_exact = true};
  auto at = static_cast<std::uint32_t>(end - reached.back().begin());
  homes.gpu_of.resize(reached.size());
  for (std::size_t layer = reached.size(); layer-- > 0; at = reached[layer][at].from)
    homes.gpu_of[layer] = orders[at];
  return homes;
}

ClusterHomes layer_by_layer(const std::vector<CountTable>& tokens, int gpus, const CountTable& links) {
  ClusterHomes homes;
  homes.gpu_of.push_back(first_order(gpus));
  for (const CountTable& table : tokens) {
    const Order& before = homes.gpu_of.back();
    Order order = before;
    double cost = busiest_link(table, before, order, links);
    for (bool improved = true; improved;) {
      improved = false;
      for (std::size_t a = 0; a < order.size(); ++a)
        for (std::size_t b = a + 1; b < order.size(); ++b) {
          std::swap(order[a], order[b]);
          const double swapped = busiest_link(table, before, order, links);
          if (swapped < cost) {
            cost = swapped;
            improved = true;
          } else {
            std::swap(order[a], order[b]);
          }
        }
    }
    homes.cost += cost;
    homes.gpu_of.push_back(std::move(order));
  }
  return homes;
}

}  // namespace

ClusterHomes clusters_to_gpus(const std::vector<CountTable>& tokens, int gpus, const CountTable& links) {
  return gpus <= most_exact_gpus ? exact(tokens, gpus, links) : layer_by_layer(tokens, gpus, links);
}

}  // namespace pregate::sim
