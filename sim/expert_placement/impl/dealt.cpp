// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Homes by an expert's number alone.
#include "sim/expert_placement/affinity.hpp"
#include "sim/expert_placement/kinds_list.hpp"

namespace pregate::sim {

namespace {

PlacedExperts deal_in_turn(const ExpertMap& map, const RoutingStatistics&, const PlacementRequest& request) {
  PlacedExperts placed = unplaced(map, request);
  for (const MoeLayer& layer : map.layers())
    for (int expert = 0; expert < layer.experts; ++expert)
      placed.homes.of_key[layer.first_key + static_cast<ExpertKey>(expert)] =
          static_cast<std::uint8_t>(expert % request.gpus);
  return placed;
}

PlacedExperts deal_in_blocks(const ExpertMap& map, const RoutingStatistics&,
                             const PlacementRequest& request) {
  PlacedExperts placed = unplaced(map, request);
  for (const MoeLayer& layer : map.layers()) {
    ExpertKey key = layer.first_key;
    for (int gpu = 0; gpu < request.gpus; ++gpu)
      for (int i = quota(static_cast<std::size_t>(layer.experts), request.gpus, gpu); i > 0; --i)
        placed.homes.of_key[key++] = static_cast<std::uint8_t>(gpu);
  }
  return placed;
}

}  // namespace

PlacementKind dealt_in_turn() {
  return {.name = "round-robin", .help = "expert e on GPU e mod n", .place = deal_in_turn};
}

PlacementKind dealt_in_blocks() {
  return {.name = "contiguous",
          .help = "experts in blocks of neighbouring numbers: vLLM's 'linear'",
          .place = deal_in_blocks};
}

}  // namespace pregate::sim
