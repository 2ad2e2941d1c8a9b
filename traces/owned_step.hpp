// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "traces/trace.hpp"

namespace pregate::trace {

/// A step that owns its entries; `step` views nothing.
struct OwnedStep {
  Step step;
  std::vector<std::uint16_t> experts, predicted;
  std::vector<float> weights;

  explicit OwnedStep(const Step& given)
      : step(given),
        experts(given.experts.begin(), given.experts.end()),
        predicted(given.predicted.begin(), given.predicted.end()),
        weights(given.weights.begin(), given.weights.end()) {
    step.experts = step.predicted = {};
    step.weights = {};
    step.parts = {};
  }
};

}  // namespace pregate::trace
