// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/placement/placement.hpp"

namespace pregate::sim {

namespace {

struct WholeLayers {
  std::int64_t count = 0;
};

/// Experts of all layers of [begin, end), over all stacks.
void keep(const ExpertMap& map, std::size_t begin, std::size_t end, Placed& placed) {
  for (std::size_t i = begin; i < end; ++i) {
    const MoeLayer& layer = map.layers()[i];
    std::fill_n(placed.resident.begin() + layer.first_key, layer.experts, 1);
  }
}

PlacementEntry whole_layers(const char* name, const char* help, const char* mechanism, bool from_the_end) {
  PlacementEntry entry;
  entry.name = name;
  entry.help = help;
  entry.mechanism = mechanism;
  Fields<WholeLayers> fields;
  fields
      .add("count", &WholeLayers::count, "MoE layers; 0 for none",
           pregate::Range{0, 1e8, "from 0 to 100000000"})
      .needed();
  entry.parameters = PartParameters(fields);
  entry.is_idle = [](const std::any& kept) { return std::any_cast<const WholeLayers&>(kept).count == 0; };
  entry.place = [from_the_end](const std::any& kept, const Unplaced& experts, Placed& placed) {
    const std::size_t all = experts.map.layers().size();
    const auto count = std::min(static_cast<std::size_t>(std::any_cast<const WholeLayers&>(kept).count), all);
    keep(experts.map, from_the_end ? all - count : 0, from_the_end ? all : count, placed);
  };
  return entry;
}

}  // namespace

PlacementEntry first_layers_resident() {
  return whole_layers("first-layers", "all experts of the first 'count' MoE layers", "first layers pinned",
                      false);
}

PlacementEntry last_layers_resident() {
  return whole_layers("last-layers", "all experts of the last 'count' MoE layers", "last layers pinned",
                      true);
}

}  // namespace pregate::sim
