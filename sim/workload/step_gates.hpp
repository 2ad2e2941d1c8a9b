// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// What caches that watch are told of the steps of a trace, one after the other.
class StepGates {
 public:
  explicit StepGates(const ExpertMap& map);

  /// The next step, whose views are read until the one after.
  cache::PassStart load(const trace::Step& step);
  /// Of its layer `ordinal`; `routing` is the step's.
  [[nodiscard]] cache::GateOutcome outcome(int ordinal, const StepRouting& routing) const;

 private:
  const ExpertMap& map_;
  std::vector<std::size_t>
      entries_before_;         // by ordinal: routed places of a token in earlier layers of its stack
  std::uint64_t batches_ = 0;  // of the steps before
  trace::Step step_;
};

}  // namespace pregate::sim
