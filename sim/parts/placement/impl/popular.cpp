// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/placement/placement.hpp"

namespace pregate::sim {

PlacementEntry popular_resident() {
  PlacementEntry entry;
  entry.name = "popular";
  entry.help = "the 'count' experts of a layer that this trace activates most";
  entry.mechanism = "popular pinned";
  take_count(entry);
  entry.place = [](const std::any& parameters, const Unplaced& experts, Placed& placed) {
    for (const MoeLayer& layer : experts.map.layers()) {
      std::vector<ExpertKey> keys = by_popularity(layer, experts.scan);
      keys.resize(static_cast<std::size_t>(std::min<std::int64_t>(count_of(parameters), layer.experts)));
      for (const ExpertKey key : keys) placed.resident[key] = 1;
    }
  };
  return entry;
}

}  // namespace pregate::sim
