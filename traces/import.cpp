// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import.hpp"

#include "models/error.hpp"
#include "traces/import/record_start.hpp"
#include "traces/import/recording.hpp"
#include "traces/import/text_input.hpp"
#include "traces/utf8.hpp"

namespace pregate::trace {

namespace {

struct Format {
  const char* name;
  const char* description;
  const char* source;
  /// Whether a file that starts with this text is of the format.
  bool (*recognises)(std::string_view start);
  /// nullptr: our own JSONL.
  void (*parse)(const std::vector<std::string>&, RecordingFacts&, RecordingSink&);
};

bool is_switch_lines(std::string_view start) { return start.starts_with("permuted_experts_"); }

bool is_route_trace(std::string_view start) { return start.starts_with("# route_trace v1"); }

bool is_gpt_oss_csv(std::string_view start) {
  while (start.starts_with("#")) {
    const std::size_t stop = start.find('\n');
    if (stop == std::string_view::npos) return false;
    start.remove_prefix(stop + 1);
  }
  return start.starts_with("seq,dataset,category,token,L0");
}

bool is_gpt_oss_json(std::string_view start) { return RecordStart(start).has("router_data"); }

bool is_our_jsonl(std::string_view start) { return RecordStart(start).text("format") == "pregate-trace"; }

// One a line; the first that recognises a file has it. docs/recording.md says how each is made.
// clang-format off
constexpr Format formats[] = {
    {"switch-lines", "lines 'permuted_experts_ id id ...', one a MoE-layer call", "runtime of the Pre-gated MoE artifact (Switch-Transformers)", &is_switch_lines, &parse_switch_lines},
    {"route-trace-v1", "CSV after '# route_trace v1', one row a routed expert", "recorder of BigMoeOnEdge", &is_route_trace, &parse_route_trace},
    {"gpt-oss-csv", "CSV seq,dataset,category,token,L0,L1,...; a cell holds a layer's experts", "compact form of GPT-OSS-MoE-ExpertFingerprinting", &is_gpt_oss_csv, &parse_gpt_oss_csv},
    {"gpt-oss-json", "JSON with router_data: token_P: layer_L: selected_experts, selected_probs", "GPT-OSS-MoE-ExpertFingerprinting, a file a request", &is_gpt_oss_json, &parse_gpt_oss_json},
    {"vllm-moe-logger", "JSON lines of type meta and route, topk_ids a row of a pass", "vLLM with the MoE logger (VLLM_LOG_MOE)", &is_vllm_logger, &parse_vllm_logger},
    {"moe-cache-lab", "JSON lines moe-cache-lab.routing-jsonl, version 1 or 2", "moe-cache-lab: hooks in Hugging Face models, or its converters", &is_moe_cache_lab, &parse_moe_cache_lab},
    {"llama-moe-trace", "CSV layer,expert or phase,token,layer,rank,expert or pos,layer,e0,e1,...", "llama.cpp examples/moe-trace and forks (MOE_TRACE_OUT)", &is_llama_moe_trace, &parse_llama_moe_trace},
    {"warp", "JSON lines {\"tok\",\"layers\":[[ids],...]}, one a decoded token", "warp's trace of an expert cache", &is_warp, &parse_warp},
    {"megatron-router", "JSON lines with step, layer, num_tokens, topk, top_indices", "Megatron-core --moe-routing-trace-path, a file a rank", &is_megatron_router, &parse_megatron_router},
    {"t-layer-experts", "JSON lines {\"t\",\"layer\",\"experts\"[,\"weights\"]}, one a token and layer", "a hook of one's own in a router", &is_t_layer_experts, &parse_t_layer_experts},
    {"lattice", "JSON lines with layer_idx, token_idx, selected_ids, gate_weights", "lattice (Metal): dump_moe_routing_trace_jsonl", &is_lattice, &parse_lattice},
    {"speculative-moe", "JSON lines with dataset, problem_id, layer, token_idx, experts, gating_probs", "speculative-moe's collect_data.py (Mixtral on vLLM)", &is_speculative_moe, &parse_speculative_moe},
    {"moe-beyond", "CSV Layer ID,Batch Number,Token,Activated Expert IDs[,Predicted Expert IDs]", "MoE-Beyond's data collection (DeepSeek-V2-Lite)", &is_moe_beyond, &parse_moe_beyond},
    {"vllm-npy", "whole numbers [tokens, layers, experts a token] in a .npy file", "vLLM's routed_experts, by numpy.save", &is_vllm_npy, &parse_vllm_npy},
    {"vllm-api", "JSON answers with routed_experts, as lists or base64", "vLLM --enable-return-routed-experts", &is_vllm_api, &parse_routed_answers},
    {"sglang-api", "JSON answers with routed_experts in meta_info or sglext, base64", "SGLang --enable-return-routed-experts", &is_sglang_api, &parse_routed_answers},
    {"sglang-recorder", "torch file with records of topk_ids_of_layer, physical experts and their map", "SGLang --expert-distribution-recorder-mode per_token (.pt)", &is_sglang_recorder, &parse_sglang_recorder},
    {"router-logits", "tensors [tokens, experts], one a layer, in a .safetensors file; top-k of them", "Hugging Face models with output_router_logits", &is_router_logits, &parse_router_logits},
    {"jsonl", "pregate's own text form (docs/traces.md)", "pregate trace export", &is_our_jsonl, nullptr},
};
// clang-format on

/// What is known of a text that no format recognises.
[[noreturn]] void refuse(const std::string& path, std::string_view start) {
  const RecordStart record(start);
  const std::string hint = "pregate list formats has those that are read";
  if (!record.is_object()) throw InputError(path, "is in no format that is known", hint);
  std::string keys;
  for (const std::string_view key : record.keys()) {
    if (keys.size() > 300) {
      keys += ", ...";
      break;
    }
    keys += (keys.empty() ? "" : ", ") + printable(key, 40);
  }
  throw InputError(path,
                   std::string(record.is_lines() ? "JSON lines" : "JSON") +
                       " of a format that is not known; " +
                       (record.is_lines() ? "the first record has the keys " : "its keys are ") +
                       (keys.empty() ? "(none)" : keys),
                   hint);
}

const Format& detect(const std::string& path) {
  TextInput input(path);
  std::string start(1U << 16U, '\0');
  std::size_t size = 0;
  while (size < start.size()) {
    const std::size_t got = input.read(start.data() + size, start.size() - size);
    if (got == 0) break;
    size += got;
  }
  start.resize(size);
  if (start.empty()) throw InputError(path, "is empty");
  if (start.starts_with("SQLite format 3")) throw InputError(path, "is a database already, not a recording");
  // What a binary file begins with may be those bytes, too.
  for (const std::string_view text : {std::string_view(start), without_byte_order_mark(start)})
    for (const Format& format : formats)
      if (format.recognises(text)) return format;
  refuse(path, without_byte_order_mark(start));
}

const Format& by_name(const std::string& name) {
  std::vector<std::string> names;
  for (const Format& format : formats) {
    if (name == format.name) return format;
    names.emplace_back(format.name);
  }
  throw InputError("--format", "no format named '" + printable(name) + "'", suggest(name, names));
}

}  // namespace

std::vector<FormatDescription> import_formats() {
  std::vector<FormatDescription> descriptions;
  for (const Format& format : formats)
    descriptions.push_back({format.name, format.description, format.source});
  return descriptions;
}

ImportResult import_trace(const std::vector<std::string>& inputs, const std::string& output,
                          const ImportOptions& options) {
  if (inputs.empty()) throw InputError("import", "no file is named");
  if (options.experts < 0 || options.experts > max_experts)
    throw InputError("experts", std::to_string(options.experts) + " experts a layer",
                     "a layer has 1 to " + std::to_string(max_experts));
  const Format& format = with_recording_hint([&]() -> const Format& {
    if (!options.format.empty()) return by_name(options.format);
    const Format& first = detect(inputs.front());
    for (const std::string& input : inputs)
      if (const Format& other = detect(input); &other != &first)
        throw InputError(input, std::string("is ") + other.name + ", but the files before are " + first.name);
    return first;
  });
  if (format.parse == nullptr) return import_jsonl(inputs, output, options);
  return import_recording(format.parse, inputs, output, options, format.name);
}

}  // namespace pregate::trace
