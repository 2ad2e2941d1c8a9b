// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "models/kernel_times.hpp"

namespace pregate::validation {

/// One measured experts operation: `experts` experts with `tokens_each` tokens each.
struct ExpertLayerSample {
  int tokens_each = 0, experts = 0;
  double seconds = 0;
};

/// The runtime computes experts one after another: a layer takes fixed + the sum over its experts of
/// time(tokens of the expert). Least squares of the relative errors over all samples, with fixed >= 0. What
/// grows in proportion to the tokens of the step (routing tables, shared experts) ends up in the experts'
/// times, as their tokens always add up to the same number. `points` and `fixed` of the result are set; no
/// sample may be 0 s, and there must be one.
KernelTimes fit_expert_times(const std::vector<ExpertLayerSample>& samples);

}  // namespace pregate::validation
