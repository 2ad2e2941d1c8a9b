// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/result_charts.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/report/text_table.hpp"
#include "validation/report/chart.hpp"

namespace pregate::cli {

namespace {

namespace svg = validation::svg;
using sim::three_digits;
using svg::Axis;

constexpr double width = 860, right = 60, row_height = 24, character = 7.2;
constexpr const char* research_grey = "#cfd8dc";

double left_of(const std::vector<Charted>& runs) {
  std::size_t longest = 0;
  for (const Charted& run : runs) longest = std::max(longest, run.name.size());
  return 16 + character * static_cast<double>(std::min<std::size_t>(longest, 40));
}

std::string title_of(const std::string& words) {
  return svg::text(8, 18, words, "start", "font-size=\"14\" font-weight=\"bold\"");
}

std::string vertical_rules(const Axis& x, double top, double bottom, const std::string& unit) {
  std::string picture;
  for (const double tick : x.ticks()) {
    picture += svg::line(x.at(tick), top, x.at(tick), bottom, svg::rule_grey, 1);
    picture += svg::text(x.at(tick), bottom + 16, svg::label_of(tick), "middle");
  }
  return picture + svg::text((x.from + x.to) / 2, bottom + 34, unit, "middle");
}

const char* colour_of(sim::Limit limit) {
  using sim::Limit;
  switch (limit) {
    case Limit::gpu_arithmetic:
      return svg::green;
    case Limit::gpu_memory:
      return svg::sky;
    case Limit::kernels:
      return "#a6d854";
    case Limit::launches:
      return svg::purple;
    case Limit::link:
      return svg::vermilion;
    case Limit::device_copies:
      return "#f4b183";
    case Limit::host_memory:
      return svg::orange;
    case Limit::cpu_arithmetic:
      return svg::blue;
    case Limit::gate:
      return "#8c8c8c";
    case Limit::waiting:
      return "#d9d9d9";
    case Limit::drive:
      return svg::black;
    case Limit::exchanges:
      return "#8c564b";
  }
  return svg::black;
}

std::string in_words(sim::Limit limit) {
  std::string words = to_string(limit);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

}  // namespace

std::string rates_chart(const std::vector<Charted>& runs) {
  double most = 0;
  for (const Charted& run : runs) most = std::max({most, run.rate, run.range.most});
  const double left = left_of(runs), top = 34, bottom = top + row_height * static_cast<double>(runs.size());
  const Axis x{0, most > 0 ? most * 1.04 : 1, left, width - right, false};
  std::string picture = svg::begin(width, bottom + 44, "tokens/s of each policy") +
                        title_of("Tokens/s while it answers; whiskers: the range to expect") +
                        vertical_rules(x, top, bottom, "tokens/s");
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Charted& run = runs[i];
    const double y = top + row_height * static_cast<double>(i) + 4, middle = y + (row_height - 8) / 2;
    picture += svg::text(left - 6, middle + 4, run.name, "end");
    picture +=
        svg::bar(left, y, x.at(run.rate) - left, row_height - 8, run.is_research ? research_grey : svg::sky);
    if (run.range.exists()) {
      picture += svg::line(x.at(run.range.least), middle, x.at(run.range.most), middle, svg::axis_grey, 1.5);
      for (const double at : {run.range.least, run.range.most})
        picture += svg::line(x.at(at), middle - 4, x.at(at), middle + 4, svg::axis_grey, 1.5);
    }
    picture +=
        svg::text(width - right + 6, middle + 4, three_digits(run.rate), "start", "font-weight=\"bold\"");
  }
  return picture + svg::end;
}

std::string time_chart(const std::vector<Charted>& runs) {
  std::array<double, sim::limit_count> most{};
  for (const Charted& run : runs) {
    for (std::size_t i = 0; i < most.size(); ++i) most[i] = std::max(most[i], run.limits.share[i]);
  }
  constexpr double visible = 0.005;  // a share of the time
  const double left = left_of(runs);
  double legend_x = 8, legend_y = 38;
  std::string legend;
  for (std::size_t i = 0; i < most.size(); ++i) {
    if (most[i] < visible) continue;
    const auto limit = static_cast<sim::Limit>(i);
    const std::string words = in_words(limit);
    const double room = 30 + 7 * static_cast<double>(words.size());
    if (legend_x + room > width) {
      legend_x = 8;
      legend_y += 18;
    }
    legend += svg::bar(legend_x, legend_y - 9, 10, 10, colour_of(limit)) +
              svg::text(legend_x + 14, legend_y, words, "start");
    legend_x += room;
  }
  const double top = legend_y + 14, bottom = top + row_height * static_cast<double>(runs.size());
  const Axis x{0, 100, left, width - right, false};
  std::string picture = svg::begin(width, bottom + 44, "where the time goes, by policy") +
                        title_of("Where the time goes: what bounds the critical path") + legend +
                        vertical_rules(x, top, bottom, "% of the time");
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const double y = top + row_height * static_cast<double>(i) + 4;
    picture += svg::text(left - 6, y + (row_height - 8) / 2 + 4, runs[i].name, "end");
    double from = 0;
    for (std::size_t part = 0; part < most.size(); ++part) {
      const double share = 100 * runs[i].limits.share[part];
      if (share <= 0) continue;
      picture += svg::bar(x.at(from), y, x.at(from + share) - x.at(from), row_height - 8,
                          colour_of(static_cast<sim::Limit>(part)));
      from += share;
    }
  }
  return picture + svg::end;
}

std::vector<const Charted*> pareto_front(const std::vector<Charted>& runs) {
  std::vector<const Charted*> by_memory, front;
  for (const Charted& run : runs) by_memory.push_back(&run);
  std::stable_sort(by_memory.begin(), by_memory.end(), [](const Charted* a, const Charted* b) {
    return a->gpu_gib != b->gpu_gib ? a->gpu_gib < b->gpu_gib : a->rate > b->rate;
  });
  for (const Charted* run : by_memory) {
    if (front.empty() || run->rate > front.back()->rate) front.push_back(run);
  }
  return front;
}

std::string memory_chart(const std::vector<Charted>& runs) {
  double most_memory = 0, most_rate = 0;
  for (const Charted& run : runs) {
    most_memory = std::max(most_memory, run.gpu_gib);
    most_rate = std::max(most_rate, run.rate);
  }
  constexpr double height = 340, top = 34, bottom = height - 54, left = 60;
  const Axis x{0, most_memory > 0 ? most_memory * 1.08 : 1, left, width - 160, false};
  const Axis y{0, most_rate > 0 ? most_rate * 1.08 : 1, bottom, top, false};
  std::string picture = svg::begin(width, height, "GPU memory against tokens/s") +
                        title_of("GPU memory against tokens/s; the line: what nothing beats in both") +
                        vertical_rules(x, top, bottom, "GPU memory at its peak, GiB");
  for (const double tick : y.ticks()) {
    picture += svg::line(left, y.at(tick), width - 160, y.at(tick), svg::rule_grey, 1);
    picture += svg::text(left - 6, y.at(tick) + 4, svg::label_of(tick), "end");
  }
  const std::vector<const Charted*> front = pareto_front(runs);
  for (std::size_t i = 1; i < front.size(); ++i) {
    picture += svg::line(x.at(front[i - 1]->gpu_gib), y.at(front[i - 1]->rate), x.at(front[i]->gpu_gib),
                         y.at(front[i]->rate), svg::vermilion, 1.5);
  }
  std::vector<std::pair<double, double>> labels;  // a name is left out where another one stands
  for (const Charted& run : runs) {
    const bool is_best = std::find(front.begin(), front.end(), &run) != front.end();
    const double at_x = x.at(run.gpu_gib), at_y = y.at(run.rate);
    picture += svg::dot(
        at_x, at_y, is_best ? svg::vermilion : svg::blue, !is_best, 4,
        run.name + ": " + three_digits(run.rate) + " tokens/s, " + three_digits(run.gpu_gib) + " GiB");
    const bool is_free = std::none_of(labels.begin(), labels.end(), [&](const auto& label) {
      return std::abs(label.first - at_x) < 150 && std::abs(label.second - at_y) < 13;
    });
    if (!is_free) continue;
    picture += svg::text(at_x + 8, at_y + 4, run.name, "start");
    labels.emplace_back(at_x, at_y);
  }
  return picture + svg::end;
}

}  // namespace pregate::cli
