// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/report.hpp"

namespace pregate::validation {

namespace {

constexpr const char* style = R"(<style>
body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; color: #111; }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; }
th, td { border-bottom: 1px solid #ccc; padding: 2px 8px; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.fail { font-weight: bold; background: #fde0d8; }
.fit { color: #666; }
svg { display: block; margin: 1em 0; max-width: 100%; height: auto; }
</style>
)";

std::string cell(const std::string& text, bool number = false) {
  return (number ? "<td class=\"n\">" : "<td>") + escape_markup(text) + "</td>";
}

std::string head(std::initializer_list<const char*> names) {
  std::string text = "<table><tr>";
  for (const char* name : names) text += std::string("<th>") + name + "</th>";
  return text + "</tr>\n";
}

std::string list(const std::string& title, const std::vector<std::string>& lines) {
  if (lines.empty()) return "";
  std::string text = "<h3>" + title + "</h3><ul>\n";
  for (const std::string& line : lines) text += "<li>" + escape_markup(line) + "</li>\n";
  return text + "</ul>\n";
}

std::string gates(const CaseResult& result) {
  std::string text = head({"gate", "measure", "rows", "value", "verdict", "why this limit"});
  for (const GateResult& gate : result.gates) {
    const bool failed = gate.applied() && !gate.passed();
    text += failed ? "<tr class=\"fail\">" : "<tr>";
    text += cell(gate.gate.metric) + cell(to_string(gate.gate.measure)) +
            cell(std::to_string(gate.rows), true) + cell(gate_text(gate), true) + cell(gate_word(gate)) +
            cell(gate.gate.reason) + "</tr>\n";
  }
  return text + "</table>\n";
}

std::string constants(const CaseResult& result) {
  if (result.constants.empty()) return "";
  std::string text = "<h3>Constants that the calibration rows fixed</h3>" +
                     head({"constant", "value", "unit", "meaning", "fixed by"});
  for (const FittedConstant& constant : result.constants) {
    char value[32];
    std::snprintf(value, sizeof value, "%.4g", constant.value);
    text += "<tr>" + cell(constant.name) + cell(value, true) + cell(constant.unit) + cell(constant.meaning) +
            cell(constant.fixed_by) + "</tr>\n";
  }
  return text + "</table>\n";
}

std::string rows(const CaseResult& result) {
  std::string text =
      "<details><summary>All rows</summary>" +
      head({"series", "metric", "subject", "variant", "role", "published", "predicted", "error", "note"});
  for (const Row& row : result.rows) {
    const bool fitted = row.role == Role::calibrate;
    text += fitted ? "<tr class=\"fit\">" : "<tr>";
    text += cell(row.series) + cell(row.metric) + cell(row.subject) + cell(row.variant) +
            cell(fitted ? "calibrate" : (row.gated ? "predict" : "shown")) +
            cell(figure_text(row, row.published), true) + cell(figure_text(row, row.predicted), true) +
            cell(error_text(row), true) + cell(row.note) + "</tr>\n";
  }
  return text + "</table></details>\n";
}

}  // namespace

std::string escape_markup(std::string_view text) {
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

std::string results_html(const std::vector<Evaluated>& all) {
  std::string text =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>pregate: published "
      "validation</title>\n";
  text += style;
  text += "</head><body>\n<h1>Predicted against published</h1>\n";
  for (const auto& [published, result] : all) {
    text += "<h2 id=\"" + escape_markup(published.name) + "\">" + escape_markup(published.title) + "</h2>\n";
    text += "<p>" + escape_markup(published.hardware) + "; " + escape_markup(published.software) + "; " +
            escape_markup(published.workload) + ".<br>Source: " + escape_markup(published.source.paper) +
            "; " + escape_markup(published.source.table) + "; " + escape_markup(published.source.repository) +
            " " + escape_markup(published.source.commit) + "</p>\n";
    text += list("Skipped", result.skipped) + gates(result) + constants(result);
    for (const std::string& picture : pictures(result)) text += picture;
    text += rows(result) + list("Assumptions", published.assumptions) + list("Known traps", published.traps);
  }
  return text + "</body></html>\n";
}

}  // namespace pregate::validation
