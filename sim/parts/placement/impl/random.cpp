// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <utility>

#include "sim/cache/split_mix.hpp"
#include "sim/parts/placement/placement.hpp"

namespace pregate::sim {

namespace {

struct RandomExperts {
  std::int64_t count = 0, seed = 1;
};

}  // namespace

/// KTransformers' strategy of that name, with as many in each layer: what popularity is held against.
PlacementEntry drawn_resident() {
  PlacementEntry entry;
  entry.name = "random";
  entry.help = "'count' experts of a layer that are drawn";
  entry.mechanism = "drawn pinned";
  Fields<RandomExperts> fields;
  fields.add("count", &RandomExperts::count, counted_help, pregate::Range{0, 1e8, "from 0 to 100000000"})
      .needed();
  fields.add("seed", &RandomExperts::seed, "of which they are", pregate::Range{0, 1e15, "from 0 to 10^15"});
  entry.parameters = PartParameters(fields);
  entry.is_idle = [](const std::any& parameters) {
    return std::any_cast<const RandomExperts&>(parameters).count == 0;
  };
  entry.place = [](const std::any& parameters, const Unplaced& experts, Placed& placed) {
    const auto& drawn = std::any_cast<const RandomExperts&>(parameters);
    cache::SplitMix draw(static_cast<std::uint64_t>(drawn.seed));
    std::vector<ExpertKey> keys;
    for (const MoeLayer& layer : experts.map.layers()) {
      keys.resize(static_cast<std::size_t>(layer.experts));
      std::iota(keys.begin(), keys.end(), layer.first_key);
      const auto count = static_cast<std::size_t>(std::min<std::int64_t>(drawn.count, layer.experts));
      for (std::size_t i = 0; i < count; ++i) {  // the first `count` of a shuffle
        std::swap(keys[i], keys[i + draw.below(keys.size() - i)]);
        placed.resident[keys[i]] = 1;
      }
    }
  };
  return entry;
}

}  // namespace pregate::sim
