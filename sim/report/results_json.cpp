// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <type_traits>

#include "sim/report/config_json.hpp"
#include "sim/report/fields_json.hpp"
#include "sim/report/metrics.hpp"
#include "sim/report/report.hpp"
#include "sim/report/shares.hpp"

namespace pregate::sim {

namespace {

using Json = nlohmann::ordered_json;

Json fits_json(const FitsWith& fits) {
  Json json = Json::object();
  if (fits.cache) {
    if (fits.as_on_demand) json["policy"] = "on-demand";
    json["cache"] = to_string(*fits.cache);
    json["cache_bytes"] = fits.cache_bytes.count;
  }
  if (!fits.weights.empty()) json["weights"] = fits.weights;
  if (!fits.dense_weights.empty()) json["dense_weights"] = fits.dense_weights;
  return json;
}

Json metric_json(const MetricValue& value) {
  return std::visit(
      [](const auto& each) -> Json {
        if constexpr (std::is_same_v<std::decay_t<decltype(each)>, std::monostate>)
          return nullptr;
        else
          return each;
      },
      value);
}

void add_metrics(Json& json, const SimulationResult& result, MetricGroup group) {
  for (const Metric& metric : metrics()) {
    if (metric.group != group || !metric.in_json || !has(result, metric)) continue;
    const MetricValue value = metric.value(result);
    if (!std::holds_alternative<std::monostate>(value)) put(json, metric.name, metric_json(value));
  }
}

Json rates_json(const std::optional<RoutingRates>& rates) {
  if (!rates) return nullptr;
  return {{"tokens_per_s", rates->tokens_per_s}, {"decode_tokens_per_s", rates->decode_tokens_per_s}};
}

Json confidence_json(const Confidence& confidence, const SimulationResult& result) {
  Json json{{"label", to_string(confidence.label)},
            {"reason", confidence.reason},
            {"case", confidence.cases},
            {"mechanism", confidence.mechanism},
            {"nearest", confidence.nearest},
            {"rows", confidence.rows},
            {"residual_percent", {confidence.least_percent, confidence.most_percent}}};
  const auto add = [&](const char* key, double rate, double idle) {
    const RateRange range = confidence.range_of(rate, idle);
    if (range.exists()) json[key] = {range.least, range.most};
  };
  add("tokens_per_s_range", result.tokens_per_second(), idle_share(result));
  add("decode_tokens_per_s_range", result.decode_tokens_per_second(), 0);
  return json;
}

Json result_json(const SimulationResult& result, const std::optional<Confidence>& confidence) {
  Json json;
  json["policy"] = result.policy.name;
  json["status"] = status_of(result);
  json["evidence"] = to_string(result.evidence);
  if (result.out_of_memory) {
    json["reason"] = result.out_of_memory_reason;
    json["fits_with"] = fits_json(result.fits_with);
  } else if (result.has_figures()) {
    add_metrics(json, result, MetricGroup::rates);
    if (confidence) json["confidence"] = confidence_json(*confidence, result);
    if (result.routing_span)
      json["routing_span"] = {{"low", rates_json(result.routing_span->low)},
                              {"high", rates_json(result.routing_span->high)}};
  }
  if (!result.gpus.empty()) {
    json["gpus"] = Json::array();
    for (const GpuShare& gpu : result.gpus)
      json["gpus"].push_back({{"peak_gpu_bytes", gpu.memory.count},
                              {"cache_slots", gpu.cache_slots},
                              {"routed", gpu.routed},
                              {"hits", gpu.hits},
                              {"misses", gpu.misses}});
  }
  if (result.sensitivities) {
    json["sensitivities"] = Json::array();
    for (const Sensitivity& each : *result.sensitivities)
      json["sensitivities"].push_back(
          {{"key", each.key}, {"value", each.value}, {"tokens_per_s_per_log", each.tokens_per_s_per_log}});
  }
  add_metrics(json, result, MetricGroup::memory);
  add_metrics(json, result, MetricGroup::run);
  json["policy_config"] = policy_json(result.policy);
  json["notes"] = result.notes;
  return json;
}

}  // namespace

std::string one_result_json(const SimulationResult& result, const std::optional<Confidence>& confidence) {
  return result_json(result, confidence).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string results_json(const RunConfiguration& configuration, const std::vector<SimulationResult>& results,
                         const Confidences& confidences) {
  Json json;
  json["format_version"] = results_format_version;
  json["config"] = configuration_json(configuration);
  json["config"]["notes"] = notes_of(configuration, results);
  json["trace_hash"] = configuration.trace.content_hash;
  json["results"] = Json::array();
  for (std::size_t i = 0; i < results.size(); ++i) {
    json["results"].push_back(
        result_json(results[i], i < confidences.size() ? confidences[i] : std::nullopt));
  }
  if (configuration.all_policies) {
    json["left_out"] = Json::array();
    for (const RunConfiguration::LeftOut& each : configuration.left_out)
      json["left_out"].push_back({{"policy", each.policy}, {"reason", each.reason}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pregate::sim
