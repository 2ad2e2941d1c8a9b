// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/line_chart.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace pregate::cli {

namespace {

namespace svg = validation::svg;

constexpr std::array colours{svg::blue,   svg::vermilion, svg::green, svg::orange,
                             svg::purple, svg::sky,       svg::black};

struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -low, most = 0;
};

Extent extent_of(const std::vector<Series>& series) {
  Extent extent;
  for (const Series& each : series) {
    for (const ChartPoint& point : each.points) {
      extent.low = std::min(extent.low, point.x);
      extent.high = std::max(extent.high, point.x);
      extent.most = std::max(extent.most, point.y);
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

}  // namespace

const char* policy_colour(std::size_t policy) { return colours[policy % colours.size()]; }
bool is_hollow(std::size_t policy) { return policy >= colours.size(); }

std::string line_chart(const ChartWords& words, const std::vector<Series>& series, bool is_joined,
                       const std::vector<Rule>& rules, const std::vector<ChartPoint>& front) {
  const Extent extent = extent_of(series);
  if (extent.high < extent.low) return {};
  constexpr double width = 860, left = 64, right = 240, top = 44;
  const double rows = 20 * static_cast<double>(series.size());
  const double height = std::max(380.0, top + rows + 60), bottom = height - 54;
  const bool is_wide = extent.high > extent.low;
  const svg::Axis x{is_wide ? extent.low : extent.low - 1, is_wide ? extent.high : extent.high + 1, left,
                    width - right, false};
  const svg::Axis y{0, extent.most > 0 ? extent.most * 1.06 : 1, bottom, top, false};
  std::string picture = svg::begin(width, height, words.title) +
                        svg::text(8, 18, words.title, "start", "font-size=\"14\" font-weight=\"bold\"") +
                        svg::text(8, 34, words.y, "start") + grid_of(x, y) +
                        svg::text((x.from + x.to) / 2, bottom + 36, words.x, "middle");
  for (const Rule& rule : rules) {
    picture += svg::line(x.at(rule.x), top, x.at(rule.x), bottom, svg::axis_grey, 1);
    picture += svg::text(x.at(rule.x), top - 4, rule.label, "middle");
  }
  for (std::size_t at = 1; at < front.size(); ++at) {
    picture += svg::line(x.at(front[at - 1].x), y.at(front[at - 1].y), x.at(front[at].x), y.at(front[at].y),
                         svg::axis_grey, 1.5);
  }
  const double radius = is_joined ? 3 : 2.5;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const std::vector<ChartPoint>& points = series[i].points;
    for (std::size_t at = 0; at < points.size(); ++at) {
      if (is_joined && at > 0) {
        picture += svg::line(x.at(points[at - 1].x), y.at(points[at - 1].y), x.at(points[at].x),
                             y.at(points[at].y), policy_colour(i), 1.5);
      }
      picture += svg::dot(x.at(points[at].x), y.at(points[at].y), policy_colour(i), is_hollow(i), radius,
                          points[at].tip);
    }
    const double row = top + 12 + 20 * static_cast<double>(i);
    picture += svg::dot(width - right + 20, row - 4, policy_colour(i), is_hollow(i), 4) +
               svg::text(width - right + 30, row, series[i].name, "start");
  }
  return picture + svg::end;
}

}  // namespace pregate::cli
