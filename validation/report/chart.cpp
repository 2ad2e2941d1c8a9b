// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/report/chart.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "validation/report/page.hpp"

namespace pregate::validation::svg {

namespace {

/// Multiples of 1, 2 or 5 times a power of ten, at most six or so.
std::vector<double> multiples(double low, double high) {
  const double raw = (high - low) / 5;
  const double unit = std::pow(10, std::floor(std::log10(raw)));
  const double step = raw / unit > 5 ? 10 * unit : raw / unit > 2 ? 5 * unit : 2 * unit;
  std::vector<double> values;
  for (double value = std::ceil(low / step) * step; value <= high * 1.0001; value += step)
    values.push_back(value);
  return values;
}

std::vector<double> within_decades(double low, double high) {
  const bool is_fine = high / low < 300;
  std::vector<double> values;
  for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high; decade *= 10) {
    for (const double factor : is_fine ? std::vector<double>{1, 2, 5} : std::vector<double>{1}) {
      if (decade * factor >= low && decade * factor <= high) values.push_back(decade * factor);
    }
  }
  return values;
}

}  // namespace

double Axis::at(double value) const {
  const double share =
      logarithmic ? (std::log(std::max(value, low)) - std::log(low)) / (std::log(high) - std::log(low))
                  : (value - low) / (high - low);
  return from + share * (to - from);
}

std::vector<double> Axis::ticks() const {
  constexpr double few_decades = 5;  // 1, 2 and 5 of each power of ten are then two labels or three
  return logarithmic && high / low > few_decades ? within_decades(low, high) : multiples(low, high);
}

std::string number(double value, int decimals) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string label_of(double tick) {
  char text[32];
  std::snprintf(text, sizeof text, tick >= 1e5 ? "%.0e" : "%g", tick);
  return text;
}

std::string begin(double width, double height, const std::string& label) {
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width) + " " + number(height) +
         "\" width=\"" + number(width) + "\" height=\"" + number(height) + "\" role=\"img\" aria-label=\"" +
         html::escaped(label) +
         "\" font-family=\"sans-serif\" font-size=\"12\">\n"
         "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
}

std::string text(double x, double y, const std::string& words, const char* anchor, const std::string& more) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" " + more +
         ">" + html::escaped(words) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const char* colour, double thickness,
                 const char* dashes) {
  const std::string dashed = *dashes == 0 ? "" : std::string("stroke-dasharray=\"") + dashes + "\" ";
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" +
         number(y2) + "\" stroke=\"" + colour + "\" stroke-width=\"" + number(thickness) + "\" " + dashed +
         "/>\n";
}

std::string area(const std::vector<Corner>& corners, const char* colour, double opacity) {
  std::string points;
  for (const Corner& corner : corners)
    points += (points.empty() ? "" : " ") + number(corner.x) + "," + number(corner.y);
  return "<polygon points=\"" + points + "\" fill=\"" + colour + "\" fill-opacity=\"" + number(opacity, 2) +
         "\"/>\n";
}

std::string bar(double x, double y, double width, double height, const std::string& colour,
                const std::string& tip) {
  return "<rect x=\"" + number(x, 2) + "\" y=\"" + number(y) + "\" width=\"" + number(width, 2) +
         "\" height=\"" + number(height) + "\" fill=\"" + colour +
         (tip.empty() ? "\"/>\n" : "\"><title>" + html::escaped(tip) + "</title></rect>\n");
}

std::string dot(double x, double y, const char* colour, bool is_hollow, double radius,
                const std::string& tip) {
  return "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"" + number(radius) + "\" stroke=\"" +
         colour + "\" stroke-width=\"1.5\" fill=\"" + (is_hollow ? "white" : colour) +
         (tip.empty() ? "\"/>\n" : "\"><title>" + html::escaped(tip) + "</title></circle>\n");
}

}  // namespace pregate::validation::svg
