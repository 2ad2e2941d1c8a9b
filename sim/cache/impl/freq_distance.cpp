// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/cached_layers.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/cache/lowest_score.hpp"

namespace pregate::cache {

namespace {

/// Activations by the MoE layers until the expert's layer runs again, as EdgeMoE's text has it: experts of
/// layers that are farther away leave first. (Its printed formula, read literally, evicts the next layer's
/// first.) Activations of an encoder, which will not run again, count nothing.
class FrequencyByDistance {
 public:
  explicit FrequencyByDistance(const CacheGeometry& geometry) : layers_(geometry), counts_(geometry.keys()) {}

  void begin_pass(const PassStart& start) { counts_them_ = !start.is_encoder; }
  void gate(const GateOutcome& outcome) {
    now_ = outcome.ordinal;
    if (!counts_them_) return;
    for (const ExpertKey key : outcome.activated) ++counts_[key];
  }
  double operator()(ExpertKey key) const {
    return counts_[key] / layers_.distance(layers_.ordinal_of(key), now_);
  }

 private:
  CachedLayers layers_;
  std::vector<double> counts_;
  std::uint32_t now_ = 0;
  bool counts_them_ = true;
};

}  // namespace

void register_freq_distance(EvictionRegistry& registry) {
  registry.add<LowestScore<FrequencyByDistance>>(
      "freq-distance", "evicts the expert with the fewest activations by layers until its own runs again");
}

}  // namespace pregate::cache
