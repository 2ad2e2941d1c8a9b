// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "validation/published/report.hpp"

namespace pregate::validation {

namespace {

using Json = nlohmann::ordered_json;

Json row_json(const Row& row) {
  Json json = {{"series", row.series},
               {"metric", row.metric},
               {"subject", row.subject},
               {"variant", row.variant},
               {"role", row.role == Role::calibrate ? "calibrate" : "predict"},
               {"gated", row.gated && row.role == Role::predict},
               {"published", row.published},
               {"predicted", row.predicted}};
  switch (row.comparison) {
    case Comparison::ratio:
      json["error_percent"] = row.error();
      break;
    case Comparison::points:
      json["error_points"] = row.error();
      break;
    case Comparison::exact:
      json["difference"] = row.error();
      break;
  }
  if (!row.note.empty()) json["note"] = row.note;
  return json;
}

Json case_json(const Evaluated& evaluated) {
  const auto& [published, result] = evaluated;
  Json json = {{"name", published.name},
               {"title", published.title},
               {"source",
                {{"paper", published.source.paper},
                 {"table", published.source.table},
                 {"repository", published.source.repository},
                 {"commit", published.source.commit}}},
               {"hardware", published.hardware},
               {"software", published.software},
               {"traps", published.traps},
               {"assumptions", published.assumptions},
               {"skipped", result.skipped},
               {"failed", result.failed()},
               {"constants", Json::array()},
               {"rows", Json::array()},
               {"summaries", Json::array()},
               {"aggregates", Json::array()},
               {"gates", Json::array()}};
  for (const FittedConstant& constant : result.constants) {
    json["constants"].push_back({{"name", constant.name},
                                 {"value", constant.value},
                                 {"unit", constant.unit},
                                 {"fixed_by", constant.fixed_by}});
  }
  for (const Row& row : result.rows) json["rows"].push_back(row_json(row));
  for (const Summary& summary : result.summaries) {
    json["summaries"].push_back({{"series", summary.series},
                                 {"metric", summary.metric},
                                 {"predicted", summary.predicted},
                                 {"gated", summary.gated},
                                 {"calibrated", summary.calibrated},
                                 {"mean_absolute_error", summary.mape},
                                 {"bias", summary.bias},
                                 {"worst", summary.worst},
                                 {"worst_row", summary.worst_row}});
  }
  for (const Aggregate& aggregate : result.aggregates) {
    json["aggregates"].push_back({{"name", aggregate.name},
                                  {"paper", aggregate.paper},
                                  {"from_published_rows", aggregate.from_published},
                                  {"holds", aggregate.holds()},
                                  {"from_predicted_rows", aggregate.from_predicted},
                                  {"predicted", aggregate.predicted()}});
  }
  for (const GateResult& gate : result.gates) {
    json["gates"].push_back({{"metric", gate.gate.metric},
                             {"series", gate.gate.series},
                             {"measure", to_string(gate.gate.measure)},
                             {"limit", gate.gate.limit},
                             {"reason", gate.gate.reason},
                             {"value", gate.value},
                             {"rows", gate.rows},
                             {"worst_row", gate.worst_row},
                             {"verdict", gate_word(gate)}});
  }
  return json;
}

}  // namespace

std::string results_json(const std::vector<Evaluated>& all) {
  Json json = {{"format_version", 1}, {"cases", Json::array()}};
  for (const Evaluated& evaluated : all) json["cases"].push_back(case_json(evaluated));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pregate::validation
