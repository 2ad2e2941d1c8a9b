// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/placement/placement.hpp"

namespace pregate::sim {

namespace {

struct FirstLayers {
  std::int64_t count = 0;
};

void place_first(const FirstLayers& first, const Unplaced& experts, Placed& placed) {
  std::int64_t left = first.count;
  for (const MoeLayer& layer : experts.map.layers()) {
    if (left-- <= 0) return;
    std::fill_n(placed.resident.begin() + layer.first_key, layer.experts, 1);
  }
}

}  // namespace

PlacementEntry first_layers_resident() {
  PlacementEntry entry;
  entry.name = "first-layers";
  entry.help = "all experts of the first 'count' MoE layers";
  entry.mechanism = "first layers pinned";
  Fields<FirstLayers> fields;
  fields.add("count", &FirstLayers::count, "MoE layers; 0 for none", Range{0, 1e8, "from 0 to 100000000"})
      .needed();
  entry.parameters = PartParameters(fields);
  entry.is_idle = [](const std::any& first) { return std::any_cast<const FirstLayers&>(first).count == 0; };
  entry.place = [](const std::any& first, const Unplaced& experts, Placed& placed) {
    place_first(std::any_cast<const FirstLayers&>(first), experts, placed);
  };
  return entry;
}

}  // namespace pregate::sim
