// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "sim/report/text_table.hpp"
#include "validation/published/report.hpp"

namespace pregate::validation {

namespace {

std::string fixed(double value, int digits) {
  char text[400];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

/// Zero has none: what is left of it is a last bit's.
std::string with_sign(double value, int digits) {
  char text[400];
  std::snprintf(text, sizeof text, "%+.*f", digits, value);
  return std::strpbrk(text, "123456789") == nullptr && std::isfinite(value) ? text + 1 : text;
}

std::string significant(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return text;
}

/// A series with more rows is summarised only; JSON and HTML have them all.
constexpr int most_rows = 200;

const char* role_word(const Row& row) {
  if (row.role == Role::calibrate) return "calibrate";
  return row.gated ? "predict" : "shown";
}

const char* unit_of(const Summary& summary, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    if (row.series != summary.series || row.metric != summary.metric) continue;
    if (row.comparison == Comparison::exact) return "";
    return row.comparison == Comparison::points ? " pt" : " %";
  }
  return "";
}

using Cells = std::vector<std::vector<std::string>>;

Cells constant_cells(const CaseResult& result) {
  Cells cells = {{"constant", "value", "fixed by"}};
  for (const FittedConstant& constant : result.constants) {
    std::string value = significant(constant.value, 4);
    if (!constant.unit.empty()) value += " " + constant.unit;
    cells.push_back({constant.name, value, constant.fixed_by});
  }
  return cells;
}

Cells summary_cells(const CaseResult& result) {
  Cells cells = {{"series", "metric", "fitted", "predicted", "gated", "MAPE", "bias", "worst", "worst row"}};
  for (const Summary& summary : result.summaries) {
    const std::string unit = unit_of(summary, result.rows);
    cells.push_back({summary.series, summary.metric, std::to_string(summary.calibrated),
                     std::to_string(summary.predicted), std::to_string(summary.gated),
                     fixed(summary.mape, 2) + unit, with_sign(summary.bias, 2) + unit,
                     with_sign(summary.worst, 2) + unit, summary.worst_row});
  }
  return cells;
}

Cells row_cells(const CaseResult& result) {
  Cells cells = {
      {"series", "metric", "subject", "variant", "role", "published", "predicted", "error", "note"}};
  for (const Row& row : result.rows) {
    const auto summary =
        std::find_if(result.summaries.begin(), result.summaries.end(),
                     [&](const Summary& of) { return of.series == row.series && of.metric == row.metric; });
    if (summary != result.summaries.end() && summary->predicted + summary->calibrated > most_rows) continue;
    cells.push_back({row.series, row.metric, row.subject, row.variant, role_word(row),
                     figure_text(row, row.published), figure_text(row, row.predicted), error_text(row),
                     row.note});
  }
  return cells;
}

Cells aggregate_cells(const CaseResult& result) {
  Cells cells = {{"aggregate", "paper", "its rows", "holds", "predicted", "holds"}};
  for (const Aggregate& aggregate : result.aggregates) {
    cells.push_back({aggregate.name, significant(aggregate.paper, 4),
                     significant(aggregate.from_published, 4), aggregate.holds() ? "yes" : "no",
                     significant(aggregate.from_predicted, 4), aggregate.predicted() ? "yes" : "no"});
  }
  return cells;
}

Cells gate_cells(const CaseResult& result) {
  Cells cells = {{"gate", "rows", "value", "verdict", "worst"}};
  for (const GateResult& gate : result.gates) {
    cells.push_back({gate.gate.rows() + " " + to_string(gate.gate.measure), std::to_string(gate.rows),
                     gate_text(gate), gate_word(gate), gate.worst_row});
  }
  return cells;
}

std::string plain(const Cells& cells) {
  if (cells.size() < 2) return "";
  sim::TextTable table(cells.front());
  for (std::size_t i = 1; i < cells.size(); ++i) table.add(cells[i]);
  return table.text() + "\n";
}

std::string markdown(const Cells& cells) {
  if (cells.size() < 2) return "";
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    text += "|";
    for (const std::string& cell : cells[i]) text += " " + cell + " |";
    text += "\n";
    if (i > 0) continue;
    text += "|";
    for (std::size_t column = 0; column < cells[0].size(); ++column) text += "---|";
    text += "\n";
  }
  return text + "\n";
}

}  // namespace

std::string figure_text(const Row& row, double value) {
  if (row.metric.ends_with("_bytes") || row.comparison == Comparison::exact) return fixed(value, 0);
  if (row.comparison == Comparison::points) return fixed(value, 3);
  return significant(value, 5);
}

std::string error_text(const Row& row) {
  switch (row.comparison) {
    case Comparison::ratio:
      return with_sign(row.error(), 1) + " %";
    case Comparison::points:
      return with_sign(row.error(), 3) + " pt";
    case Comparison::exact:
      return row.error() == 0 ? "equal" : with_sign(row.error(), 0);
  }
  return "";
}

std::string gate_text(const GateResult& gate) {
  if (!gate.applied()) return "no rows";
  switch (gate.gate.measure) {
    case Measure::mape:
    case Measure::worst:
    case Measure::bias:
      return fixed(gate.value, 2) + " % (limit " + significant(gate.gate.limit, 6) + " %)";
    case Measure::worst_points:
      return fixed(gate.value, 3) + " pt (limit " + significant(gate.gate.limit, 6) + " pt)";
    case Measure::order:
      return fixed(gate.value, 0) + " pairs wrong (limit " + significant(gate.gate.limit, 6) + ")";
    case Measure::order_share:
      return fixed(gate.value, 1) + " % of pairs wrong (limit " + significant(gate.gate.limit, 6) + " %)";
    case Measure::exact:
      return fixed(gate.value, 0) + " rows differ (limit " + significant(gate.gate.limit, 6) + ")";
  }
  return "";
}

const char* gate_word(const GateResult& gate) {
  if (!gate.applied()) return "not run";
  return gate.passed() ? "pass" : "FAIL";
}

std::string results_text(const Evaluated& evaluated, bool rows) {
  const auto& [published, result] = evaluated;
  std::string text = published.name + ": " + published.title + "\n";
  text += "source: " + published.source.repository + " " + published.source.commit + ", " +
          published.source.table + "\n\n";
  for (const std::string& skipped : result.skipped) text += "SKIPPED: " + skipped + "\n";
  text += plain(constant_cells(result));
  if (rows) text += plain(row_cells(result));
  text += plain(summary_cells(result)) + plain(aggregate_cells(result)) + plain(gate_cells(result));
  return text;
}

std::string verdict(const std::vector<Evaluated>& all) {
  std::string text;
  int passed = 0, failed = 0, not_run = 0;
  for (const Evaluated& evaluated : all) {
    for (const GateResult& gate : evaluated.result.gates) {
      (!gate.applied() ? not_run : gate.passed() ? passed : failed) += 1;
      if (!gate.applied() || gate.passed()) continue;
      text += "FAIL " + evaluated.published.name + ": " + gate.gate.metric + " " +
              to_string(gate.gate.measure) + " " + gate_text(gate) + "; " + gate.worst_row + "\n";
    }
    for (const std::string& skipped : evaluated.result.skipped) {
      text += "SKIPPED " + evaluated.published.name + ": " + skipped + " (recorded data absent; --data)\n";
    }
  }
  return text + std::to_string(passed) + " gates pass, " + std::to_string(failed) + " fail, " +
         std::to_string(not_run) + " not run\n";
}

std::string results_markdown(const Evaluated& evaluated) {
  const CaseResult& result = evaluated.result;
  std::string text;
  const auto section = [&text](const char* title, const std::string& table) {
    if (!table.empty()) text += std::string("**") + title + "**\n\n" + table;
  };
  section("Gates", markdown(gate_cells(result)));
  section("Constants", markdown(constant_cells(result)));
  section("Summary", markdown(summary_cells(result)));
  section("Aggregates", markdown(aggregate_cells(result)));
  section("Rows", markdown(row_cells(result)));
  for (const std::string& skipped : result.skipped) text += "SKIPPED: " + skipped + "\n\n";
  return text;
}

}  // namespace pregate::validation
