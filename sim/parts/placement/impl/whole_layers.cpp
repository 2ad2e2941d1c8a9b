// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/placement/placement.hpp"

namespace pregate::sim {

namespace {

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
  take_count(entry);
  entry.place = [from_the_end](const std::any& kept, const Unplaced& experts, Placed& placed) {
    const std::size_t all = experts.map.layers().size();
    const auto count = std::min(static_cast<std::size_t>(count_of(kept)), all);
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
