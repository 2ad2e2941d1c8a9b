// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "sim/report/config_json.hpp"
#include "sim/report/report.hpp"

namespace pregate::sim {

namespace {

using Json = nlohmann::ordered_json;

Json cache_json(const CacheResult& cache) {
  Json json{{"hits", cache.hits},
            {"misses", cache.misses},
            {"hit_rate", cache.hit_rate()},
            {"prefetched", cache.prefetched},
            {"wasted_fetches", cache.wasted}};
  if (cache.computed_on_cpu > 0) json["computed_on_cpu"] = cache.computed_on_cpu;
  if (cache.written_back > 0) json["written_back"] = cache.written_back;
  return json;
}

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

Json memory_json(const MemoryUse& memory) {
  Json parts = Json::object();
  for (int i = 0; i < memory_purpose_count; ++i) {
    parts[to_string(static_cast<MemoryPurpose>(i))] = memory.peak[static_cast<std::size_t>(i)].count;
  }
  return parts;
}

/// null where no request has one
void add_percentiles(Json& json, const std::string& name, const Percentiles& ms) {
  json[name + "_p50_ms"] = ms.p50;
  json[name + "_p90_ms"] = ms.p90;
  json[name + "_p95_ms"] = ms.p95;
  json[name + "_p99_ms"] = ms.p99;
}

Json timing_json(const SimulationResult& result) {
  const Figures f = figures(result);
  Json json;
  json["tokens_per_s"] = f.tokens_per_s;
  json["decode_tokens_per_s"] = f.decode_tokens_per_s;
  json["ttft_ms"] = f.ttft_ms;  // null where it is not known
  json["tpot_ms"] = f.tpot_ms;
  json["block_latency_ms"] = {{"mean", f.block_mean_ms},
                              {"p50", f.block_p50_ms},
                              {"p95", f.block_p95_ms},
                              {"p99", f.block_p99_ms},
                              {"blocks", result.tally.block_latency.count()}};
  CacheResult all = result.decode_cache;
  all.hits += result.other_cache.hits;
  all.misses += result.other_cache.misses;
  all.prefetched += result.other_cache.prefetched;
  all.wasted += result.other_cache.wasted;
  all.computed_on_cpu += result.other_cache.computed_on_cpu;
  all.written_back += result.other_cache.written_back;
  json["cache"] = cache_json(all);
  json["cache_decode"] = cache_json(result.decode_cache);
  json["h2d_bytes"] = result.tally.fetched.count;
  json["h2d_bytes_per_token"] = f.h2d_bytes_per_token;
  json["fetches"] = result.tally.fetches;
  json["exposed_transfer_ms"] = f.exposed_transfer_ms;
  json["exposed_cpu_ms"] = f.exposed_cpu_ms;
  json["exposed_host_ms"] = f.exposed_host_ms;
  add_percentiles(json, "ttft", result.ttft);
  add_percentiles(json, "tpot", result.tpot);
  return json;
}

Json rates_json(const std::optional<RoutingRates>& rates) {
  if (!rates) return nullptr;
  return {{"tokens_per_s", rates->tokens_per_s}, {"decode_tokens_per_s", rates->decode_tokens_per_s}};
}

Json limits_json(const Limits& limits) {
  Json share = Json::object();
  for (int i = 0; i < limit_count; ++i)
    share[to_string(static_cast<Limit>(i))] = limits.share[static_cast<std::size_t>(i)];
  Json json{{"bound_by", to_string(limits.binding)}, {"share", share}};
  if (limits.most_speedup > 0) json["without_it_at_most_times_as_fast"] = limits.most_speedup;
  if (limits.next) json["then_bound_by"] = to_string(*limits.next);
  return json;
}

Json confidence_json(const Confidence& confidence, const Figures& figures) {
  Json json{{"label", to_string(confidence.label)},
            {"reason", confidence.reason},
            {"case", confidence.cases},
            {"mechanism", confidence.mechanism},
            {"nearest", confidence.nearest},
            {"rows", confidence.rows},
            {"residual_percent", {confidence.least_percent, confidence.most_percent}}};
  const auto add = [&](const char* key, double rate) {
    const RateRange range = confidence.range_of(rate);
    if (range.exists()) json[key] = {range.least, range.most};
  };
  add("tokens_per_s_range", figures.tokens_per_s);
  add("decode_tokens_per_s_range", figures.decode_tokens_per_s);
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
    json.update(timing_json(result));
    if (confidence) json["confidence"] = confidence_json(*confidence, figures(result));
    if (result.routing_span)
      json["routing_span"] = {{"low", rates_json(result.routing_span->low)},
                              {"high", rates_json(result.routing_span->high)}};
  }
  json["peak_gpu_bytes"] = result.memory.total().count;
  json["peak_gpu_bytes_by_purpose"] = memory_json(result.memory);
  json["usable_gpu_bytes"] = result.memory.usable.count;
  json["host_bytes"] = result.memory.host.count;
  json["cache_slots"] = result.cache_slots;
  json["buffer_slots"] = result.buffer_slots;
  json["prefill_slots"] = result.prefill_slots;
  if (result.has_figures()) {
    const Figures f = figures(result);
    json["critical_path_share"] = {{"compute", f.path_compute},
                                   {"cpu", f.path_cpu},
                                   {"transfer", f.path_transfer},
                                   {"host", f.path_host},
                                   {"waiting", f.path_waiting}};
    json["utilisation"] = {
        {"compute", f.compute_utilisation}, {"h2d", f.h2d_utilisation}, {"cpu", f.cpu_utilisation}};
    json["limits"] = limits_json(limits_of(result));
    json["total_ms"] = result.total.milliseconds();
    json["decode_ms"] = result.decode.milliseconds();
    json["prefill_ms"] = result.before_decode.milliseconds();
    json["requests"] = result.requests;
    json["decode_steps"] = result.decode_steps;
    json["output_tokens"] = result.output_tokens;
    json["operations"] = result.tally.operations;
  }
  json["policy_config"] = policy_json(result.policy);
  json["notes"] = result.notes;
  return json;
}

}  // namespace

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
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pregate::sim
