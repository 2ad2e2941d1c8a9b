// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// DeepSeek's Expert Parallelism Load Balancer (EPLB): further copies of the experts with the most tokens a
// copy, packed like the greedy kind.
#include <algorithm>

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
    std::vector<std::uint8_t> seen(static_cast<std::size_t>(layer.experts));
    for (const Replica& replica : balance_replicas(statistics.layers[ordinal].tokens, shape)) {
      const ExpertKey key = layer.first_key + static_cast<ExpertKey>(replica.expert);
      const auto gpu = static_cast<std::uint8_t>(replica.gpu);
      std::uint8_t& is_placed = seen[static_cast<std::size_t>(replica.expert)];
      if (is_placed == 0)
        placed.homes.of_key[key] = gpu;
      else
        placed.homes.copies.push_back({key, gpu});
      is_placed = 1;
    }
  }
  std::stable_sort(placed.homes.copies.begin(), placed.homes.copies.end(),
                   [](const ExpertCopy& a, const ExpertCopy& b) { return a.key < b.key; });
  return placed;
}

}  // namespace

PlacementKind with_copies() {
  return {.name = "replicated",
          .help = "EPLB: copies of the most loaded experts, their tokens divided, then as greedy",
          .place = replicate};
}

}  // namespace pregate::sim
