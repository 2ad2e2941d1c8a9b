// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/placement_kinds.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "sim/expert_placement/kinds_list.hpp"

namespace pregate::sim {

PlacedExperts unplaced(const ExpertMap& map, const PlacementRequest& request) {
  PlacedExperts placed;
  placed.homes.gpus = request.gpus;
  placed.homes.of_key.assign(map.keys(), 0);
  return placed;
}

void set_layer(ExpertHomes& homes, const MoeLayer& layer, const std::vector<std::uint8_t>& gpus) {
  std::copy(gpus.begin(), gpus.end(), homes.of_key.begin() + static_cast<std::ptrdiff_t>(layer.first_key));
}

const std::vector<PlacementKind>& placement_kinds() {
  static const std::vector<PlacementKind> kinds = {
      dealt_in_turn(), dealt_in_blocks(), by_load(),    by_load_and_correlation(),
      by_affinity(),   in_two_stages(),   with_copies()};
  return kinds;
}

const PlacementKind& placement_kind(const std::string& name, const std::string& where) {
  std::vector<std::string> names;
  for (const PlacementKind& kind : placement_kinds()) {
    if (kind.name == name) return kind;
    names.push_back(kind.name);
  }
  throw InputError(where, "no placement named '" + printable(name) + "'", suggest(name, names));
}

PlacedExperts place_experts(const PlacementKind& kind, const ExpertMap& map,
                            const RoutingStatistics& statistics, const PlacementRequest& request) {
  if (request.gpus < 1 || request.gpus > max_expert_gpus) {
    throw InputError("gpus", std::to_string(request.gpus) + " is no number of GPUs",
                     "1 to " + std::to_string(max_expert_gpus));
  }
  for (const MoeLayer& layer : map.layers()) {
    if (layer.experts >= request.gpus) continue;
    throw InputError("gpus",
                     "layer " + std::to_string(layer.layer) + " has " + std::to_string(layer.experts) +
                         " experts, fewer than the " + std::to_string(request.gpus) + " GPUs",
                     "every GPU is to hold an expert of every MoE layer: take fewer");
  }
  if (kind.needs_solver && !request.solve) {
    throw InputError(kind.name, "needs a solver of integer programs, and there is none here",
                     "install coinor-libcbc-dev and build again, or choose another placement");
  }
  return kind.place(map, statistics, request);
}

}  // namespace pregate::sim
