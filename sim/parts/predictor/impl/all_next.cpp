// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/parts/predictor/predictor.hpp"

namespace pregate::sim {

namespace {

class AllNext final : public Predictor {
 public:
  explicit AllNext(const ExpertMap& map) : map_(map) {}
  std::span<const ExpertKey> predict(int, int target) override {
    const MoeLayer& layer = map_.layers()[static_cast<std::size_t>(target)];
    keys_.resize(static_cast<std::size_t>(layer.experts));
    std::iota(keys_.begin(), keys_.end(), layer.first_key);
    return keys_;
  }

 private:
  const ExpertMap& map_;
  std::vector<ExpertKey> keys_;
};

int all_of_a_layer(const std::any&, const ExpertMap& map, const TraceScan& scan) {
  int most = scan.most_activated;
  for (const MoeLayer& layer : map.layers()) most = std::max(most, layer.experts);
  return most;
}

}  // namespace

PredictorEntry all_next() {
  PredictorEntry entry;
  entry.name = "all-next";
  entry.help = "nothing is known, so all experts of that layer are fetched";
  entry.mechanism = "prefetch-all";
  entry.make = [](const std::any&, const ExpertMap& map) { return std::make_unique<AllNext>(map); };
  entry.is_whole_layer = entry.misses_none = true;
  entry.by_counts = PredictorEntry::ByCounts::with_a_cache_of_each_layer;
  entry.most_guesses = all_of_a_layer;
  return entry;
}

}  // namespace pregate::sim
