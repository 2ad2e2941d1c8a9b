// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/report.hpp"
#include "validation/report/page.hpp"

namespace pregate::validation {

namespace {

using html::Align;
using html::cell;
using html::escaped;

std::string gates(const CaseResult& result) {
  std::string text = html::table({"gate", "measure", "rows", "value", "verdict", "why this limit"});
  for (const GateResult& gate : result.gates) {
    const bool failed = gate.applied() && !gate.passed();
    text += failed ? "<tr class=\"fail\">" : "<tr>";
    text += cell(gate.gate.rows()) + cell(to_string(gate.gate.measure)) +
            cell(std::to_string(gate.rows), Align::number) + cell(gate_text(gate), Align::number) +
            cell(gate_word(gate)) + cell(gate.gate.reason) + "</tr>\n";
  }
  return text + html::table_end;
}

std::string constants(const CaseResult& result) {
  if (result.constants.empty()) return "";
  std::string text = "<h3>Constants that the calibration rows fixed</h3>" +
                     html::table({"constant", "value", "unit", "meaning", "fixed by"});
  for (const FittedConstant& constant : result.constants) {
    char value[32];
    std::snprintf(value, sizeof value, "%.4g", constant.value);
    text += "<tr>" + cell(constant.name) + cell(value, Align::number) + cell(constant.unit) +
            cell(constant.meaning) + cell(constant.fixed_by) + "</tr>\n";
  }
  return text + html::table_end;
}

std::string rows(const CaseResult& result) {
  std::string text =
      "<details><summary>All rows</summary>" + html::table({"series", "metric", "subject", "variant", "role",
                                                            "published", "predicted", "error", "note"});
  for (const Row& row : result.rows) {
    const bool fitted = row.role == Role::calibrate;
    text += fitted ? "<tr class=\"fit\">" : "<tr>";
    text += cell(row.series) + cell(row.metric) + cell(row.subject) + cell(row.variant) +
            cell(fitted ? "calibrate" : (row.gated ? "predict" : "shown")) +
            cell(figure_text(row, row.published), Align::number) +
            cell(figure_text(row, row.predicted), Align::number) + cell(error_text(row), Align::number) +
            cell(row.note) + "</tr>\n";
  }
  return text + "</table></details>\n";
}

}  // namespace

std::string results_html(const std::vector<Evaluated>& all) {
  std::string text = "<h1>Predicted against published</h1>\n";
  for (const auto& [published, result] : all) {
    text += "<h2 id=\"" + escaped(published.name) + "\">" + escaped(published.title) + "</h2>\n";
    text += "<p>" + escaped(published.hardware) + "; " + escaped(published.software) + "; " +
            escaped(published.workload) + ".<br>Source: " + escaped(published.source.paper) + "; " +
            escaped(published.source.table) + "; " + escaped(published.source.repository) + " " +
            escaped(published.source.commit) + "</p>\n";
    text += html::list("Skipped", result.skipped) + gates(result) + constants(result);
    for (const std::string& picture : pictures(result)) text += picture;
    text += rows(result) + html::list("Assumptions", published.assumptions) +
            html::list("Known traps", published.traps);
  }
  return html::page("pregate: published validation", text);
}

}  // namespace pregate::validation
