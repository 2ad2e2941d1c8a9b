// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/placement/placement.hpp"

#include <algorithm>
#include <numeric>

namespace pregate::sim {

void take_count(PlacementEntry& entry) {
  Fields<PlacedCount> fields;
  fields.add("count", &PlacedCount::count, counted_help, pregate::Range{0, 1e8, "from 0 to 100000000"})
      .needed();
  entry.parameters = PartParameters(fields);
  entry.is_idle = [](const std::any& parameters) { return count_of(parameters) == 0; };
}

std::vector<ExpertKey> by_popularity(const MoeLayer& layer, const TraceScan& scan) {
  std::vector<ExpertKey> keys(static_cast<std::size_t>(layer.experts));
  std::iota(keys.begin(), keys.end(), layer.first_key);
  std::stable_sort(keys.begin(), keys.end(),
                   [&](ExpertKey a, ExpertKey b) { return scan.popularity[a] > scan.popularity[b]; });
  return keys;
}

std::vector<ExpertKey> by_value(const MoeLayer& layer, const std::vector<double>& values) {
  std::vector<ExpertKey> keys(static_cast<std::size_t>(layer.experts));
  std::iota(keys.begin(), keys.end(), layer.first_key);
  std::stable_sort(keys.begin(), keys.end(), [&](ExpertKey a, ExpertKey b) { return values[a] > values[b]; });
  return keys;
}

}  // namespace pregate::sim
