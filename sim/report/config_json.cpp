// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/config_json.hpp"

#include <algorithm>

#include "models/fields/describe.hpp"
#include "sim/cost/kernel_evidence.hpp"
#include "sim/expert_placement/homes_file.hpp"
#include "sim/parallel/parallel_fields.hpp"
#include "sim/policy/policy_fields.hpp"
#include "sim/report/fields_json.hpp"

namespace pregate::sim {

namespace {

using Json = nlohmann::ordered_json;

Json machine_json(const MachineSpec& machine) {
  Json json{{"name", machine.name}};
  add_fields(json, machine_fields(), machine);
  Json host{{"name", machine.replaced_host.empty() ? machine.name : machine.replaced_host},
            {"source", machine.host.source}};
  host.update(json["host"]);
  json["host"] = std::move(host);
  return json;
}

Json software_json(const std::optional<SoftwareSpec>& software) {
  if (!software) return {{"name", "as the machine says"}};
  Json json{{"name", software->name}};
  add_fields(json, software_fields(), *software);
  return json;
}

Json kernels_json(const KernelEvidence& evidence) {
  Json json{{"library", evidence.whose},
            {"source", evidence.source == KernelSource::measured ? "measured" : "by-kin"},
            {"measured_on", evidence.measured_on},
            {"used", Json::array()},
            {"by_roofline", evidence.rooflines}};
  for (const KernelEvidence::Used& used : evidence.used) {
    Json each{{"family", to_string(used.family)}, {"format", used.format}, {"constants_of", used.dtype}};
    each["expected_error"] = used.error ? Json(*used.error) : Json();
    json["used"].push_back(std::move(each));
  }
  return json;
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

/// Layer by layer as `pregate place -o` writes them.
Json homes_of_layers(const ExpertHomes& homes, const trace::TraceInfo& trace) {
  return Json::parse(homes_json(homes, trace, {}))["layers"];
}

}  // namespace

nlohmann::ordered_json policy_json(const PolicySpec& policy, const Fields<PolicySpec>& fields) {
  Json json{{"name", policy.name}};
  add_fields(json, fields, policy);
  return json;
}

nlohmann::ordered_json configuration_json(const RunConfiguration& run) {
  Json json;
  json["version"] = version();
  json["device"] = run.device;
  json["model"] = model_config_json(run.model);
  json["machine"] = machine_json(run.machine);
  json["software"] = software_json(run.software);
  if (const auto evidence = kernel_evidence(run.model, run.machine))
    json["kernels"] = kernels_json(*evidence);
  json["trace"] = trace_json(run);
  json["counted_experts"] = run.counted == CountedExperts::all ? "all" : "decoder";
  json["prompt_chunk"] = run.prompt_chunk;
  if (run.prompt_in_chunks) json["prompt_in_chunks"] = true;
  if (!run.serving.is_standard()) {
    json["serve"] = Json::object();
    add_fields(json["serve"], serving_fields(), run.serving);
  }
  if (!run.parallel.is_one()) {
    json["parallel"] = {{"gpus", run.parallel.gpus()}};
    add_fields(json["parallel"], parallel_fields(), run.parallel);
    if (run.parallel.homes)
      json["parallel"]["expert_homes"] = homes_of_layers(*run.parallel.homes, run.trace);
  }
  json["notes"] = run.notes;
  return json;
}

const char* version() { return PREGATE_VERSION; }

}  // namespace pregate::sim
