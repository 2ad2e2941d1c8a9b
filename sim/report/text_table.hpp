// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/units.hpp"

namespace pregate::sim {

/// Aligned text columns: the first left, the others right. Cells are printed as given.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head) : rows_{{std::move(head), 0}} {}
  /// The cell `wide` (0: none) also takes the column of the next one, which is empty.
  void add(std::vector<std::string> cells, std::size_t wide = 0) {
    rows_.push_back({std::move(cells), wide});
  }
  /// A line of its own between the rows, which takes no column.
  void add_section(std::string title) { rows_.push_back({{std::move(title)}, 0, true}); }
  /// Head, rule, rows; each line ends with a newline and carries `indent` spaces.
  [[nodiscard]] std::string text(int indent = 0) const;
  /// Columns that its longest line takes on a terminal.
  [[nodiscard]] std::size_t width() const;

 private:
  [[nodiscard]] std::vector<std::size_t> widths() const;

  struct Row {
    std::vector<std::string> cells;
    std::size_t wide = 0;
    bool is_section = false;
  };
  std::vector<Row> rows_;
};

/// At most three significant digits, never an exponent below 10^15: 0.0123, 1.13, 42.5, 128, 1540.
std::string three_digits(double value);
/// The same with more digits where a value below `limit` would otherwise look as if it reached it: "39.97"
/// of 40.
std::string three_digits_below(double value, double limit);
/// The same of a size in GiB, without the unit.
std::string in_gib(Bytes size);

/// A share in whole per cent: "84 %"; "<1 %" and ">99 %" where rounding would say none or all.
std::string percent(double share);

/// Columns that `text` takes on a terminal (UTF-8 code points).
std::size_t display_width(std::string_view text);

}  // namespace pregate::sim
