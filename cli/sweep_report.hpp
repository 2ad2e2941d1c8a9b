// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/sweep_inputs.hpp"
#include "sim/sweep/crossings.hpp"
#include "sim/sweep/store.hpp"

namespace pregate::cli {

/// Of a sweep over several policies and one more axis: who is the best where.
struct BestAlong {
  std::string axis;
  std::vector<std::string> policies;
  std::vector<std::string> values;
  std::vector<sim::PolicyRates> rates;  ///< by value
  std::vector<sim::Reign> reigns;
};

/// What a sweep comes to.
struct SweepReport {
  std::string database;
  std::int64_t points = 0;
  std::vector<sim::PolicySummary> policies;
  std::optional<BestAlong> best_along;
  std::vector<std::string> without_effect;  ///< keys of axes
};

/// Nothing where the sweep is of another kind: a sample, one policy, no or several axes beside it. Simulates
/// points between those of the sweep where the best policy changes.
std::optional<BestAlong> find_best_along(const Parsed& parsed, const SweepInputs& inputs,
                                         sim::SweepStore& store, int threads);

/// Keys that a grid varies though every point has the same figures with each of their values.
std::vector<std::string> axes_without_effect(const SweepInputs& inputs, const sim::SweepStore& store);

std::string sweep_text(const SweepInputs& inputs, const SweepReport& report);
std::string sweep_json(const SweepReport& report);

}  // namespace pregate::cli
