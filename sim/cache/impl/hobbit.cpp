// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "sim/cache/cached_layers.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/cache/lowest_score.hpp"

namespace pregate::cache {

namespace {

struct HobbitParameters {
  double recency = 0.25, use = 0.25, precision = 0.25, distance = 0.25, high = 0.6;
};

/// HOBBIT's sum of four (2411.01433), all of the running sequence, which begins with a request's first pass:
/// w1 R/T + w2 F/T + w3 H/T + w4 (1 - d/L), with T its tokens so far, R the token of the last use (of a pass
/// over several tokens its last), F the tokens that used the expert, H those that needed it in high
/// precision, d the layers until its own runs again, of L. The published form of d reads both ways; its text
/// settles it: nearer layers are likelier. The weights are not published. A token needs an expert in high
/// precision when the gate weights of those it prefers add up to no more than `high`; all of them where the
/// trace has no weights.
class HobbitScore {
 public:
  explicit HobbitScore(const CacheGeometry& geometry)
      : weight_(parameters_of<HobbitParameters>(geometry)), layers_(geometry), used_(geometry.keys()) {}

  void begin_pass(const PassStart& start) {
    if (start.first_of_request) {
      std::fill(used_.begin(), used_.end(), Uses{});
      tokens_ = 0;
    }
    tokens_ += start.tokens;
  }
  void gate(const GateOutcome& outcome) {
    now_ = outcome.ordinal;
    for (std::size_t i = 0; i < outcome.activated.size(); ++i) {
      Uses& uses = used_[outcome.activated[i]];
      uses.last = tokens_;
      uses.all += outcome.tokens[i];
      if (outcome.weights.empty()) uses.high += outcome.tokens[i];
    }
    if (!outcome.weights.empty()) count_high(outcome);
  }
  double operator()(ExpertKey key) const {
    const Uses& uses = used_[key];
    const std::uint32_t ordinal = layers_.ordinal_of(key);
    const double near = 1 - static_cast<double>(layers_.distance(ordinal, now_)) / layers_.depth(ordinal);
    const double sum = weight_.recency * uses.last + weight_.use * uses.all + weight_.precision * uses.high;
    return (tokens_ > 0 ? sum / tokens_ : 0) + weight_.distance * near;
  }

 private:
  struct Uses {
    double last = 0, all = 0, high = 0;
  };

  void count_high(const GateOutcome& outcome) {
    ranks_.resize(outcome.top_k);
    for (std::size_t first = 0; first < outcome.ids.size(); first += outcome.top_k) {
      std::iota(ranks_.begin(), ranks_.end(), first);
      std::stable_sort(ranks_.begin(), ranks_.end(),
                       [&](std::size_t a, std::size_t b) { return outcome.weights[a] > outcome.weights[b]; });
      double whole = 0, better = 0;
      for (const std::size_t at : ranks_) {
        if (outcome.ids[at] != GateOutcome::no_id) whole += static_cast<double>(outcome.weights[at]);
      }
      for (const std::size_t at : ranks_) {
        if (outcome.ids[at] == GateOutcome::no_id) continue;
        if (better <= weight_.high * whole) ++used_[outcome.first_key + outcome.ids[at]].high;
        better += static_cast<double>(outcome.weights[at]);
      }
    }
  }

  HobbitParameters weight_;
  CachedLayers layers_;
  std::vector<Uses> used_;  // by key
  std::vector<std::size_t> ranks_;
  double tokens_ = 0;
  std::uint32_t now_ = 0;
};

}  // namespace

void register_hobbit(EvictionRegistry& registry) {
  Fields<HobbitParameters> fields;
  fields.add("recency_weight", &HobbitParameters::recency, "of the last use",
             pregate::Range{0, 1, "from 0 to 1"});
  fields.add("use_weight", &HobbitParameters::use, "of the uses", pregate::Range{0, 1, "from 0 to 1"});
  fields.add("precision_weight", &HobbitParameters::precision, "of the uses in high precision",
             pregate::Range{0, 1, "from 0 to 1"});
  fields.add("distance_weight", &HobbitParameters::distance, "of the nearness of the expert's layer",
             pregate::Range{0, 1, "from 0 to 1"});
  fields.add("high_below", &HobbitParameters::high,
             "a use is in high precision when the token prefers experts of no more gate weight than this",
             pregate::Range{0, 1, "from 0 to 1"});
  registry
      .add<LowestScore<HobbitScore>>(
          "hobbit",
          "evicts by last use, uses, uses in high precision and nearness of the layer, of this sequence")
      .parameters = sim::PartParameters(fields);
}

}  // namespace pregate::cache
