// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "validation/report/chart.hpp"

namespace pregate::cli {

/// Colours of policies, in their order; those after the last are hollow.
const char* policy_colour(std::size_t policy);
bool is_hollow(std::size_t policy);

/// A point of a chart; `tip` is shown by a browser that points at it. Between `least` and `most` lies what to
/// expect; NaN: nobody knows.
struct ChartPoint {
  double x = 0, y = 0;
  std::string tip;
  double least = std::numeric_limits<double>::quiet_NaN(), most = least;
};
struct Series {
  std::string name;
  std::vector<ChartPoint> points;
  /// What the others cannot exceed: dashed in black, joined, after the series of policies.
  bool is_bound = false;
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

struct LineChart {
  ChartWords words;
  std::vector<Series> series;  ///< points of each in their order
  bool is_joined = false;
  std::vector<Rule> rules = {};
  std::vector<ChartPoint> front = {};  ///< a line under the series
};

/// From 0 to the largest value on y, from the smallest to the largest on x; names above at the left. Ranges
/// are bands of lines and of the front, whiskers of points that are not joined. Empty where no series has a
/// point. SVG.
std::string line_chart(const LineChart& chart);

}  // namespace pregate::cli
