// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/config_json.hpp"

#include <algorithm>

#include "models/fields/describe.hpp"

namespace pregate::sim {

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Node& value) {
  switch (value.kind) {
    case Node::Kind::text:
      return value.text;
    case Node::Kind::integer:
      return value.integer;
    case Node::Kind::real:
      return value.real;
    case Node::Kind::boolean:
      return value.boolean;
    case Node::Kind::array: {
      Json array = Json::array();
      for (const Node& item : value.items) array.push_back(json_of(item));
      return array;
    }
    case Node::Kind::table: {
      Json object = Json::object();
      for (const Member& member : value.members) object[member.key] = json_of(member.value);
      return object;
    }
    default:
      return nullptr;
  }
}

/// Every field that has a value, as the tables of the file, units in the names.
template <typename Spec>
void add_fields(Json& json, const Fields<Spec>& fields, const Spec& spec) {
  for (const auto& [field, value, read] : fields.entries()) {
    const Node is = value(spec);
    if (is.kind == Node::Kind::null) continue;
    Json* table = &json;
    std::string_view path = field.json;
    for (std::size_t dot; (dot = path.find('.')) != path.npos; path.remove_prefix(dot + 1))
      table = &(*table)[std::string(path.substr(0, dot))];
    (*table)[std::string(path)] = json_of(is);
  }
}

Json machine_json(const MachineSpec& machine) {
  Json json{{"name", machine.name}};
  add_fields(json, machine_fields(), machine);
  Json host{{"name", machine.replaced_host.empty() ? machine.name : machine.replaced_host},
            {"source", machine.host.source}};
  host.update(json["host"]);
  json["host"] = std::move(host);
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
  Json json{{"name", policy.name}};
  add_fields(json, policy_fields(), policy);
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
