// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "sim/planner/plan.hpp"
#include "sim/workload/step_gates.hpp"

namespace pregate::sim {

/// Looks passes up in the cache of a plan, for who wants only how many hit.
class PassLookups {
 public:
  /// Precondition: the plan has a cache. Both outlive this.
  PassLookups(const ExpertMap& map, const Plan& plan)
      : map_(map),
        counter_(plan.make_counter()),
        gates_(map),
        watches_(plan.cache_watches),
        of_each_layer_(plan.policy.cache.scope == CacheScope::layer) {}

  /// Of the layers of the step's stack, the hits of each.
  void count(const trace::Step& step, const StepRouting& routing, std::uint32_t* hits) {
    const auto [first, last] = map_.ordinals(step.stack);
    const std::span<const cache::BatchRange> batches = routing.ranges(first, last);
    if (!watches_) {
      counter_->count(static_cast<std::uint32_t>(first), routing.all_keys(), batches, hits);
      return;
    }
    counter_->begin_pass(gates_.load(step));
    for (int ordinal = first; ordinal < last; ++ordinal) {
      counter_->gate(gates_.outcome(ordinal, routing));
      counter_->count(of_each_layer_ ? static_cast<std::uint32_t>(ordinal) : 0U, routing.all_keys(),
                      batches.subspan(static_cast<std::size_t>(ordinal - first), 1), hits++);
    }
  }
  /// Experts that change places after the pass. Valid until the next call.
  std::span<const cache::Swap> end_pass() {
    return watches_ ? counter_->end_pass() : std::span<const cache::Swap>{};
  }

 private:
  const ExpertMap& map_;
  std::unique_ptr<cache::HitCounter> counter_;
  StepGates gates_;
  bool watches_, of_each_layer_;
};

}  // namespace pregate::sim
