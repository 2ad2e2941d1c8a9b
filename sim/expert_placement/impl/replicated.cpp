// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// DeepSeek's Expert Parallelism Load Balancer (EPLB): further copies of the experts with the most tokens a
// copy, packed like the greedy kind.
#include "sim/expert_placement/kinds_list.hpp"
#include "sim/expert_placement/replicas.hpp"

namespace pregate::sim {

namespace {

PlacedExperts replicate(const ExpertMap& map, const RoutingStatistics& statistics,
                        const PlacementRequest& request) {
  PlacedExperts placed = unplaced(map, request);
  for (std::size_t ordinal = 0; ordinal < map.layers().size(); ++ordinal) {
    const MoeLayer& layer = map.layers()[ordinal];
    ReplicaShape shape;
    shape.slots = layer.experts + request.redundant;
    shape.gpus = request.gpus;
    set_replicas(placed.homes, layer, balance_replicas(statistics.layers[ordinal].tokens, shape));
  }
  return placed;
}

}  // namespace

PlacementKind with_copies() {
  return {.name = "replicated",
          .help = "EPLB: copies of the most loaded experts, their tokens divided, then as greedy",
          .place = replicate};
}

}  // namespace pregate::sim
