// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/config_json.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

using Json = nlohmann::ordered_json;

const char* name(PlacementKind kind) {
  switch (kind) {
    case PlacementKind::none:
      return "none";
    case PlacementKind::all:
      return "all";
    case PlacementKind::popular:
      return "popular";
    case PlacementKind::first_layers:
      return "first-layers";
  }
  return "";
}

const char* name(LookaheadKind kind) {
  switch (kind) {
    case LookaheadKind::none:
      return "none";
    case LookaheadKind::all_next:
      return "all-next";
    case LookaheadKind::pre_gate:
      return "pre-gate";
    case LookaheadKind::recorded:
      return "recorded";
    case LookaheadKind::predictor:
      return "predictor";
  }
  return "";
}

double microseconds(Picoseconds time) { return static_cast<double>(time.count) * 1e-6; }

Json link_json(const LinkSpec& link) {
  Json json{{"bandwidth_bytes_per_s", link.bandwidth.value},
            {"latency_us", microseconds(link.latency)},
            {"per_copy_us", microseconds(link.per_copy)},
            {"pageable_bandwidth_bytes_per_s", link.pageable_bandwidth.value}};
  Json table = Json::array();
  for (const CopyPoint& point : link.table) table.push_back({point.size.count, point.rate.value});
  if (!table.empty()) json["table_bytes_and_bytes_per_s"] = table;
  return json;
}

Json gpu_json(const GpuSpec& gpu) {
  Json rates = Json::object();
  for (const auto& [precision, rate] : gpu.rates) rates[precision] = rate.value;
  return {{"name", gpu.name},
          {"memory_bytes", gpu.memory.count},
          {"reserved_bytes", gpu.reserved.count},
          {"memory_bandwidth_bytes_per_s", gpu.memory_bandwidth.value},
          {"memory_efficiency", gpu.memory_efficiency},
          {"rates_flop_per_s", rates},
          {"compute_efficiency", gpu.compute_efficiency},
          {"device_copy_bandwidth_bytes_per_s", gpu.device_copy_bandwidth.value},
          {"sm_count", gpu.sm_count},
          {"grouped_gemm_tile_rows", gpu.grouped_gemm_tile_rows},
          {"grouped_gemm_tile_columns", gpu.grouped_gemm_tile_columns},
          {"grouped_gemm_efficiency", gpu.grouped_gemm_efficiency}};
}

Json host_json(const MachineSpec& machine) {
  const HostSpec& host = machine.host;
  Json compute{{"bandwidth_efficiency", host.compute.bandwidth_efficiency},
               {"compute_efficiency", host.compute.compute_efficiency},
               {"fixed_us", microseconds(host.compute.fixed)}};
  for (const auto& [format, own] : host.compute.formats) {
    compute["formats"][format] = {{"bandwidth_efficiency", own.bandwidth},
                                  {"compute_efficiency", own.compute}};
  }
  return {{"name", machine.replaced_host.empty() ? machine.name : machine.replaced_host},
          {"source", host.source},
          {"cpu", host.cpu},
          {"cores", host.cores},
          {"memory_bytes", host.memory.count},
          {"memory_bandwidth_bytes_per_s", host.memory_bandwidth.value},
          {"rate_flop_per_s", host.rate.value},
          {"compute", compute}};
}

Json machine_json(const MachineSpec& machine) {
  const OverheadSpec& o = machine.overhead;
  Json json{{"name", machine.name},
            {"calibration", machine.calibration},
            {"gpu", gpu_json(machine.gpu)},
            {"link", {{"h2d", link_json(machine.h2d)}, {"d2h", link_json(machine.d2h)}}},
            {"host", host_json(machine)},
            {"overhead",
             {{"step_us", microseconds(o.step)},
              {"dense_layer_us", microseconds(o.dense_layer)},
              {"attention_us", microseconds(o.attention)},
              {"gate_us", microseconds(o.gate)},
              {"gate_readback_us", microseconds(o.gate_readback)},
              {"experts_us", microseconds(o.experts)},
              {"device_copy_us", microseconds(o.device_copy)}}}};
  Json table = Json::array();
  for (const ExpertKernelPoint& point : machine.expert_kernel_table) {
    table.push_back({point.tokens, point.activated_experts, microseconds(point.time)});
  }
  if (!table.empty()) json["expert_kernel_table_tokens_experts_us"] = table;
  return json;
}

Json model_json(const ModelSpec& model) {
  Json stacks = Json::array();
  for (const Stack& stack : model.stacks) {
    const MoeBlock& moe = stack.first_moe();
    stacks.push_back({{"name", stack.name},
                      {"layers", stack.layers.size()},
                      {"moe_layers", moe_layers(stack).size()},
                      {"experts", moe.experts},
                      {"top_k", moe.top_k},
                      {"expert_bytes", model.expert_bytes(stack).count}});
  }
  return {{"name", model.name},
          {"parameters", model.parameter_count()},
          {"expert_format", model.expert_format.name},
          {"dense_format", model.dense_format.name},
          {"kv_format", model.kv_format.name},
          {"dense_bytes", model.dense_bytes().count},
          {"all_expert_bytes", model.all_expert_bytes().count},
          {"kv_bytes_per_token", model.kv_bytes_per_token().count},
          {"stacks", stacks}};
}

Json trace_json(const RunConfiguration& run) {
  int most = 0;
  for (const trace::TraceLayer& layer : run.trace.layers) most = std::max(most, layer.top_k);
  Json json{{"source", run.trace_path},
            {"model", run.trace.model},
            {"requests", run.trace.requests},
            {"steps", run.trace.steps},
            {"tokens", run.trace.tokens},
            {"routed_entries", run.trace.routed_entries},
            {"top_k", most},
            {"batch", run.batch},
            {"seed", run.seed},
            {"generated", run.routing.has_value()}};
  if (run.routing && !run.routing->profile.empty()) json["profile"] = run.routing->profile;
  if (run.routing && !run.routing->locality.empty()) {
    json["locality"] = run.routing->locality;
    json["prompt_tokens"] = run.routing->prompt_tokens;
    json["output_tokens"] = run.routing->output_tokens;
  }
  return json;
}

}  // namespace

nlohmann::ordered_json policy_json(const PolicySpec& policy) {
  Json json{{"name", policy.name},
            {"placement", {{"kind", name(policy.placement.kind)}, {"count", policy.placement.count}}},
            {"cache",
             {{"scope", policy.cache.scope == CacheScope::layer ? "layer" : "global"},
              {"capacity", to_string(policy.cache.capacity)},
              {"eviction", policy.cache.eviction},
              {"admission", policy.cache.admission == Admission::always ? "always" : "bypass"},
              {"seed", policy.cache.seed}}},
            {"lookahead", {{"kind", name(policy.lookahead.kind)}, {"distance", policy.lookahead.distance}}},
            {"transfer",
             {{"chunk_bytes", policy.transfer.chunk.count},
              {"queue", policy.transfer.queue == TransferQueue::fifo ? "fifo" : "demand-first"},
              {"staging_copies", policy.transfer.staging_copies},
              {"pinned", policy.transfer.pinned}}},
            {"compute",
             {{"experts", policy.compute.experts == ExpertCompute::grouped ? "grouped" : "per-expert"}}}};
  if (policy.cache.hit_rate) json["cache"]["hit_rate"] = *policy.cache.hit_rate;
  if (policy.cache.split == CacheSplit::spread) json["cache"]["split"] = "spread";
  if (policy.lookahead.kind == LookaheadKind::predictor) {
    json["lookahead"]["recall"] = policy.lookahead.recall;
    json["lookahead"]["seed"] = policy.lookahead.seed;
  }
  if (policy.transfer.write_back == WriteBack::swap) json["transfer"]["write_back"] = "swap";
  if (policy.miss.service == MissService::compute_on_cpu) {
    json["miss"] = {
        {"service", "compute-on-cpu"},
        {"admission", policy.miss.admission == MissAdmission::background ? "background" : "none"}};
  }
  return json;
}

nlohmann::ordered_json configuration_json(const RunConfiguration& run) {
  Json json;
  json["version"] = version();
  json["device"] = run.device;
  json["model"] = model_json(run.model);
  json["machine"] = machine_json(run.machine);
  json["trace"] = trace_json(run);
  json["counted_experts"] = run.counted == CountedExperts::all ? "all" : "decoder";
  json["prompt_chunk"] = run.prompt_chunk;
  json["notes"] = run.notes;
  return json;
}

const char* version() { return PREGATE_VERSION; }

}  // namespace pregate::sim
