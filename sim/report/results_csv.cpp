// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/report/report.hpp"

namespace pregate::sim {

namespace {

/// A field, quoted where RFC 4180 asks for it.
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

/// Shortest digits that read back the same, as in the JSON.
std::string number(double value) {
  return std::isfinite(value) ? nlohmann::json(value).dump() : std::string{};
}

struct CsvRow {
  const RunConfiguration& run;
  const SimulationResult& result;
  const Figures& figures;
  const Confidence* confidence;  ///< null where there is none
};

/// A column of results that have figures (`always`: of all).
struct CsvColumn {
  const char* head;
  std::string (*text)(const CsvRow&);
  bool always = false;
};

std::string bound(const CsvRow& row, double rate, double RateRange::*which) {
  if (row.confidence == nullptr) return {};
  const RateRange range = row.confidence->range_of(rate);
  return range.exists() ? number(range.*which) : std::string();
}

const std::vector<CsvColumn>& csv_columns() {
  static const std::vector<CsvColumn> all = {
      {"format_version", [](const CsvRow&) { return std::to_string(results_format_version); }, true},
      {"model", [](const CsvRow& r) { return r.run.model.name; }, true},
      {"machine", [](const CsvRow& r) { return r.run.machine.name; }, true},
      {"trace", [](const CsvRow& r) { return r.run.trace_path; }, true},
      {"batch", [](const CsvRow& r) { return std::to_string(r.run.batch); }, true},
      {"policy", [](const CsvRow& r) { return r.result.policy.name; }, true},
      {"status", [](const CsvRow& r) { return std::string(status_of(r.result)); }, true},
      {"evidence", [](const CsvRow& r) { return std::string(to_string(r.result.evidence)); }, true},
      {"tokens_per_s", [](const CsvRow& r) { return number(r.figures.tokens_per_s); }},
      {"decode_tokens_per_s", [](const CsvRow& r) { return number(r.figures.decode_tokens_per_s); }},
      {"ttft_ms", [](const CsvRow& r) { return number(r.figures.ttft_ms); }},
      {"tpot_ms", [](const CsvRow& r) { return number(r.figures.tpot_ms); }},
      {"block_mean_ms", [](const CsvRow& r) { return number(r.figures.block_mean_ms); }},
      {"block_p50_ms", [](const CsvRow& r) { return number(r.figures.block_p50_ms); }},
      {"block_p95_ms", [](const CsvRow& r) { return number(r.figures.block_p95_ms); }},
      {"block_p99_ms", [](const CsvRow& r) { return number(r.figures.block_p99_ms); }},
      {"hit_rate", [](const CsvRow& r) { return number(r.figures.hit_rate); }},
      {"h2d_bytes", [](const CsvRow& r) { return std::to_string(r.result.tally.fetched.count); }},
      {"exposed_transfer_ms", [](const CsvRow& r) { return number(r.figures.exposed_transfer_ms); }},
      {"exposed_cpu_ms", [](const CsvRow& r) { return number(r.figures.exposed_cpu_ms); }},
      {"exposed_host_ms", [](const CsvRow& r) { return number(r.figures.exposed_host_ms); }},
      {"peak_gpu_bytes", [](const CsvRow& r) { return std::to_string(r.result.memory.total().count); }, true},
      {"compute_share", [](const CsvRow& r) { return number(r.figures.path_compute); }},
      {"cpu_share", [](const CsvRow& r) { return number(r.figures.path_cpu); }},
      {"transfer_share", [](const CsvRow& r) { return number(r.figures.path_transfer); }},
      {"host_share", [](const CsvRow& r) { return number(r.figures.path_host); }},
      {"waiting_share", [](const CsvRow& r) { return number(r.figures.path_waiting); }},
      {"bound_by", [](const CsvRow& r) { return std::string(to_string(limits_of(r.result).binding)); }},
      {"confidence",
       [](const CsvRow& r) {
         return std::string(r.confidence == nullptr ? "" : to_string(r.confidence->label));
       }},
      {"tokens_per_s_low",
       [](const CsvRow& r) { return bound(r, r.figures.tokens_per_s, &RateRange::least); }},
      {"tokens_per_s_high",
       [](const CsvRow& r) { return bound(r, r.figures.tokens_per_s, &RateRange::most); }},
      {"decode_tokens_per_s_low",
       [](const CsvRow& r) { return bound(r, r.figures.decode_tokens_per_s, &RateRange::least); }},
      {"decode_tokens_per_s_high",
       [](const CsvRow& r) { return bound(r, r.figures.decode_tokens_per_s, &RateRange::most); }},
  };
  return all;
}

}  // namespace

std::string results_csv(const RunConfiguration& configuration, const std::vector<SimulationResult>& results,
                        const Confidences& confidences) {
  std::string text;
  for (const CsvColumn& column : csv_columns()) text += (text.empty() ? "" : ",") + std::string(column.head);
  text += "\n";
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Figures f = figures(results[i]);
    const bool is_known = i < confidences.size() && confidences[i];
    const CsvRow row{configuration, results[i], f, is_known ? &*confidences[i] : nullptr};
    for (const CsvColumn& column : csv_columns()) {
      if (&column != &csv_columns().front()) text += ",";
      if (column.always || results[i].has_figures()) text += field(column.text(row));
    }
    text += "\n";
  }
  return text;
}

}  // namespace pregate::sim
