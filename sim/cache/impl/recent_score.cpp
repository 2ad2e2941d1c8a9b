// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>

#include "sim/cache/cached_layers.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/cache/lowest_score.hpp"

namespace pregate::cache {

namespace {

struct RecentScoreParameters {
  double newest = 0.5;
  int top = 0;
};

/// HybriMoE's minus recent score (2504.05897): S <- a s + (1 - a) S for all experts of a layer when it runs,
/// s being the gate's weights of which the `top` largest of a token count; of several tokens their mean. The
/// source takes the whole distribution of the gate and 2 k of it; traces have the weights of the k chosen
/// ones, and so much is taken.
class RecentScore {
 public:
  explicit RecentScore(const CacheGeometry& geometry)
      : newest_(parameters_of<RecentScoreParameters>(geometry).newest),
        top_(static_cast<std::size_t>(parameters_of<RecentScoreParameters>(geometry).top)),
        layers_(geometry),
        score_(geometry.keys()) {}

  void gate(const GateOutcome& outcome) {
    if (outcome.weights.empty()) return;
    for (ExpertKey key = layers_.first_of(outcome.ordinal); key < layers_.end_of(outcome.ordinal); ++key)
      score_[key] *= 1 - newest_;
    const double share = newest_ * outcome.top_k / static_cast<double>(outcome.ids.size());
    for (std::size_t first = 0; first < outcome.ids.size(); first += outcome.top_k) {
      const float least = least_that_counts(outcome.weights.subspan(first, outcome.top_k));
      for (std::size_t at = first; at < first + outcome.top_k; ++at) {
        if (outcome.ids[at] == GateOutcome::no_id || outcome.weights[at] < least) continue;
        score_[outcome.first_key + outcome.ids[at]] += share * static_cast<double>(outcome.weights[at]);
      }
    }
  }
  double operator()(ExpertKey key) const { return score_[key]; }

 private:
  float least_that_counts(std::span<const float> weights) {
    if (top_ == 0 || top_ >= weights.size()) return -1;
    sorted_.assign(weights.begin(), weights.end());
    const auto last = sorted_.begin() + static_cast<std::ptrdiff_t>(top_) - 1;
    std::nth_element(sorted_.begin(), last, sorted_.end(), std::greater<>());
    return *last;
  }

  double newest_;
  std::size_t top_;
  CachedLayers layers_;
  std::vector<double> score_;  // by key
  std::vector<float> sorted_;
};

}  // namespace

void register_recent_score(EvictionRegistry& registry) {
  Fields<RecentScoreParameters> fields;
  fields.add("newest", &RecentScoreParameters::newest, "share of the newest gate weights in the mean",
             pregate::Range{0.001, 1, "from 0.001 to 1"});
  fields.add("top", &RecentScoreParameters::top,
             "gate weights of a token that count; 0: all that the trace has",
             pregate::Range{0, 256, "from 0 to 256"});
  EvictionEntry& entry = registry.add<LowestScore<RecentScore>>(
      "recent-score",
      "evicts the expert of the lowest moving mean of gate weights, which the trace must have");
  entry.parameters = sim::PartParameters(fields);
  entry.needs_weights = true;
}

}  // namespace pregate::cache
