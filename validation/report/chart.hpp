// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

/// Elements of charts, in SVG's own units (pixels; y downwards). Text is escaped here.
namespace pregate::validation::svg {

/// Okabe and Ito's palette, told apart with colour-blindness and in print.
inline constexpr const char *black = "#000000", *orange = "#E69F00", *blue = "#0072B2", *green = "#009E73",
                            *purple = "#CC79A7", *sky = "#56B4E9", *vermilion = "#D55E00";
inline constexpr const char *rule_grey = "#dddddd", *axis_grey = "#444444";

/// Values from `low` to `high` (low < high; above 0 where logarithmic) on pixels from `from` to `to`.
struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  bool logarithmic = false;
  [[nodiscard]] double at(double value) const;
  /// Round values within it, about as many as have room for a label.
  [[nodiscard]] std::vector<double> ticks() const;
};

std::string number(double value, int decimals = 1);
std::string label_of(double tick);

/// An <svg> of this size; `label` is for those who do not see it.
std::string begin(double width, double height, const std::string& label);
inline constexpr const char* end = "</svg>\n";

/// `anchor`: "start", "middle" or "end"; `more`: further attributes, as markup.
std::string text(double x, double y, const std::string& words, const char* anchor,
                 const std::string& more = "");
/// `dashes`: lengths of dashes and gaps, as "5 4"; empty: none.
std::string line(double x1, double y1, double x2, double y2, const char* colour, double thickness,
                 const char* dashes = "");
/// A translucent area; corners in turn.
struct Corner {
  double x = 0, y = 0;
};
std::string area(const std::vector<Corner>& corners, const char* colour, double opacity);
/// `tip`: as a dot's.
std::string bar(double x, double y, double width, double height, const std::string& colour,
                const std::string& tip = "");
/// A mark, filled or hollow; `tip` is shown by a browser when pointed at, where there is one.
std::string dot(double x, double y, const char* colour, bool is_hollow, double radius = 4,
                const std::string& tip = "");

}  // namespace pregate::validation::svg
