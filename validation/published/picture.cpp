// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "validation/published/report.hpp"
#include "validation/report/chart.hpp"

namespace pregate::validation {

namespace {

using svg::Axis;

constexpr std::array colours = {svg::black,  svg::orange, svg::blue,     svg::green,
                                svg::purple, svg::sky,    svg::vermilion};
constexpr double width = 860, height = 340, left = 70, right = 20, top = 56, bottom = 60;

Axis value_axis(const std::vector<const Row*>& rows) {
  double low = 1e300, high = -1e300;
  for (const Row* row : rows) {
    for (const double value : {row->published, row->predicted}) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  Axis axis{0, high * 1.08, height - bottom, top, false};
  if (low > 0 && rows.front()->comparison == Comparison::ratio && high / low > 4) {
    axis = {low / 1.25, high * 1.25, height - bottom, top, true};
  }
  if (axis.high <= axis.low) axis.high = axis.low + 1;
  return axis;
}

std::string frame(const std::string& title, const Axis& y) {
  std::string picture = svg::begin(width, height, title);
  picture += svg::text(left, 18, title, "start", "font-size=\"14\" font-weight=\"bold\"");
  for (const double tick : y.ticks()) {
    picture += svg::line(left, y.at(tick), width - right, y.at(tick), svg::rule_grey, 1);
    picture += svg::text(left - 6, y.at(tick) + 4, svg::label_of(tick), "end");
  }
  return picture + svg::line(left, top, left, height - bottom, svg::axis_grey, 1) +
         svg::line(left, height - bottom, width - right, height - bottom, svg::axis_grey, 1);
}

/// A design has the same colour in every picture; other variants have the colour of their place.
const char* colour_of(const std::vector<std::string>& variants, std::size_t place) {
  static constexpr std::array designs = {"gpu-only", "on-demand", "prefetch-all", "pre-gated"};
  for (std::size_t i = 0; i < designs.size(); ++i) {
    if (variants[place].starts_with(designs[i])) return colours[i];
  }
  return colours[place % colours.size()];
}

template <typename Member>
std::vector<std::string> distinct(const std::vector<const Row*>& rows, Member member) {
  std::vector<std::string> values;
  for (const Row* row : rows) {
    if (std::find(values.begin(), values.end(), row->*member) == values.end()) {
      values.push_back(row->*member);
    }
  }
  return values;
}

std::string legend(const std::vector<std::string>& variants) {
  std::string picture;
  double x = left;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (variants[i].empty()) continue;
    const char* colour = colour_of(variants, i);
    picture += svg::bar(x, 30, 10, 10, colour);
    picture += svg::text(x + 14, 39, variants[i], "start");
    x += 34 + 7.0 * static_cast<double>(variants[i].size());
  }
  picture +=
      svg::dot(width - 300, 14, svg::axis_grey, false) + svg::text(width - 291, 18, "published", "start");
  picture +=
      svg::dot(width - 220, 14, svg::axis_grey, true) + svg::text(width - 211, 18, "fitted on", "start");
  picture += svg::line(width - 148, 14, width - 128, 14, svg::axis_grey, 2.5) +
             svg::text(width - 122, 18, "predicted", "start");
  return picture;
}

/// Groups side by side, as bar charts of papers have them: a group a subject, a place a design.
std::string grouped(const std::vector<const Row*>& rows, const std::string& title) {
  const Axis y = value_axis(rows);
  const auto subjects = distinct(rows, &Row::subject), variants = distinct(rows, &Row::variant);
  const double group = (width - left - right) / static_cast<double>(subjects.size());
  const double place = group * 0.8 / static_cast<double>(variants.size());
  std::string picture = frame(title, y) + legend(variants);
  for (std::size_t s = 0; s < subjects.size(); ++s) {
    const double from = left + group * static_cast<double>(s);
    std::string name = subjects[s];
    if (name.starts_with("switch-") && subjects.size() > 4) name.erase(0, 7);
    picture += svg::text(from + group / 2, height - bottom + 18, name, "middle");
    if (s > 0) picture += svg::line(from, top, from, height - bottom, "#eeeeee", 1);
  }
  for (const Row* row : rows) {
    const auto s = std::find(subjects.begin(), subjects.end(), row->subject) - subjects.begin();
    const auto v = std::find(variants.begin(), variants.end(), row->variant) - variants.begin();
    const char* colour = colour_of(variants, static_cast<std::size_t>(v));
    const double x = left + group * (static_cast<double>(s) + 0.1) + place * (static_cast<double>(v) + 0.5);
    picture +=
        svg::line(x - place * 0.4, y.at(row->predicted), x + place * 0.4, y.at(row->predicted), colour, 2.5);
    picture += svg::dot(x, y.at(row->published), colour, row->role == Role::calibrate);
  }
  return picture + svg::end;
}

/// Curves over tokens, bytes or budget.
std::string curves(std::vector<const Row*> rows, const std::string& title, const std::string& unit) {
  const Axis y = value_axis(rows);
  const auto variants = distinct(rows, &Row::variant);
  std::stable_sort(rows.begin(), rows.end(), [](const Row* a, const Row* b) { return a->x < b->x; });
  const Axis x{rows.front()->x / 1.15, rows.back()->x * 1.15, left, width - right, true};
  std::string picture = frame(title, y) + legend(variants);
  for (const double tick : x.ticks()) {
    picture += svg::line(x.at(tick), height - bottom, x.at(tick), height - bottom + 5, svg::axis_grey, 1);
    picture += svg::text(x.at(tick), height - bottom + 18, svg::label_of(tick), "middle");
  }
  picture += svg::text((left + width - right) / 2, height - bottom + 38, unit, "middle");
  const double radius = rows.size() > 200 ? 1.5 : 4;
  for (std::size_t v = 0; v < variants.size(); ++v) {
    const char* colour = colour_of(variants, v);
    const Row* before = nullptr;
    for (const Row* row : rows) {
      if (row->variant != variants[v]) continue;
      if (before != nullptr) {
        picture += svg::line(x.at(before->x), y.at(before->predicted), x.at(row->x), y.at(row->predicted),
                             colour, 1.8);
      }
      picture += svg::dot(x.at(row->x), y.at(row->published), colour, row->role == Role::calibrate, radius);
      before = row;
    }
  }
  return picture + svg::end;
}

}  // namespace

std::vector<std::string> pictures(const CaseResult& result) {
  std::vector<std::string> all;
  for (const Summary& summary : result.summaries) {
    std::vector<const Row*> rows;
    for (const Row& row : result.rows) {
      if (row.series == summary.series && row.metric == summary.metric) rows.push_back(&row);
    }
    if (rows.empty() || rows.front()->comparison == Comparison::exact) continue;
    const std::string title = summary.series + ": " + summary.metric;
    if (rows.front()->x <= 0) {
      all.push_back(grouped(rows, title));
    } else {
      const std::string& subject = rows.front()->subject;
      all.push_back(curves(rows, title, subject.substr(subject.find(' ') + 1)));
    }
  }
  return all;
}

}  // namespace pregate::validation
