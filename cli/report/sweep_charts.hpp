// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/report/sweep_points.hpp"

namespace pregate::cli {

/// A line a policy: the most tokens/s at each value of the axis, whatever the other settings; of a sample a
/// dot a point. Precondition: the axis is of numbers. SVG.
std::string rates_along_axis(const SweptPoints& swept, std::size_t axis);
/// The same of hit rates, in %, of policies that have any.
std::string hits_along_axis(const SweptPoints& swept, std::size_t axis);
/// GPU memory against tokens/s, a dot a point and a line through those that nothing beats in both.
std::string memory_of_points(const SweptPoints& swept);

/// Two axes of numbers on a grid: which policy is the best where, then the most tokens/s of each policy.
/// Empty where an axis has too many values to be told apart.
std::string heat_maps(const SweptPoints& swept, std::size_t across, std::size_t upward);

}  // namespace pregate::cli
