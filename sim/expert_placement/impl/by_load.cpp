// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Huang et al., 2303.06182: the heaviest expert first, each to the GPU with the lowest load.
#include "sim/expert_placement/kinds_list.hpp"
#include "sim/expert_placement/packing.hpp"

namespace pregate::sim {

namespace {

PlacedExperts place_by_load(const ExpertMap& map, const RoutingStatistics& statistics,
                            const PlacementRequest& request) {
  PlacedExperts placed = unplaced(map, request);
  for (std::size_t ordinal = 0; ordinal < map.layers().size(); ++ordinal) {
    const std::vector<double>& load = statistics.layers[ordinal].load;
    set_layer(placed.homes, map.layers()[ordinal],
              pack_by_weight(load, equal_room(load.size(), request.gpus)));
  }
  return placed;
}

/// The weight of a correlation against a mean share, as published.
constexpr double correlation_weight = 0.5;

PlacedExperts place_by_correlation(const ExpertMap& map, const RoutingStatistics& statistics,
                                   const PlacementRequest& request) {
  PlacedExperts placed = unplaced(map, request);
  for (std::size_t ordinal = 0; ordinal < map.layers().size(); ++ordinal) {
    const LayerRouting& layer = statistics.layers[ordinal];
    std::vector<std::vector<std::size_t>> on(static_cast<std::size_t>(request.gpus));
    const auto load = [&](std::size_t gpu, std::size_t candidate) {
      double sum = 0;
      for (const std::size_t expert : on[gpu])
        sum += layer.load[expert] + correlation_weight * layer.correlation.at(candidate, expert);
      return sum;
    };
    set_layer(placed.homes, map.layers()[ordinal],
              pack(layer.load, equal_room(layer.load.size(), request.gpus), load,
                   [&](std::size_t gpu, std::size_t expert) { on[gpu].push_back(expert); }));
  }
  return placed;
}

}  // namespace

PlacementKind by_load() {
  return {.name = "greedy",
          .help = "the most loaded expert first, each to the least loaded GPU that has room",
          .place = place_by_load};
}

PlacementKind by_load_and_correlation() {
  return {.name = "anti-correlation",
          .help = "as greedy; experts that are busy in the same batches repel each other",
          .place = place_by_correlation};
}

}  // namespace pregate::sim
