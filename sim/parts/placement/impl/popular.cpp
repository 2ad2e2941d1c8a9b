// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "sim/parts/placement/placement.hpp"

namespace pregate::sim {

namespace {

struct Popular {
  std::int64_t count = 0;
};

void place_popular(const Popular& popular, const Unplaced& experts, Placed& placed) {
  for (const MoeLayer& layer : experts.map.layers()) {
    std::vector<ExpertKey> keys = by_popularity(layer, experts.scan);
    keys.resize(static_cast<std::size_t>(std::min<std::int64_t>(popular.count, layer.experts)));
    for (const ExpertKey key : keys) placed.resident[key] = 1;
  }
}

}  // namespace

std::vector<ExpertKey> by_popularity(const MoeLayer& layer, const TraceScan& scan) {
  std::vector<ExpertKey> keys(static_cast<std::size_t>(layer.experts));
  std::iota(keys.begin(), keys.end(), layer.first_key);
  std::stable_sort(keys.begin(), keys.end(),
                   [&](ExpertKey a, ExpertKey b) { return scan.popularity[a] > scan.popularity[b]; });
  return keys;
}

PlacementEntry popular_resident() {
  PlacementEntry entry;
  entry.name = "popular";
  entry.help = "the 'count' experts of a layer that this trace activates most";
  entry.mechanism = "popular pinned";
  Fields<Popular> fields;
  fields
      .add("count", &Popular::count, "experts a layer; 0 for none",
           pregate::Range{0, 1e8, "from 0 to 100000000"})
      .needed();
  entry.parameters = PartParameters(fields);
  entry.is_idle = [](const std::any& popular) { return std::any_cast<const Popular&>(popular).count == 0; };
  entry.place = [](const std::any& popular, const Unplaced& experts, Placed& placed) {
    place_popular(std::any_cast<const Popular&>(popular), experts, placed);
  };
  return entry;
}

}  // namespace pregate::sim
