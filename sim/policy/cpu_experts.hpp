// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/cost/cost_model.hpp"
#include "sim/engine/request.hpp"
#include "sim/policy/split_set.hpp"

namespace pregate::sim {

/// Experts that the CPU computes, and the credit that this earns: a copy in the background is paid with as
/// much CPU work as it takes, so that such copies do not pile up on the link.
template <class Executor>
class CpuExperts {
 public:
  using Handle = typename Executor::Handle;
  using Dependencies = typename Executor::Dependencies;

  CpuExperts(const CostModel& costs, Executor& executor) : costs_(costs), executor_(executor) {}

  /// Issues the computation of `experts`, not empty, with the activations on their way there and back. The
  /// result is on the GPU when the returned operation is done.
  Handle compute(const SplitSet& experts, int layer, int layer_class, const Handle& ids_known) {
    const auto issue = [&](OpKind kind, StreamId stream, const CopyCost& cost, std::int32_t count,
                           const Dependencies& after) {
      return executor_.issue({.kind = kind,
                              .stream = stream,
                              .duration = cost.duration,
                              .copy = &cost,
                              .layer = layer,
                              .count = count},
                             after);
    };
    Dependencies after_ids, after_sent, after_work;
    after_ids.add(ids_known);
    const Handle sent = issue(OpKind::activations, StreamId::d2h, costs_.activations_out(), 0, after_ids);
    after_sent.add_copy(sent);
    const auto count = static_cast<std::int32_t>(experts.keys().size());
    const CopyCost work = costs_.cpu_experts(layer_class, count, experts.routed());
    const Handle done = issue(OpKind::cpu_experts, StreamId::cpu, work, count, after_sent);
    after_work.add(done);
    // Nobody gains by more than a copy of each miss of a layer.
    credit_ = std::min(credit_ + work.duration, costs_.fetch_train() * count);
    return issue(OpKind::activations, StreamId::cpu, costs_.activations_back(), 0, after_work);
  }

  /// Pays for the copy of one expert; false when the credit does not reach.
  bool take_credit() {
    if (credit_ < costs_.fetch_train()) return false;
    credit_ = credit_ - costs_.fetch_train();
    return true;
  }

 private:
  const CostModel& costs_;
  Executor& executor_;
  Picoseconds credit_;
};

}  // namespace pregate::sim
