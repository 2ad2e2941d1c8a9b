// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// MoETuner, 2502.06643: clusters of equal load first, then the clusters to GPUs.
#include "models/error.hpp"
#include "sim/expert_placement/clusters.hpp"
#include "sim/expert_placement/kinds_list.hpp"

namespace pregate::sim {

namespace {

/// Tokens from cluster to cluster.
CountTable between(const CountTable& next, const Clusters& here, const Clusters& there, std::size_t gpus) {
  CountTable tokens{gpus, gpus, std::vector<double>(gpus * gpus)};
  for (std::size_t i = 0; i < next.rows; ++i)
    for (std::size_t j = 0; j < next.columns; ++j)
      tokens.at(here.of_expert[i], there.of_expert[j]) += next.at(i, j);
  return tokens;
}

PlacedExperts place_in_two_stages(const ExpertMap& map, const RoutingStatistics& statistics,
                                  const PlacementRequest& request) {
  const auto gpus = static_cast<std::size_t>(request.gpus);
  if (request.links.rows > 0 && (request.links.rows != gpus || request.links.columns != gpus))
    throw InputError("two-stage", "rates of links are not of as many GPUs");
  PlacedExperts placed = unplaced(map, request);
  std::vector<Clusters> clusters;
  std::size_t proven = 0, begin = 0;
  for (const LayerRouting& layer : statistics.layers) {
    clusters.push_back(balanced_clusters(layer.tokens, request.gpus, request.solve));
    proven += clusters.back().is_optimal ? 1U : 0U;
  }
  bool is_exact = true;
  std::vector<CountTable> tokens;
  for (std::size_t ordinal = 0; ordinal < clusters.size(); ++ordinal) {
    const CountTable& next = statistics.layers[ordinal].next;
    if (next.rows > 0) {
      tokens.push_back(between(next, clusters[ordinal], clusters[ordinal + 1], gpus));
      continue;
    }
    const ClusterHomes homes = clusters_to_gpus(tokens, request.gpus, request.links);
    is_exact = is_exact && homes.is_exact;
    for (std::size_t at = begin; at <= ordinal; ++at) {
      std::vector<std::uint8_t> gpu_of;
      for (const std::uint8_t cluster : clusters[at].of_expert)
        gpu_of.push_back(homes.gpu_of[at - begin][cluster]);
      set_layer(placed.homes, map.layers()[at], gpu_of);
    }
    tokens.clear();
    begin = ordinal + 1;
  }
  placed.how = "clusters proven as even as can be, within 2.5 %, in " + std::to_string(proven) + " of " +
               std::to_string(clusters.size()) + " layers; to GPUs " + (is_exact ? "exact" : "by swaps");
  return placed;
}

}  // namespace

PlacementKind in_two_stages() {
  return {.name = "two-stage",
          .help = "MoETuner: clusters of equal load, then to GPUs for the least busy links",
          .place = place_in_two_stages,
          .needs_solver = true};
}

}  // namespace pregate::sim
