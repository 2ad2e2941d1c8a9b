// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/sortable_table.hpp"

#include "validation/report/page.hpp"

namespace pregate::cli {

namespace {

/// A figure stays with its unit.
std::string unbroken(const std::string& text) {
  constexpr std::size_t longest = 12;
  if (text.size() > longest) return text;
  std::string whole;
  for (const char each : text) whole += each == ' ' ? std::string("\u00a0") : std::string(1, each);
  return whole;
}

}  // namespace

std::string sortable_table(const std::vector<std::string>& head,
                           const std::vector<std::vector<std::string>>& rows) {
  std::string text = "<div class=\"wide\"><table class=\"sortable\"><thead><tr>";
  for (const std::string& name : head) text += "<th>" + validation::html::escaped(name) + "</th>";
  text += "</tr></thead><tbody>\n";
  for (const std::vector<std::string>& row : rows) {
    text += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i)
      text +=
          validation::html::cell(i == 0 ? row[i] : unbroken(row[i]),
                                 i == 0 ? validation::html::Align::left : validation::html::Align::number);
    text += "</tr>\n";
  }
  return text + "</tbody></table></div>\n";
}

}  // namespace pregate::cli
