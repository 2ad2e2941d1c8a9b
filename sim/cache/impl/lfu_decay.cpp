// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "sim/cache/eviction.hpp"
#include "sim/cache/lowest_score.hpp"

namespace pregate::cache {

namespace {

struct LfuDecayParameters {
  double decay = 0.99;
};

/// Counts of activations that fade: all are multiplied by `decay` at the end of a pass. Kept as logarithms of
/// the counts before they have faded, which do not change until the next activation and never overflow.
class DecayedCount {
 public:
  explicit DecayedCount(const CacheGeometry& geometry)
      : fading_(-std::log(parameters_of<LfuDecayParameters>(geometry).decay)),
        level_(geometry.keys(), never_used) {}

  void begin_pass(const PassStart&) { now_ += fading_; }
  void gate(const GateOutcome& outcome) {
    for (const ExpertKey key : outcome.activated)
      level_[key] = now_ + std::log1p(std::exp(level_[key] - now_));
  }
  double operator()(ExpertKey key) const { return level_[key]; }

 private:
  static constexpr double never_used = -1e300;
  double fading_, now_ = 0;
  std::vector<double> level_;  // by key
};

}  // namespace

void register_lfu_decay(EvictionRegistry& registry) {
  Fields<LfuDecayParameters> fields;
  fields.add("decay", &LfuDecayParameters::decay, "what a count is multiplied by after each pass",
             pregate::Range{1e-3, 1, "from 0.001 to 1"});
  registry
      .add<LowestScore<DecayedCount>>(
          "lfu-decay", "evicts the expert with the fewest activations, which fade pass by pass")
      .parameters = sim::PartParameters(fields);
}

}  // namespace pregate::cache
