// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "validation/report.hpp"

namespace pregate::validation {

namespace {

// Okabe and Ito's palette, told apart with colour-blindness and in print.
constexpr std::array colours = {"#000000", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"};
constexpr double width = 860, height = 340, left = 70, right = 20, top = 56, bottom = 60;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string label_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value >= 1e5 ? "%.0e" : "%g", value);
  return text;
}

std::string element_text(double x, double y, const std::string& text, const char* anchor,
                         const std::string& more = "") {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" " + more +
         ">" + escape_markup(text) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const char* colour, double thickness,
                 const char* more = "") {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" +
         number(y2) + "\" stroke=\"" + colour + "\" stroke-width=\"" + number(thickness) + "\" " + more +
         "/>\n";
}

/// A mark for a published figure; hollow where the row was fitted on.
std::string dot(double x, double y, const char* colour, bool hollow, double radius = 4) {
  return "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"" + number(radius) + "\" stroke=\"" +
         colour + "\" stroke-width=\"1.5\" fill=\"" + (hollow ? "white" : colour) + "\"/>\n";
}

struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  bool logarithmic = false;
  [[nodiscard]] double at(double value) const {
    const double share =
        logarithmic ? (std::log(std::max(value, low)) - std::log(low)) / (std::log(high) - std::log(low))
                    : (value - low) / (high - low);
    return from + share * (to - from);
  }
  [[nodiscard]] std::vector<double> ticks() const {
    std::vector<double> values;
    if (!logarithmic) {
      const double raw = (high - low) / 5;
      const double unit = std::pow(10, std::floor(std::log10(raw)));
      const double step = raw / unit > 5 ? 10 * unit : raw / unit > 2 ? 5 * unit : 2 * unit;
      for (double v = std::ceil(low / step) * step; v <= high * 1.0001; v += step) values.push_back(v);
      return values;
    }
    const bool fine = high / low < 300;
    for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high; decade *= 10) {
      for (const double factor : fine ? std::vector<double>{1, 2, 5} : std::vector<double>{1}) {
        if (decade * factor >= low && decade * factor <= high) values.push_back(decade * factor);
      }
    }
    return values;
  }
};

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
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " +
                    number(height) + "\" width=\"" + number(width) + "\" height=\"" + number(height) +
                    "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" "
                    "fill=\"white\"/>\n";
  svg += element_text(left, 18, title, "start", "font-size=\"14\" font-weight=\"bold\"");
  for (const double tick : y.ticks()) {
    svg += line(left, y.at(tick), width - right, y.at(tick), "#dddddd", 1);
    svg += element_text(left - 6, y.at(tick) + 4, label_of(tick), "end");
  }
  return svg + line(left, top, left, height - bottom, "#444444", 1) +
         line(left, height - bottom, width - right, height - bottom, "#444444", 1);
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
  std::string svg;
  double x = left;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (variants[i].empty()) continue;
    const char* colour = colour_of(variants, i);
    svg += "<rect x=\"" + number(x) + "\" y=\"30\" width=\"10\" height=\"10\" fill=\"" + colour + "\"/>\n";
    svg += element_text(x + 14, 39, variants[i], "start");
    x += 34 + 7.0 * static_cast<double>(variants[i].size());
  }
  svg += dot(width - 300, 14, "#444444", false) + element_text(width - 291, 18, "published", "start");
  svg += dot(width - 220, 14, "#444444", true) + element_text(width - 211, 18, "fitted on", "start");
  svg += line(width - 148, 14, width - 128, 14, "#444444", 2.5) +
         element_text(width - 122, 18, "predicted", "start");
  return svg;
}

/// Groups side by side, as bar charts of papers have them: a group a subject, a place a design.
std::string grouped(const std::vector<const Row*>& rows, const std::string& title) {
  const Axis y = value_axis(rows);
  const auto subjects = distinct(rows, &Row::subject), variants = distinct(rows, &Row::variant);
  const double group = (width - left - right) / static_cast<double>(subjects.size());
  const double place = group * 0.8 / static_cast<double>(variants.size());
  std::string svg = frame(title, y) + legend(variants);
  for (std::size_t s = 0; s < subjects.size(); ++s) {
    const double from = left + group * static_cast<double>(s);
    std::string name = subjects[s];
    if (name.starts_with("switch-") && subjects.size() > 4) name.erase(0, 7);
    svg += element_text(from + group / 2, height - bottom + 18, name, "middle");
    if (s > 0) svg += line(from, top, from, height - bottom, "#eeeeee", 1);
  }
  for (const Row* row : rows) {
    const auto s = std::find(subjects.begin(), subjects.end(), row->subject) - subjects.begin();
    const auto v = std::find(variants.begin(), variants.end(), row->variant) - variants.begin();
    const char* colour = colour_of(variants, static_cast<std::size_t>(v));
    const double x = left + group * (static_cast<double>(s) + 0.1) + place * (static_cast<double>(v) + 0.5);
    svg += line(x - place * 0.4, y.at(row->predicted), x + place * 0.4, y.at(row->predicted), colour, 2.5);
    svg += dot(x, y.at(row->published), colour, row->role == Role::calibrate);
  }
  return svg + "</svg>\n";
}

/// Curves over tokens, bytes or budget.
std::string curves(std::vector<const Row*> rows, const std::string& title, const std::string& unit) {
  const Axis y = value_axis(rows);
  const auto variants = distinct(rows, &Row::variant);
  std::stable_sort(rows.begin(), rows.end(), [](const Row* a, const Row* b) { return a->x < b->x; });
  const Axis x{rows.front()->x / 1.15, rows.back()->x * 1.15, left, width - right, true};
  std::string svg = frame(title, y) + legend(variants);
  for (const double tick : x.ticks()) {
    svg += line(x.at(tick), height - bottom, x.at(tick), height - bottom + 5, "#444444", 1);
    svg += element_text(x.at(tick), height - bottom + 18, label_of(tick), "middle");
  }
  svg += element_text((left + width - right) / 2, height - bottom + 38, unit, "middle");
  const double radius = rows.size() > 200 ? 1.5 : 4;
  for (std::size_t v = 0; v < variants.size(); ++v) {
    const char* colour = colour_of(variants, v);
    const Row* before = nullptr;
    for (const Row* row : rows) {
      if (row->variant != variants[v]) continue;
      if (before != nullptr) {
        svg +=
            line(x.at(before->x), y.at(before->predicted), x.at(row->x), y.at(row->predicted), colour, 1.8);
      }
      svg += dot(x.at(row->x), y.at(row->published), colour, row->role == Role::calibrate, radius);
      before = row;
    }
  }
  return svg + "</svg>\n";
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
