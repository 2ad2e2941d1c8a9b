// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/engine/operation_observer.hpp"
#include "sim/serve/pass_observer.hpp"

namespace pregate::sim {

/// What a host program may add to the books of a run (SimulationOptions::observers): operations and passes,
/// each once. A run that is observed puts every operation together, as one that is recorded does.
class Observer : public OperationObserver, public PassObserver {
 public:
  void ran(std::span<const Row>, Picoseconds, Picoseconds) override {}
};

/// They as an executor is told of them.
inline OperationObservers of_operations(const std::vector<Observer*>& observers) {
  return {observers.begin(), observers.end()};
}

}  // namespace pregate::sim
