// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "validation/report/chart.hpp"

namespace pregate::cli {

/// Colours of policies, in their order; those after the last are hollow.
const char* policy_colour(std::size_t policy);
bool is_hollow(std::size_t policy);

/// A point of a chart; `tip` is shown by a browser that points at it.
struct ChartPoint {
  double x = 0, y = 0;
  std::string tip;
};
struct Series {
  std::string name;
  std::vector<ChartPoint> points;
};
/// An upright rule with a word above it.
struct Rule {
  double x = 0;
  std::string label;
};

/// What a chart of points says beside them.
struct ChartWords {
  std::string title, x, y;
};

/// From 0 to the largest value on y, from the smallest to the largest on x; points of a series in their
/// order, joined or not; names at the right; `front`: a line under them. Empty where no series has a point.
/// SVG.
std::string line_chart(const ChartWords& words, const std::vector<Series>& series, bool is_joined,
                       const std::vector<Rule>& rules = {}, const std::vector<ChartPoint>& front = {});

}  // namespace pregate::cli
