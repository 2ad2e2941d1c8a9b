// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/planner/plan.hpp"
#include "sim/workload/step_gates.hpp"

namespace pregate::sim {

/// Looks passes up in the cache of a plan that fetches whole layers: a copy for every expert that the cache
/// lacks. A layer that was announced is let go when its gate is known; one that nobody announced is wanted at
/// its own gate, before it is looked up, so that its residents may not leave for those of its experts that
/// come in (Lookahead::arrive()).
class WholeLayerLookups {
 public:
  /// Precondition: the plan has a cache of each layer. Both outlive this.
  WholeLayerLookups(const ExpertMap& map, const Plan& plan)
      : map_(map),
        cache_(plan.make_cache()),
        gates_(map),
        watches_(plan.cache_watches),
        residents_(map.layers().size()),
        lacked_(map.layers().size()) {
    for (std::size_t i = 0; i < residents_.size(); ++i) {
      for_residents(i, [&](cache::ExpertKey) { ++residents_[i]; });
    }
  }

  /// Of the layers of the step's stack, the hits of each; those from `first_announced` on were announced.
  void count(const trace::Step& step, const StepRouting& routing, int first_announced, std::uint32_t* hits) {
    const auto [first, last] = map_.ordinals(step.stack);
    if (watches_) cache_->begin_pass(gates_.load(step));
    for (int ordinal = first; ordinal < last; ++ordinal) {
      const auto layer = static_cast<std::size_t>(ordinal);
      lacked_[layer] = static_cast<std::uint32_t>(map_.layers()[layer].experts) - residents_[layer];
      if (watches_) cache_->gate(gates_.outcome(ordinal, routing));
      held_.clear();
      if (ordinal < first_announced) {
        for_residents(layer, [&](cache::ExpertKey key) { held_.push_back(key); });
      }
      for (const cache::ExpertKey key : held_) cache_->hold(key);
      *hits++ = cache_->access(static_cast<std::uint32_t>(ordinal), routing.activated(ordinal));
      for (const cache::ExpertKey key : held_) cache_->let_go(key);
      residents_[layer] += static_cast<std::uint32_t>(cache_->misses().size() - cache_->bypassed());
      residents_[layer] -= static_cast<std::uint32_t>(cache_->evicted().size());
    }
  }
  /// Experts of the layer that the cache lacked when it was last looked up.
  [[nodiscard]] std::uint32_t lacked(int ordinal) const { return lacked_[static_cast<std::size_t>(ordinal)]; }

 private:
  template <class Visit>
  void for_residents(std::size_t ordinal, Visit&& visit) const {
    const MoeLayer& layer = map_.layers()[ordinal];
    for (int i = 0; i < layer.experts; ++i) {
      const cache::ExpertKey key = layer.first_key + static_cast<cache::ExpertKey>(i);
      if (cache_->is_resident(key)) visit(key);
    }
  }

  const ExpertMap& map_;
  std::unique_ptr<cache::ExpertCache> cache_;
  StepGates gates_;
  bool watches_;
  std::vector<std::uint32_t> residents_, lacked_;  // by ordinal
  std::vector<cache::ExpertKey> held_;
};

}  // namespace pregate::sim
