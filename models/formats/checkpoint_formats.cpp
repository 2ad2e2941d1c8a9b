// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/formats/checkpoint_formats.hpp"

#include <algorithm>
#include <array>

#include "models/error.hpp"
#include "models/formats/quantization_methods.hpp"
#include "models/table_reader.hpp"

namespace pregate {
namespace {

/// transformers writes torch_dtype up to version 4, dtype from 5 on.
constexpr std::array<std::string_view, 5> keys{"torch_dtype", "dtype", "quantization_config",
                                               "compression_config", "expert_dtype"};
/// Where multimodal files keep what belongs to the text model.
constexpr std::array<const char*, 4> text_parts{"text_config", "language_config", "llm_config",
                                                "thinker_config"};

/// The value of the first of `names` that says something, the text model's own before the whole file's.
const Node* find_value(const Node& root, std::initializer_list<const char*> names) {
  const auto said = [](const Node* value) { return value != nullptr && value->kind != Node::Kind::null; };
  for (const char* part : text_parts) {
    const Node* text = root.find(part);
    if (text == nullptr || text->kind != Node::Kind::table) continue;
    if (const Node* value = find_value(*text, names)) return value;
  }
  for (const char* name : names) {
    if (const Node* value = root.find(name); said(value)) return value;
  }
  return nullptr;
}

std::optional<WeightFormat> read_dtype(const Node& root) {
  const Node* value = find_value(root, {"dtype", "torch_dtype"});
  if (value == nullptr || (value->kind == Node::Kind::text && value->text == "auto")) return std::nullopt;
  const std::string where = value->where + ": dtype";
  const std::string name = value->text.starts_with("torch.") ? value->text.substr(6) : value->text;
  for (const char* known : {"float32", "float16", "bfloat16"}) {
    if (value->kind == Node::Kind::text && name == known) return weight_format(name, where);
  }
  if (name == "float8_e4m3fn") return weight_format("fp8", where);
  throw InputError(where, "unknown type '" + printable(value->text) + "'",
                   "valid: float32, float16, bfloat16; or choose with --weights and --dense-weights");
}

/// `expert_dtype` of DeepSeek-V4, whose quantization_config is about the rest.
void read_expert_dtype(const Node& root, CheckpointFormats& formats) {
  const Node* value = find_value(root, {"expert_dtype"});
  if (value == nullptr) return;
  const std::string where = value->where + ": expert_dtype";
  if (value->text == "fp4") {
    formats.experts = weight_format("mxfp4", where);  // e2m1 with an e8m0 scale for each 32
  } else if (value->text != "fp8" && value->text != "bf16" && value->text != "bfloat16") {
    throw InputError(where, "unknown type '" + printable(value->text) + "'",
                     "known: fp4, fp8, bf16; or choose --weights");
  } else if (value->text != "fp8") {
    formats.experts = weight_format("bf16", where);
  }
}

}  // namespace

std::span<const std::string_view> checkpoint_format_keys() { return keys; }

const WeightFormat& CheckpointFormats::of(std::span<const std::string> names) const {
  const auto in = [&](const ModulePatterns& patterns) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return patterns.matches(name); });
  };
  if (in(wide_modules)) return *wide;
  for (const Scheme& scheme : schemes) {
    if (scheme.all_linear || in(scheme.targets)) return scheme.format;
  }
  return *wide;
}

CheckpointFormats read_checkpoint_formats(const Node& root, const Node* beside) {
  CheckpointFormats formats;
  formats.wide = read_dtype(root);
  const Node* quantization = find_value(root, {"quantization_config", "compression_config"});
  const Node* of_modelopt = beside == nullptr ? nullptr : beside->find("quantization");
  if (beside != nullptr && (of_modelopt == nullptr || of_modelopt->kind != Node::Kind::table))
    throw InputError(beside->where, "has no table 'quantization'",
                     "it should be as NVIDIA's Model Optimizer writes it");
  if (quantization == nullptr && of_modelopt == nullptr) {
    if (formats.wide) read_expert_dtype(root, formats);
    return formats;
  }
  if (!formats.wide) {
    formats.wide = weight_format("bf16", root.where);
    formats.notes.emplace_back("the file names no dtype: what is not quantised is taken as bf16");
  }
  if (quantization != nullptr) {
    if (quantization->kind != Node::Kind::table)
      throw InputError(quantization->where + ": quantization_config", "must be a table");
    TableReader config(*quantization, "quantization_config");
    read_quantization_config(config, formats);
  }
  if (of_modelopt != nullptr) {
    TableReader config(*of_modelopt, "quantization");
    CheckpointFormats said;
    said.wide = formats.wide;
    read_modelopt(config, said);
    // The two say the same where both are there; only the file beside names the format of the cache.
    if (quantization == nullptr) {
      formats.schemes = std::move(said.schemes);
      formats.wide_modules = std::move(said.wide_modules);
    }
    if (said.kv.bits_per_parameter > 0) formats.kv = said.kv;
  }
  read_expert_dtype(root, formats);
  return formats;
}

}  // namespace pregate
