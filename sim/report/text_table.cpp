// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/text_table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace pregate::sim {

namespace {

constexpr std::size_t gap = 2;  // between columns

}  // namespace

std::size_t display_width(std::string_view text) {
  // Continuation bytes of UTF-8 take no column.
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string three_digits(double value) {
  if (value == 0) return "0";
  if (!std::isfinite(value)) return "-";
  const int magnitude = static_cast<int>(std::floor(std::log10(std::abs(value))));
  const int decimals = std::clamp(2 - magnitude, 0, 6);
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string three_digits_below(double value, double limit) {
  std::string text = three_digits(value);
  if (!(value < limit) || text != three_digits(limit)) return text;
  constexpr int most_decimals = 9;
  for (int decimals = 1; decimals <= most_decimals; ++decimals) {
    char more[64];
    std::snprintf(more, sizeof more, "%.*f", decimals, value);
    text = more;
    if (std::strtod(more, nullptr) < limit) break;
  }
  return text;
}

std::string in_gib(Bytes size) { return three_digits(static_cast<double>(size.count) / (1LL << 30)); }

std::string percent(double share) {
  if (!std::isfinite(share)) return "-";
  const double value = 100 * share;
  if (value > 0 && value < 1) return "<1 %";
  if (value > 99 && value < 100) return ">99 %";
  return std::to_string(std::lround(value)) + " %";
}

std::vector<std::size_t> TextTable::widths() const {
  std::vector<std::size_t> widths;
  for (const auto& [cells, wide, is_section] : rows_) {
    if (is_section) continue;
    widths.resize(std::max(widths.size(), cells.size()));
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (wide == 0 || i != wide) widths[i] = std::max(widths[i], display_width(cells[i]));
    }
  }
  for (const auto& [cells, wide, is_section] : rows_) {
    if (wide == 0) continue;
    const std::size_t needed = display_width(cells[wide]), room = widths[wide] + gap + widths[wide + 1];
    if (needed > room) widths[wide + 1] += needed - room;
  }
  return widths;
}

std::size_t TextTable::width() const {
  std::size_t total = 0;
  for (const std::size_t width : widths()) total += width + gap;
  return total > gap ? total - gap : 0;
}

std::string TextTable::text(int indent) const {
  const std::vector<std::size_t> widths = this->widths();
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  std::string text;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const auto& [cells, wide, is_section] = rows_[r];
    if (is_section) {
      text += margin + cells[0] + "\n";
      continue;
    }
    std::string line = margin;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (wide > 0 && i == wide + 1) continue;
      const std::size_t room = wide > 0 && i == wide ? widths[i] + gap + widths[i + 1] : widths[i];
      const std::string padding(room - display_width(cells[i]), ' ');
      if (i > 0) line += std::string(gap, ' ');
      line += i == 0 ? cells[i] + padding : padding + cells[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
    if (r > 0) continue;
    text += margin;
    const std::size_t total = width();
    for (std::size_t i = 0; i < total; ++i) text += "─";
    text += "\n";
  }
  return text;
}

}  // namespace pregate::sim
