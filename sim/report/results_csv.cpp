// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "sim/report/csv.hpp"
#include "sim/report/metrics.hpp"
#include "sim/report/report.hpp"
#include "sim/report/shares.hpp"

namespace pregate::sim {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_number(double value) {
  return std::isfinite(value) ? nlohmann::json(value).dump() : std::string{};
}

std::string csv_cell(const MetricValue& value) {
  if (const auto* count = std::get_if<std::int64_t>(&value)) return std::to_string(*count);
  if (const auto* measure = std::get_if<double>(&value)) return csv_number(*measure);
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr ? std::string() : *text;
}

namespace {

struct CsvRow {
  const RunConfiguration& run;
  const SimulationResult& result;
  const Confidence* confidence;  ///< null where there is none
};

struct CsvColumn {
  std::string head;
  std::function<std::string(const CsvRow&)> text;
};

void add_range(std::vector<CsvColumn>& columns, const std::string& rate_name,
               double (SimulationResult::*rate)() const, double (*idle)(const SimulationResult&)) {
  const auto add = [&](const char* end, double RateRange::*bound) {
    columns.push_back({rate_name + end, [=](const CsvRow& row) {
                         if (row.confidence == nullptr) return std::string();
                         const RateRange range = row.confidence->range_of(
                             (row.result.*rate)(), idle == nullptr ? 0 : idle(row.result));
                         return range.exists() ? csv_number(range.*bound) : std::string();
                       }});
  };
  add("_low", &RateRange::least);
  add("_high", &RateRange::most);
}

std::vector<CsvColumn> csv_columns() {
  std::vector<CsvColumn> all = {
      {"format_version", [](const CsvRow&) { return std::to_string(results_format_version); }},
      {"model", [](const CsvRow& row) { return row.run.model.name; }},
      {"machine", [](const CsvRow& row) { return row.run.machine.name; }},
      {"trace", [](const CsvRow& row) { return row.run.trace_path; }},
      {"batch", [](const CsvRow& row) { return std::to_string(row.run.batch); }},
      {"policy", [](const CsvRow& row) { return row.result.policy.name; }},
      {"status", [](const CsvRow& row) { return status_of(row.result); }},
      {"evidence", [](const CsvRow& row) { return to_string(row.result.evidence); }},
  };
  for (const Metric& metric : metrics()) {
    if (metric.csv.empty()) continue;
    all.push_back({metric.csv, [&metric](const CsvRow& row) {
                     return has(row.result, metric) ? csv_cell(metric.value(row.result)) : std::string();
                   }});
  }
  all.push_back({"confidence", [](const CsvRow& row) {
                   return row.confidence == nullptr ? "" : to_string(row.confidence->label);
                 }});
  add_range(all, "tokens_per_s", &SimulationResult::tokens_per_second, idle_share);
  add_range(all, "decode_tokens_per_s", &SimulationResult::decode_tokens_per_second, nullptr);
  return all;
}

}  // namespace

std::string results_csv(const RunConfiguration& configuration, const std::vector<SimulationResult>& results,
                        const Confidences& confidences) {
  const std::vector<CsvColumn> all = csv_columns();
  std::string text;
  for (const CsvColumn& column : all) text += (text.empty() ? "" : ",") + column.head;
  text += "\n";
  for (std::size_t i = 0; i < results.size(); ++i) {
    const bool is_known = i < confidences.size() && confidences[i] && results[i].has_figures();
    const CsvRow row{configuration, results[i], is_known ? &*confidences[i] : nullptr};
    for (const CsvColumn& column : all)
      text += (&column == &all.front() ? "" : ",") + csv_field(column.text(row));
    text += "\n";
  }
  return text;
}

}  // namespace pregate::sim
