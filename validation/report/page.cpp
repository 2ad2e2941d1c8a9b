// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/report/page.hpp"

namespace pregate::validation::html {

namespace {

// Verdicts are words, so that colour is never the only sign.
constexpr const char* style = R"(<style>
body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; color: #111; }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; }
th, td { border-bottom: 1px solid #ccc; padding: 2px 8px; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.fail { font-weight: bold; background: #fde0d8; }
.fit { color: #666; }
.FAIL { color: #b00020; font-weight: bold; }
.pass { color: #1b7f3b; }
.undecidable { color: #8a6d00; }
svg { display: block; margin: 1em 0; max-width: 100%; height: auto; }
pre { overflow-x: auto; font-size: 13px; }
pre.command { background: #f3f3f3; padding: 0.6em; }
pre.command, pre.words { white-space: pre-wrap; overflow-wrap: anywhere; }
dt { font-weight: bold; }
.wide { overflow-x: auto; }
.wide svg { max-width: none; }
@media (max-width: 600px) { .wide svg { width: 600px; } h1 { font-size: 1.4em; } }
table.sortable th { cursor: pointer; }
table.sortable td:first-child { white-space: nowrap; }
table.sortable th[aria-sort=ascending]::after { content: " \2191"; }
table.sortable th[aria-sort=descending]::after { content: " \2193"; }
</style>
)";

// A click on a head sorts by that column, numbers as numbers; a field above the table keeps the rows that
// hold a text.
constexpr const char* script = R"(<script>
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const filter = document.createElement("input");
  filter.type = "search"; filter.placeholder = "only rows with ..."; filter.setAttribute("aria-label", "filter rows");
  filter.addEventListener("input", () => {
    for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(filter.value.toLowerCase());
  });
  table.parentNode.insertBefore(filter, table);
  table.tHead.rows[0].querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => row.cells[column].textContent;
    const order = (a, b) => {
      const x = parseFloat(value(a)), y = parseFloat(value(b));
      if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
      const difference = isNaN(x) ? value(a).localeCompare(value(b)) : x - y;
      return down ? -difference : difference;
    };
    [...body.rows].sort(order).forEach(row => body.appendChild(row));
  }));
}
</script>
)";

}  // namespace

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string page(std::string_view title, const std::string& body_markup) {
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>" +
         escaped(title) + "</title>\n" + style + "</head><body>\n" + body_markup +
         (body_markup.find("class=\"sortable\"") != std::string::npos ? script : "") + "</body></html>\n";
}

std::string table(std::initializer_list<const char*> head) {
  std::string text = "<table><tr>";
  for (const char* name : head) text += "<th>" + escaped(name) + "</th>";
  return text + "</tr>\n";
}

std::string cell(std::string_view text, Align align) {
  return (align == Align::number ? "<td class=\"n\">" : "<td>") + escaped(text) + "</td>";
}

std::string cell_of_class(std::string_view name, std::string_view text) {
  return "<td class=\"" + escaped(name) + "\">" + escaped(text) + "</td>";
}

std::string list(std::string_view title, const std::vector<std::string>& lines) {
  if (lines.empty()) return "";
  std::string text = "<h3>" + escaped(title) + "</h3><ul>\n";
  for (const std::string& line : lines) text += "<li>" + escaped(line) + "</li>\n";
  return text + "</ul>\n";
}

}  // namespace pregate::validation::html
