// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/expert_placement/integer_program.hpp"
#include "sim/expert_placement/routing_statistics.hpp"

namespace pregate::sim {

/// Experts of one layer in `clusters` clusters of equal counts.
struct Clusters {
  std::vector<std::uint8_t> of_expert;
  double deviation = 0;     ///< sum over clusters of |load - mean load|, in units of the loads
  bool is_optimal = false;  ///< up to cluster_tolerance of the mean load
};

/// Of the mean load of a cluster: deviations this close are as good (MoETuner's tolerance).
inline constexpr double cluster_tolerance = 0.025;

/// MoETuner's first program (2502.06643): clusters of equal counts with the least deviation. The solver is
/// asked where the greedy packing with swaps is not proven within the tolerance; the better of both.
Clusters balanced_clusters(std::span<const double> loads, int clusters, const IntegerProgramSolver& solve);
/// No clusters of equal counts deviate less: the heaviest expert's cluster has at least the lightest beside
/// it, and whole loads make whole clusters.
double deviation_bound(std::span<const double> loads, int clusters);
double deviation(std::span<const double> loads, const std::vector<std::uint8_t>& of_expert, int clusters);

/// By layer, by cluster: its GPU.
struct ClusterHomes {
  std::vector<std::vector<std::uint8_t>> gpu_of = {};
  double cost = 0;
  bool is_exact = false;
};

/// MoETuner's second program: each layer's clusters to GPUs, one each, so that the sum over pairs of
/// consecutive layers of the largest tokens(g1, g2) / links(g1, g2) over GPUs g1 != g2 is least. `tokens` by
/// pair of layers: from cluster `row` to cluster `column`. Exact up to six GPUs, as a shortest path through
/// the orders of the clusters, which couples a layer with the next one only; beyond, layer by layer, by
/// swaps. `links` without rows: all alike.
ClusterHomes clusters_to_gpus(const std::vector<CountTable>& tokens, int gpus, const CountTable& links);
inline constexpr int most_exact_gpus = 6;

}  // namespace pregate::sim
