// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/report/hit_bounds.hpp"
#include "cli/report/line_chart.hpp"
#include "cli/report/sweep_points.hpp"

namespace pregate::cli {

/// A line a policy: the most tokens/s at each value of the axis, whatever the other settings; of a sample a
/// dot a point. Each with the range to expect. Precondition: the axis is of numbers. SVG.
std::string rates_along_axis(const SweptPoints& swept, std::size_t axis, const std::vector<Rule>& rules);
/// The same of hit rates, in %, of policies that have any, and what they cannot exceed.
std::string hits_along_axis(const SweptPoints& swept, std::size_t axis, const HitBounds& bounds);
/// GPU memory against tokens/s, a dot a point and a line through those that nothing beats in both, with the
/// range to expect.
std::string memory_of_points(const SweptPoints& swept);

/// Two axes of numbers on a grid: which policy is the best where, then the most tokens/s of each policy.
/// Empty where an axis has too many values to be told apart.
std::string heat_maps(const SweptPoints& swept, std::size_t across, std::size_t upward);

}  // namespace pregate::cli
