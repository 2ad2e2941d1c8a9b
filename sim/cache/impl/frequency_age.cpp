// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "sim/cache/eviction.hpp"
#include "sim/cache/lowest_score.hpp"

namespace pregate::cache {

namespace {

struct FrequencyAgeParameters {
  double factor = 0.25;
  double tokens = 128;
};

/// MoEpic's m r^(n/w): activations m, tokens n since the last one. Compared as logarithms. A pass over
/// several tokens ages by as many.
class FrequencyByAge {
 public:
  explicit FrequencyByAge(const CacheGeometry& geometry)
      : counts_(geometry.keys()), log_count_(geometry.keys(), never_used), last_use_(geometry.keys()) {
    const auto parameters = parameters_of<FrequencyAgeParameters>(geometry);
    aging_ = std::log(parameters.factor) / parameters.tokens;
  }

  void begin_pass(const PassStart& start) { tokens_ += start.tokens; }
  void gate(const GateOutcome& outcome) {
    for (const ExpertKey key : outcome.activated) {
      log_count_[key] = std::log(++counts_[key]);
      last_use_[key] = tokens_;
    }
  }
  double operator()(ExpertKey key) const { return log_count_[key] + (tokens_ - last_use_[key]) * aging_; }

 private:
  static constexpr double never_used = -1e300;
  double aging_ = 0, tokens_ = 0;
  std::vector<double> counts_, log_count_, last_use_;  // by key
};

}  // namespace

void register_frequency_age(EvictionRegistry& registry) {
  Fields<FrequencyAgeParameters> fields;
  fields.add("age_factor", &FrequencyAgeParameters::factor,
             "what a count is multiplied by at the age age_tokens",
             pregate::Range{1e-6, 1, "from 0.000001 to 1"});
  fields.add("age_tokens", &FrequencyAgeParameters::tokens, "tokens since the last activation",
             pregate::Range{1, 1e9, "from 1 to 1000000000"});
  registry
      .add<LowestScore<FrequencyByAge>>(
          "frequency-age", "evicts the expert with the fewest activations, each less by its age in tokens")
      .parameters = sim::PartParameters(fields);
}

}  // namespace pregate::cache
