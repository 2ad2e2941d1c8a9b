// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/ladder_report.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "sim/report/text_table.hpp"

namespace pregate::validation {

namespace {

using Json = nlohmann::ordered_json;

std::string signed_percent(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%+.1f %%", value);
  return text;
}

}  // namespace

std::string figure_text(const TierResult& tier) {
  char text[64];
  std::snprintf(text, sizeof text, tier.tier == 0 ? "%.0f" : "%.1f %%", tier.figure);
  return tier.rows == 0 ? "-" : text;
}

std::string attention_note(const LadderResult& result) {
  if (!result.with_scores) {
    return "the runtime did not execute attention's scores over the KV cache (--attention kv-cache does); "
           "the simulation leaves them out here";
  }
  return "attention over the KV cache was executed; its scores are priced by what the machine file says of "
         "memory and arithmetic, as calibrate does not measure them";
}

std::string ladder_table(const LadderResult& result) {
  sim::TextTable tiers({"tier", "gate", "figure", "rows", "undecidable", "verdict"});
  for (const TierResult& tier : result.tiers)
    tiers.add({std::to_string(tier.tier), tier.gate, figure_text(tier), std::to_string(tier.rows),
               std::to_string(tier.undecidable), to_string(tier.verdict)});
  std::string text = "model " + result.model + " · machine " + result.machine + " · device " + result.device +
                     "\ntrace " + result.trace + "\n\n" + tiers.text();

  for (const ExactRow& row : result.exact) {
    if (row.holds()) continue;
    text += "tier 0: " + row.what + ":" + (row.same_schedule ? "" : " other operations") +
            (row.same_bytes ? "" : " other bytes") + (row.same_hits ? "" : " other hits") + "\n";
  }
  sim::TextTable rows({"tier", "what", "metric", "predicted", "measured", "error", "spread", ""});
  for (const LadderRow& row : result.rows) {
    char spread[32];
    std::snprintf(spread, sizeof spread, "%.1f %%", row.spread);
    rows.add({std::to_string(row.tier), row.what, row.metric, sim::three_digits(row.predicted),
              sim::three_digits(row.measured), signed_percent(row.error()), spread,
              row.decidable ? "" : "undecidable"});
  }
  text += "\n" + rows.text();
  sim::TextTable operations({"what", "operation", "a run", "predicted us", "measured us", "error"});
  bool is_any_off = false;
  for (const OperationRow& row : result.operations) {
    if (!row.explains) continue;
    is_any_off = true;
    operations.add({row.what, row.kind, std::to_string(row.count), sim::three_digits(row.predicted_us),
                    sim::three_digits(row.measured_us),
                    row.measured_us > 0 ? signed_percent(row.error()) : "-"});
  }
  if (is_any_off)
    text +=
        "\nRuns that are off by more than their gate, by operation (each until it lets its successors "
        "start):\n" +
        operations.text();
  for (const TierResult& tier : result.tiers) {
    if (tier.verdict == Verdict::failed)
      text += "FAILED: tier " + std::to_string(tier.tier) + ", " + tier.gate + ": it is " +
              figure_text(tier) + "\n";
  }
  for (const TierResult& tier : result.tiers) {
    if (tier.is_mostly_undecidable())
      text += "UNDECIDED: tier " + std::to_string(tier.tier) + ", " + tier.gate + ": " +
              std::to_string(tier.undecidable) + " of " + std::to_string(tier.rows + tier.undecidable) +
              " rows spread more than the gate from repeat to repeat; stop what else runs here, or give more "
              "--repeats\n";
  }
  text += "note: " + attention_note(result) + "\n";
  for (const std::string& note : result.notes) text += "note: " + note + "\n";
  return text;
}

std::string ladder_json(const LadderResult& result) {
  Json json{{"format_version", 1},
            {"model", result.model},
            {"machine", result.machine},
            {"device", result.device},
            {"trace", result.trace},
            {"failed", result.failed()},
            {"undecided", result.undecided()}};
  for (const TierResult& tier : result.tiers)
    json["tiers"].push_back({{"tier", tier.tier},
                             {"gate", tier.gate},
                             {"figure", tier.rows == 0 ? Json() : Json(tier.figure)},
                             {"rows", tier.rows},
                             {"undecidable", tier.undecidable},
                             {"verdict", to_string(tier.verdict)}});
  json["exact"] = Json::array();
  for (const ExactRow& row : result.exact)
    json["exact"].push_back({{"what", row.what},
                             {"operations", row.operations},
                             {"same_schedule", row.same_schedule},
                             {"same_bytes", row.same_bytes},
                             {"same_hits", row.same_hits}});
  json["rows"] = Json::array();
  for (const LadderRow& row : result.rows)
    json["rows"].push_back({{"tier", row.tier},
                            {"what", row.what},
                            {"metric", row.metric},
                            {"predicted", row.predicted},
                            {"measured", row.measured},
                            {"error_percent", row.error()},
                            {"spread_percent", row.spread},
                            {"decidable", row.decidable}});
  json["operations"] = Json::array();
  for (const OperationRow& row : result.operations)
    json["operations"].push_back({{"what", row.what},
                                  {"operation", row.kind},
                                  {"count", row.count},
                                  {"predicted_us", row.predicted_us},
                                  {"measured_us", row.measured_us},
                                  {"error_percent", row.error()}});
  json["notes"] = result.notes;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pregate::validation
