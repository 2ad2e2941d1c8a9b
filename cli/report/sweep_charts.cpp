// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/sweep_charts.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "sim/report/text_table.hpp"

namespace pregate::cli {

namespace {

namespace svg = validation::svg;
using sim::three_digits;

std::string label_of(const SweptPoints::Axis& axis) {
  return axis.key + (axis.unit.empty() ? "" : ", " + axis.unit);
}

/// By policy and value of an axis the point with the most of a figure.
using BestAt = std::vector<std::map<double, const SweptPoint*>>;

BestAt best_along(const SweptPoints& swept, std::size_t axis, double SweptPoint::*figure) {
  BestAt best(swept.policies.size());
  for (const SweptPoint& point : swept.points) {
    if (std::isnan(point.*figure)) continue;
    const SweptPoint*& known = best[point.policy][point.numbers[axis]];
    if (known == nullptr || point.*figure > known->*figure) known = &point;
  }
  return best;
}

/// A line a policy; of a sample its points as they are.
std::vector<Series> series_along(const SweptPoints& swept, std::size_t axis, double SweptPoint::*figure,
                                 const std::function<ChartPoint(const SweptPoint&)>& drawn) {
  std::vector<Series> series;
  for (const std::string& policy : swept.policies) series.push_back({policy, {}});
  const auto add = [&](const SweptPoint& point) { series[point.policy].points.push_back(drawn(point)); };
  if (swept.is_sample) {
    for (const SweptPoint& point : swept.points)
      if (!std::isnan(point.*figure)) add(point);
  } else {
    for (const auto& by_value : best_along(swept, axis, figure))
      for (const auto& [value, point] : by_value) add(*point);
  }
  return series;
}

std::string said_of(const SweptPoints& swept, const SweptPoint& point, double value, const char* unit) {
  return swept.policies[point.policy] + ": " + three_digits(value) + unit + " at " +
         settings_of(swept, point);
}

bool has_range(const SweptPoint& point) {
  return !std::isnan(point.least_tokens_per_s) && !std::isnan(point.most_tokens_per_s);
}

/// With the range to expect.
std::string rate_said_of(const SweptPoints& swept, const SweptPoint& point) {
  return said_of(swept, point, point.tokens_per_s, " tokens/s") +
         (has_range(point) ? "; to expect: " + three_digits(point.least_tokens_per_s) + " to " +
                                 three_digits(point.most_tokens_per_s)
                           : "");
}

const char* beside(const SweptPoints& swept) {
  return swept.is_sample ? "; a dot a sample" : swept.axes.size() > 1 ? "; other settings at their best" : "";
}

std::string names_of(const SweptPoints& swept, const std::vector<std::size_t>& policies) {
  std::string names;
  for (const std::size_t policy : policies) names += (names.empty() ? "" : ", ") + swept.policies[policy];
  return names;
}

/// Viridis, in five steps joined by straight lines: told apart with colour-blindness and in grey.
std::string shade(double share) {
  constexpr int steps[5][3]{{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}};
  const double at = share > 0 ? std::min(share, 1.0) * 4 : 0;  // nothing is there to be a share of
  const int low = std::min(3, static_cast<int>(at));
  std::string colour = "rgb(";
  for (int i = 0; i < 3; ++i) {
    const double value = steps[low][i] + (at - low) * (steps[low + 1][i] - steps[low][i]);
    colour += (i == 0 ? "" : ",") + std::to_string(std::lround(value));
  }
  return colour + ")";
}

struct Grid {
  std::vector<double> across, upward;  ///< values, ascending
  /// By policy, upward and across; nullptr: no point there has figures.
  std::vector<std::vector<std::vector<const SweptPoint*>>> best;
};

std::vector<double> values_of(const SweptPoints& swept, std::size_t axis) {
  std::vector<double> values;
  for (const SweptPoint& point : swept.points) values.push_back(point.numbers[axis]);
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

Grid grid_of(const SweptPoints& swept, std::size_t across, std::size_t upward) {
  Grid grid{values_of(swept, across), values_of(swept, upward), {}};
  grid.best.assign(swept.policies.size(),
                   std::vector<std::vector<const SweptPoint*>>(
                       grid.upward.size(), std::vector<const SweptPoint*>(grid.across.size())));
  const auto place = [](const std::vector<double>& values, double value) {
    return static_cast<std::size_t>(std::lower_bound(values.begin(), values.end(), value) - values.begin());
  };
  for (const SweptPoint& point : swept.points) {
    const SweptPoint*& known = grid.best[point.policy][place(grid.upward, point.numbers[upward])]
                                        [place(grid.across, point.numbers[across])];
    if (known == nullptr || point.tokens_per_s > known->tokens_per_s) known = &point;
  }
  return grid;
}

/// Cells with the values of both axes beside them; `colour_at` gives a cell's colour and tip, or an empty
/// colour.
template <typename ColourAt>
std::string map_of(const Grid& grid, const ChartWords& words, const std::string& legend, ColourAt colour_at) {
  constexpr double width = 860, left = 84, right = 240, top = 44, least = 5, most = 22;
  const double columns = static_cast<double>(grid.across.size()),
               rows = static_cast<double>(grid.upward.size());
  const double cell_width = (width - left - right) / columns;
  const double cell_height = std::clamp(260 / rows, least, most);
  const double bottom = top + rows * cell_height, height = std::max(bottom + 50, 200.0);
  std::string picture = svg::begin(width, height, words.title) +
                        svg::text(8, 18, words.title, "start", "font-size=\"14\" font-weight=\"bold\"") +
                        svg::text(8, 34, words.y, "start") +
                        svg::text((left + width - right) / 2, bottom + 36, words.x, "middle") + legend;
  for (std::size_t row = 0; row < grid.upward.size(); ++row) {
    const double y = bottom - static_cast<double>(row + 1) * cell_height;
    for (std::size_t column = 0; column < grid.across.size(); ++column) {
      const auto [colour, tip] = colour_at(row, column);
      if (colour.empty()) continue;
      picture += svg::bar(left + static_cast<double>(column) * cell_width, y, cell_width + 0.4,
                          cell_height + 0.4, colour, tip);
    }
  }
  const auto every = [](double count, double room) {
    return static_cast<std::size_t>(std::max(1.0, std::ceil(count / room)));
  };
  for (std::size_t i = 0; i < grid.across.size(); i += every(columns, (width - left - right) / 56))
    picture += svg::text(left + (static_cast<double>(i) + 0.5) * cell_width, bottom + 16,
                         svg::label_of(grid.across[i]), "middle");
  for (std::size_t i = 0; i < grid.upward.size(); i += every(rows, rows * cell_height / 14))
    picture += svg::text(left - 6, bottom - (static_cast<double>(i) + 0.5) * cell_height + 4,
                         svg::label_of(grid.upward[i]), "end");
  return picture + svg::end;
}

std::string legend_of_shades(double most) {
  constexpr double x = 660, top = 60, step = 6;
  std::string legend;
  for (int i = 0; i < 20; ++i) legend += svg::bar(x, top + (19 - i) * step, 14, step + 0.4, shade(i / 19.0));
  return legend + svg::text(x + 20, top + 10, three_digits(most) + " tokens/s", "start") +
         svg::text(x + 20, top + 20 * step, "0", "start");
}

std::string best_map(const SweptPoints& swept, const Grid& grid, const ChartWords& words) {
  std::string legend;
  for (std::size_t i = 0; i < swept.policies.size(); ++i) {
    const double row = 60 + 20 * static_cast<double>(i);
    legend +=
        svg::bar(660, row - 9, 10, 10, policy_colour(i)) + svg::text(676, row, swept.policies[i], "start");
  }
  return map_of(grid, words, legend, [&](std::size_t row, std::size_t column) {
    const SweptPoint* best = nullptr;
    for (const auto& of_policy : grid.best) {
      const SweptPoint* const point = of_policy[row][column];
      if (point != nullptr && (best == nullptr || point->tokens_per_s > best->tokens_per_s)) best = point;
    }
    if (best == nullptr) return std::pair<std::string, std::string>();
    return std::pair(std::string(policy_colour(best->policy)),
                     swept.policies[best->policy] + ": " + three_digits(best->tokens_per_s) +
                         " tokens/s at " + settings_of(swept, *best));
  });
}

}  // namespace

std::string rates_along_axis(const SweptPoints& swept, std::size_t axis, const std::vector<Rule>& rules) {
  const auto drawn = [&](const SweptPoint& point) {
    return ChartPoint{point.numbers[axis], point.tokens_per_s, rate_said_of(swept, point),
                      point.least_tokens_per_s, point.most_tokens_per_s};
  };
  return line_chart({.words = {"Tokens/s along " + swept.axes[axis].key + beside(swept),
                               label_of(swept.axes[axis]), "tokens/s"},
                     .series = series_along(swept, axis, &SweptPoint::tokens_per_s, drawn),
                     .is_joined = !swept.is_sample,
                     .rules = rules});
}

std::string hits_along_axis(const SweptPoints& swept, std::size_t axis, const HitBounds& bounds) {
  const auto drawn = [&](const SweptPoint& point) {
    const double hits = 100 * point.hit_rate;
    return ChartPoint{point.numbers[axis], hits, said_of(swept, point, hits, " % hits")};
  };
  std::vector<Series> series = series_along(swept, axis, &SweptPoint::hit_rate, drawn);
  for (const HitBounds::Line& line : bounds.lines) {
    Series bound{
        "Belady bound" + (bounds.lines.size() > 1 ? ": " + names_of(swept, line.policies) : ""), {}, true};
    for (const auto& [capacity, rate] : line.rates)
      bound.points.push_back({capacity, 100 * rate,
                              "Belady: at most " + three_digits(100 * rate) + " % hits at " +
                                  three_digits(capacity) + " " + swept.axes[axis].unit + " of " +
                                  names_of(swept, line.policies)});
    series.push_back(std::move(bound));
  }
  return line_chart(
      {.words = {"Hits along " + swept.axes[axis].key + beside(swept), label_of(swept.axes[axis]),
                 "% hits: activated experts that are there already"},
       .series = std::move(series),
       .is_joined = !swept.is_sample});
}

std::string memory_of_points(const SweptPoints& swept) {
  std::vector<Series> series;
  for (const std::string& policy : swept.policies) series.push_back({policy, {}});
  std::vector<const SweptPoint*> by_memory;
  for (const SweptPoint& point : swept.points)
    if (!std::isnan(point.gpu_gib)) by_memory.push_back(&point);
  std::stable_sort(by_memory.begin(), by_memory.end(), [](const SweptPoint* a, const SweptPoint* b) {
    return a->gpu_gib != b->gpu_gib ? a->gpu_gib < b->gpu_gib : a->tokens_per_s > b->tokens_per_s;
  });
  // Of a policy at one amount of memory the fastest stands for all: the others only hide each other.
  std::map<std::pair<std::size_t, double>, const SweptPoint*> fastest;
  for (const SweptPoint* point : by_memory) fastest.emplace(std::pair(point->policy, point->gpu_gib), point);
  const auto drawn = [&](const SweptPoint& point) {
    return ChartPoint{point.gpu_gib, point.tokens_per_s,
                      swept.policies[point.policy] + ": " + three_digits(point.tokens_per_s) + " tokens/s, " +
                          three_digits(point.gpu_gib) + " GiB at " + settings_of(swept, point),
                      point.least_tokens_per_s, point.most_tokens_per_s};
  };
  for (const auto& [key, point] : fastest) {
    ChartPoint dot = drawn(*point);
    dot.least = dot.most = std::numeric_limits<double>::quiet_NaN();  // of the front alone
    series[point->policy].points.push_back(std::move(dot));
  }
  std::vector<ChartPoint> front;
  for (const SweptPoint* point : by_memory)
    if (front.empty() || point->tokens_per_s > front.back().y) front.push_back(drawn(*point));
  return line_chart({.words = {"GPU memory against tokens/s; the line: what nothing beats in both",
                               "GPU memory at its peak, GiB", "tokens/s"},
                     .series = std::move(series),
                     .front = std::move(front)});
}

std::string heat_maps(const SweptPoints& swept, std::size_t across, std::size_t upward) {
  const Grid grid = grid_of(swept, across, upward);
  constexpr std::size_t widest = 110, highest = 60, most_policies = 8;
  if (grid.across.size() < 2 || grid.upward.size() < 2 || grid.across.size() > widest ||
      grid.upward.size() > highest)
    return {};
  double most = 0;
  for (const SweptPoint& point : swept.points) most = std::max(most, point.tokens_per_s);
  const char* const others = swept.axes.size() > 2 ? "; other settings at their best" : "";
  const std::string x = label_of(swept.axes[across]), y = label_of(swept.axes[upward]);
  std::string pictures;
  if (swept.policies.size() > 1)
    pictures += best_map(swept, grid, {std::string("The policy with the most tokens/s") + others, x, y});
  for (std::size_t policy = 0; policy < std::min(swept.policies.size(), most_policies); ++policy) {
    pictures += map_of(
        grid, {"Tokens/s of " + swept.policies[policy] + others, x, y}, legend_of_shades(most),
        [&](std::size_t row, std::size_t column) {
          const SweptPoint* const point = grid.best[policy][row][column];
          if (point == nullptr) return std::pair<std::string, std::string>();
          return std::pair(shade(point->tokens_per_s / most),
                           three_digits(point->tokens_per_s) + " tokens/s at " + settings_of(swept, *point));
        });
  }
  return pictures;
}

}  // namespace pregate::cli
