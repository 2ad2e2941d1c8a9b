// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/sortable_table.hpp"

#include "validation/report/page.hpp"

namespace pregate::cli {

std::string sortable_table(const std::vector<std::string>& head,
                           const std::vector<std::vector<std::string>>& rows) {
  std::string text = "<div class=\"wide\"><table class=\"sortable\"><thead><tr>";
  for (const std::string& name : head) text += "<th>" + validation::html::escaped(name) + "</th>";
  text += "</tr></thead><tbody>\n";
  for (const std::vector<std::string>& row : rows) {
    text += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i)
      text += validation::html::cell(
          row[i], i == 0 ? validation::html::Align::left : validation::html::Align::number);
    text += "</tr>\n";
  }
  return text + "</tbody></table></div>\n";
}

}  // namespace pregate::cli
