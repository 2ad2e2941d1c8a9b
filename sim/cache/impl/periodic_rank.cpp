// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/eviction.hpp"
#include "sim/cache/ranked_swaps.hpp"

namespace pregate::cache {

namespace {

struct PeriodicRankParameters {
  int tokens = 2, swaps = 32;
  double decay = 0.97, profile_weight = 1, hysteresis = 0;
};

/// Strata's residency: no miss evicts anyone (it fills a slot that is free, or stays out). When `rank_tokens`
/// tokens have passed, at the end of a pass, all experts are ranked by their activations so far plus the
/// weighted share of the profile's passes that activate them, and the highest of those that are not there
/// change places with the lowest that are. Then the counts fade. With `hysteresis` h a newcomer must rank
/// more than 1 + h times higher, as in llama.cpp's variant. One activation a pass and layer counts once.
class PeriodicRank {
 public:
  explicit PeriodicRank(const CacheGeometry& geometry)
      : parameters_(parameters_of<PeriodicRankParameters>(geometry)),
        rows_(geometry),
        swaps_(geometry),
        counts_(geometry.keys()),
        profile_(geometry.profile) {
    profile_.resize(geometry.keys());
    for (double& share : profile_) share *= parameters_.profile_weight;
  }

  static constexpr bool ignores_hits = true;

  void begin_pass(const PassStart& start) { tokens_ += start.tokens; }
  void gate(const GateOutcome& outcome) {
    for (const ExpertKey key : outcome.activated) ++counts_[key];
  }
  void miss(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t, ExpertKey incoming, const Evictable&) const { return incoming; }
  void insert(std::uint32_t domain, ExpertKey key) { rows_.insert(domain, key); }
  void evict(std::uint32_t domain, ExpertKey key) { rows_.remove(domain, key); }
  void choose_swaps(const Evictable& evictable, std::vector<Swap>& swaps) {
    if (tokens_ < static_cast<std::uint64_t>(parameters_.tokens)) return;
    tokens_ = 0;
    swaps_.choose(
        rows_, evictable, [this](ExpertKey key) { return counts_[key] + profile_[key]; },
        parameters_.hysteresis, static_cast<std::size_t>(parameters_.swaps), swaps);
    for (double& count : counts_) count *= parameters_.decay;
  }

 private:
  PeriodicRankParameters parameters_;
  ResidentRows rows_;
  RankedSwaps swaps_;
  std::vector<double> counts_, profile_;  // by key
  std::uint64_t tokens_ = 0;
};

}  // namespace

void register_periodic_rank(EvictionRegistry& registry) {
  Fields<PeriodicRankParameters> fields;
  fields.add("rank_tokens", &PeriodicRankParameters::tokens, "tokens after which experts are ranked",
             pregate::Range{1, 1 << 20, "from 1 to 1048576"});
  fields.add("rank_swaps", &PeriodicRankParameters::swaps, "most experts that then come in",
             pregate::Range{0, 1 << 20, "from 0 to 1048576"});
  fields.add("rank_decay", &PeriodicRankParameters::decay, "what counts are then multiplied by",
             pregate::Range{0, 1, "from 0 to 1"});
  fields.add("profile_weight", &PeriodicRankParameters::profile_weight,
             "of the share of the profile's passes that activate an expert",
             pregate::Range{0, 1e6, "from 0 to 1000000"});
  fields.add("hysteresis", &PeriodicRankParameters::hysteresis,
             "share by which a newcomer must rank higher than who leaves",
             pregate::Range{0, 100, "from 0 to 100"});
  registry
      .add<PeriodicRank>(
          "periodic-rank",
          "on a miss nobody; every few tokens the least activated for the most activated that are out")
      .parameters = sim::PartParameters(fields);
}

}  // namespace pregate::cache
