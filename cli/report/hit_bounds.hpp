// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/report/sweep_points.hpp"

namespace pregate::cli {

/// The most hits that caches of a sweep's capacities can have (sim/run/hit_bound.hpp).
struct HitBounds {
  /// Of policies whose caches hold alike, whatever leaves them.
  struct Line {
    std::vector<std::size_t> policies;  ///< of SweptPoints::policies
    std::map<double, double> rates;     ///< by the number of the capacity: 0 to 1, the most of its settings
    bool operator==(const Line&) const = default;
  };
  std::vector<Line> lines;
  std::vector<std::string> missing;  ///< where there is no bound, and why; for people
};

/// Along `axis` of the sweep, whose values are cache capacities: replays its traces, on so many threads.
HitBounds hit_bounds(const SweepInputs& inputs, const SweptPoints& swept, std::size_t axis, int threads);

}  // namespace pregate::cli
