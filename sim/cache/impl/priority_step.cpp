// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/cached_layers.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/cache/lowest_score.hpp"

namespace pregate::cache {

namespace {

struct PriorityStepParameters {
  double gain = 1, loss = 0.1, loss_absent = 0.1;
};

/// Diff-MoE's priorities: when a layer runs, each of its experts that is used gains, and each other one
/// loses, by whether it is there as the layer begins.
class PriorityStep {
 public:
  explicit PriorityStep(const CacheGeometry& geometry)
      : step_(parameters_of<PriorityStepParameters>(geometry)),
        layers_(geometry),
        rows_(geometry),
        priority_(geometry.keys()),
        last_use_(geometry.keys()),
        bypass_(geometry.admission == Admission::bypass) {}

  static constexpr bool ignores_hits = true;

  void gate(const GateOutcome& outcome) {
    const ExpertKey first = layers_.first_of(outcome.ordinal), end = layers_.end_of(outcome.ordinal);
    used_.assign(end - first, 0);
    for (const ExpertKey key : outcome.activated) used_[key - first] = 1;
    for (ExpertKey key = first; key < end; ++key) {
      const double loss = rows_.holds(key) ? step_.loss : step_.loss_absent;
      priority_[key] += used_[key - first] != 0 ? step_.gain : -loss;
    }
  }
  void begin_batch(std::uint32_t, std::span<const ExpertKey> activated) {
    for (const ExpertKey key : activated) last_use_[key] = ++clock_;
  }
  void miss(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) const {
    const ExpertKey lowest = rows_.lowest(domain, evictable, [this](ExpertKey key) {
      return std::pair<double, std::uint64_t>(priority_[key], last_use_[key]);
    });
    if (bypass_ && lowest != no_key && priority_[incoming] < priority_[lowest]) return incoming;
    return lowest;
  }
  void insert(std::uint32_t domain, ExpertKey key) { rows_.insert(domain, key); }
  void evict(std::uint32_t domain, ExpertKey key) { rows_.remove(domain, key); }

 private:
  PriorityStepParameters step_;
  CachedLayers layers_;
  ResidentRows rows_;
  std::vector<double> priority_;  // by key
  std::vector<std::uint64_t> last_use_;
  std::vector<std::uint8_t> used_;  // of the layer
  std::uint64_t clock_ = 0;
  bool bypass_;
};

}  // namespace

void register_priority_step(EvictionRegistry& registry) {
  Fields<PriorityStepParameters> fields;
  const pregate::Range steps{0, 1e6, "from 0 to 1000000"};
  fields.add("gain", &PriorityStepParameters::gain, "of an expert that is used", steps);
  fields.add("loss", &PriorityStepParameters::loss, "of one that is there and not used", steps);
  fields.add("loss_absent", &PriorityStepParameters::loss_absent, "of one that is not there and not used",
             steps);
  registry
      .add<PriorityStep>("priority-step",
                         "evicts the expert of the lowest priority, which rises by use and falls without")
      .parameters = sim::PartParameters(fields);
}

}  // namespace pregate::cache
