// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/advise/advice.hpp"
#include "cli/advise/asked.hpp"
#include "sim/report/report.hpp"

namespace pregate::cli {

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Tried& tried) {
  Json json{{"name", tried.way.label}, {"policy", tried.way.policy}, {"software", tried.way.software}};
  if (!tried.way.weights.empty()) json["weights"] = tried.way.weights;
  json["can_be_run"] = tried.way.command != nullptr;
  if (!tried.way.parallel.is_one()) json["gpus"] = tried.way.parallel.gpus();
  if (!tried.runs()) {
    json["left_out"] = tried.left_out.empty() ? tried.result.out_of_memory_reason : tried.left_out;
    return json;
  }
  if (!tried.knobs.empty()) json["setting"] = tried.knobs;
  if (!tried.command.empty()) json["command"] = tried.command;
  json["decode_tokens_per_s"] = tried.rate();
  if (tried.confidence) {
    const sim::RateRange range = tried.confidence->range_of(tried.rate());
    if (range.exists()) json["decode_tokens_per_s_range"] = {range.least, range.most};
    json["confidence"] = to_string(tried.confidence->label);
  }
  if (tried.result.ttft_ms > 0) json["ttft_ms"] = tried.result.ttft_ms;
  json["gpu_memory_bytes"] = tried.result.memory.total().count;
  json["host_memory_bytes"] = tried.result.memory.host.count;
  json["why"] = sim::why(tried.result);
  return json;
}

}  // namespace

std::string advice_json(const std::vector<Advice>& all, double wanted) {
  Json json{{"format_version", sim::results_format_version}};
  if (wanted > 0) json["wanted_tokens_per_s"] = wanted;
  json["machines"] = Json::array();
  for (const Advice& advice : all) {
    Json machine{{"machine", advice.machine},
                 {"gpus", gpus_of_host(advice.configuration.machine)},
                 {"model", advice.model},
                 {"settings", Json::array()}};
    for (const Tried& each : advice.tried) machine["settings"].push_back(json_of(each));
    if (const Tried* best = advice.best()) machine["best"] = json_of(*best);
    machine["upgrades"] = Json::array();
    for (const Upgraded& each : advice.upgraded)
      machine["upgrades"].push_back({{"with", each.name}, {"best", json_of(each.best)}});
    machine["notes"] = advice.configuration.notes;
    json["machines"].push_back(std::move(machine));
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pregate::cli
