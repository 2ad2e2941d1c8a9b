// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/line_chart.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace pregate::cli {

namespace {

namespace svg = validation::svg;

constexpr std::array colours{svg::blue,   svg::vermilion, svg::green, svg::orange,
                             svg::purple, svg::sky,       svg::black};

bool has_range(const ChartPoint& point) { return !std::isnan(point.least) && !std::isnan(point.most); }

struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -low, most = 0;
};

Extent extent_of(const std::vector<Series>& series) {
  Extent extent;
  for (const Series& each : series) {
    for (const ChartPoint& point : each.points) {
      extent.low = std::min(extent.low, point.x);
      extent.high = std::max(extent.high, point.x);
      extent.most = std::max({extent.most, point.y, has_range(point) ? point.most : 0});
    }
  }
  return extent;
}

std::string grid_of(const svg::Axis& x, const svg::Axis& y) {
  std::string picture;
  for (const double tick : x.ticks()) {
    picture += svg::line(x.at(tick), y.to, x.at(tick), y.from, svg::rule_grey, 1);
    picture += svg::text(x.at(tick), y.from + 16, svg::label_of(tick), "middle");
  }
  for (const double tick : y.ticks()) {
    picture += svg::line(x.from, y.at(tick), x.to, y.at(tick), svg::rule_grey, 1);
    picture += svg::text(x.from - 6, y.at(tick) + 4, svg::label_of(tick), "end");
  }
  return picture;
}

/// Between the ranges of points that follow each other; a point without one parts it.
std::string bands_of(const std::vector<ChartPoint>& points, const svg::Axis& x, const svg::Axis& y,
                     const char* colour) {
  constexpr double opacity = 0.13;
  std::string picture;
  std::vector<svg::Corner> above, below;
  const auto end_band = [&] {
    std::vector<svg::Corner> corners = above;
    corners.insert(corners.end(), below.rbegin(), below.rend());
    if (above.size() > 1) picture += svg::area(corners, colour, opacity);
    above.clear();
    below.clear();
  };
  for (const ChartPoint& point : points) {
    if (!has_range(point)) {
      end_band();
      continue;
    }
    above.push_back({x.at(point.x), y.at(point.most)});
    below.push_back({x.at(point.x), y.at(point.least)});
  }
  end_band();
  return picture;
}

std::string joined(const std::vector<ChartPoint>& points, const svg::Axis& x, const svg::Axis& y,
                   const char* colour, const char* dashes = "") {
  std::string picture;
  for (std::size_t at = 1; at < points.size(); ++at)
    picture += svg::line(x.at(points[at - 1].x), y.at(points[at - 1].y), x.at(points[at].x),
                         y.at(points[at].y), colour, 1.5, dashes);
  return picture;
}

std::string dots(const std::vector<ChartPoint>& points, const svg::Axis& x, const svg::Axis& y,
                 std::size_t policy, bool is_joined) {
  constexpr double whisker = 0.6;
  std::string picture;
  for (const ChartPoint& point : points) {
    const double at = x.at(point.x);
    if (!is_joined && has_range(point))
      picture += svg::line(at, y.at(point.least), at, y.at(point.most), policy_colour(policy), whisker);
    picture +=
        svg::dot(at, y.at(point.y), policy_colour(policy), is_hollow(policy), is_joined ? 3 : 2.5, point.tip);
  }
  return picture;
}

constexpr const char* dashes_of_bounds = "6 4";

/// A row each, from `x` on, at the left, where a phone shows them before anybody scrolls.
std::string names_of(const LineChart& chart, double x, double top) {
  constexpr double row_height = 20;
  std::string picture;
  double row = top + 12;
  bool any_range = std::any_of(chart.front.begin(), chart.front.end(), has_range);
  for (std::size_t i = 0; i < chart.series.size(); ++i, row += row_height) {
    const Series& each = chart.series[i];
    any_range = any_range || std::any_of(each.points.begin(), each.points.end(), has_range);
    picture += each.is_bound ? svg::line(x - 6, row - 4, x + 7, row - 4, svg::black, 1.5, dashes_of_bounds)
                             : svg::dot(x, row - 4, policy_colour(i), is_hollow(i), 4);
    picture += svg::text(x + 12, row, each.name, "start");
  }
  const bool has_band = any_range && (chart.is_joined || !chart.front.empty());
  if (has_band)
    picture += svg::area({{x - 6, row - 10}, {x + 7, row - 10}, {x + 7, row + 2}, {x - 6, row + 2}},
                         svg::black, 0.13);
  else if (any_range)
    picture += svg::line(x, row - 10, x, row + 2, svg::axis_grey, 1);
  if (any_range) picture += svg::text(x + 12, row, "the range to expect", "start");
  return picture;
}

}  // namespace

const char* policy_colour(std::size_t policy) { return colours[policy % colours.size()]; }
bool is_hollow(std::size_t policy) { return policy >= colours.size(); }

std::string line_chart(const LineChart& chart) {
  Extent extent = extent_of(chart.series);
  if (extent.high < extent.low) return {};
  for (const ChartPoint& point : chart.front)
    if (has_range(point)) extent.most = std::max(extent.most, point.most);
  constexpr double width = 720, left = 64, right = 40, names_top = 24, plot = 290;
  const double top = names_top + 20 * static_cast<double>(chart.series.size() + 1) + 36;
  const double bottom = top + plot, height = bottom + 54;
  const bool is_wide = extent.high > extent.low;
  const svg::Axis x{is_wide ? extent.low : extent.low - 1, is_wide ? extent.high : extent.high + 1, left,
                    width - right, false};
  const svg::Axis y{0, extent.most > 0 ? extent.most * 1.06 : 1, bottom, top, false};
  const ChartWords& words = chart.words;
  std::string picture = svg::begin(width, height, words.title) +
                        svg::text(8, 18, words.title, "start", "font-size=\"14\" font-weight=\"bold\"") +
                        svg::text(8, top - 10, words.y, "start") + grid_of(x, y) +
                        svg::text((x.from + x.to) / 2, bottom + 36, words.x, "middle");
  for (const Rule& rule : chart.rules) {
    picture += svg::line(x.at(rule.x), top, x.at(rule.x), bottom, svg::axis_grey, 1);
    picture += svg::text(x.at(rule.x), top - 4, rule.label, "middle");
  }
  for (std::size_t i = 0; chart.is_joined && i < chart.series.size(); ++i)
    if (!chart.series[i].is_bound) picture += bands_of(chart.series[i].points, x, y, policy_colour(i));
  picture += bands_of(chart.front, x, y, svg::axis_grey) + joined(chart.front, x, y, svg::axis_grey);
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const Series& each = chart.series[i];
    if (each.is_bound) {
      picture += joined(each.points, x, y, svg::black, dashes_of_bounds);
      for (const ChartPoint& point : each.points)
        picture += svg::dot(x.at(point.x), y.at(point.y), svg::black, true, 1.5, point.tip);
      continue;
    }
    if (chart.is_joined) picture += joined(each.points, x, y, policy_colour(i));
    picture += dots(each.points, x, y, i, chart.is_joined);
  }
  return picture + names_of(chart, 20, names_top) + svg::end;
}

}  // namespace pregate::cli
