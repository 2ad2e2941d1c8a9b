// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/text_layout.hpp"

#include <algorithm>
#include <string_view>

#include "sim/report/text_table.hpp"

namespace pregate::sim {

namespace {

/// One line without its end.
std::string folded_line(std::string_view line, std::size_t columns) {
  if (display_width(line) <= columns) return std::string(line);
  const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
  const std::string indent(begin + 4, ' ');
  std::string text(line.substr(0, begin));
  std::size_t width = begin;
  bool starts = true;  // no word stands on this line yet
  for (std::size_t at = begin; at < line.size();) {
    const std::size_t word = std::min(line.find_first_not_of(' ', at), line.size());
    const std::size_t end = std::min(line.find(' ', word), line.size());
    const std::string_view spaces = line.substr(at, word - at), letters = line.substr(word, end - word);
    if (!starts && width + spaces.size() + display_width(letters) > columns) {
      text += "\n" + indent;
      width = indent.size();
    } else {
      text += spaces;
      width += spaces.size();
    }
    text += letters;
    width += display_width(letters);
    starts = false;
    at = end;
  }
  return text;
}

}  // namespace

std::string folded(const std::string& text, const TextLayout& layout) {
  if (!layout.folds) return text;
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    result += folded_line(std::string_view(text).substr(at, end - at), layout.columns);
    if (end < text.size()) result += '\n';
    at = end + 1;
  }
  return result;
}

}  // namespace pregate::sim
