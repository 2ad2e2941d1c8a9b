// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// quantization_config, by its quant_method: field names are those of transformers
// (src/transformers/utils/quantization_config.py), of compressed-tensors (quant_args.py, quant_scheme.py) and
// of NVIDIA's Model Optimizer (hf_quant_config.json).
#include "models/formats/quantization_methods.hpp"

#include <algorithm>
#include <array>

#include "models/error.hpp"
#include "models/formats/weight_format.hpp"

namespace pregate {
namespace {

constexpr const char* way_out = "choose the formats with --weights and --dense-weights";

int bits_of(TableReader& config, const char* key) { return static_cast<int>(config.integer(key, 2, 8)); }

/// Elements that share a scale; -1 and 0 are a whole row.
int group_of(TableReader& config, const char* key, int fallback) {
  const auto group = config.integer_or(key, -1, 1 << 20, fallback);
  return group < 0 ? 0 : static_cast<int>(group);
}

void all_linear(CheckpointFormats& formats, WeightFormat format) {
  formats.schemes.push_back({.format = std::move(format), .all_linear = true, .targets = {}});
}

void read_fp8(TableReader& config, CheckpointFormats& formats) {
  int rows = 0, columns = 0;
  if (const Node* block = config.find("weight_block_size")) {
    const auto is_size = [](const Node& n) {
      return n.kind == Node::Kind::integer && n.integer > 0 && n.integer <= (1 << 20);
    };
    if (block->items.size() != 2 || !is_size(block->items[0]) || !is_size(block->items[1]))
      throw InputError(config.where("weight_block_size"), "must be a list of two sizes, e.g. [128, 128]");
    rows = static_cast<int>(block->items[0].integer);
    columns = static_cast<int>(block->items[1].integer);
  }
  all_linear(formats, block_fp8_format(rows, columns));
  add_patterns(config, "modules_to_not_convert", formats.wide_modules);
  add_patterns(config, "ignored_layers", formats.wide_modules);
}

/// Only the routed experts (transformers replaces no other module).
void read_mxfp4(TableReader& config, CheckpointFormats& formats) {
  formats.experts = weight_format("mxfp4", config.where());
}

void read_awq(TableReader& config, CheckpointFormats& formats) {
  const int bits = bits_of(config, config.has("bits") ? "bits" : "w_bit");
  const int group = group_of(config, config.has("group_size") ? "group_size" : "q_group_size", 128);
  all_linear(formats, grouped_integer_format(bits, group, config.boolean_or("zero_point", true)));
  add_patterns(config, "modules_to_not_convert", formats.wide_modules);
}

/// Optimum's modules_in_block_to_quantize: lists of modules of a layer, quantised one list after the other;
/// what no list names stays wide. Of a layer's experts the first stands for all, as it does in targets.
void read_modules_of_block(TableReader& config, CheckpointFormats::Scheme& scheme) {
  constexpr const char* key = "modules_in_block_to_quantize";
  const Node* lists = config.find(key);
  if (lists == nullptr || lists->items.empty()) return;
  scheme.all_linear = false;
  const auto add = [&](const Node& module) {
    if (module.kind != Node::Kind::text)
      throw InputError(config.where(key), "must be a list of lists of modules");
    scheme.targets.add(module.text, config.where(key));
  };
  for (const Node& list : lists->items) {
    if (list.kind != Node::Kind::array) {
      add(list);
      continue;
    }
    for (const Node& module : list.items) add(module);
  }
}

void read_gptq(TableReader& config, CheckpointFormats& formats) {
  // Zero points are stored for symmetric weights as well (qzeros).
  const int bits = bits_of(config, "bits");
  WeightFormat format = grouped_integer_format(bits, group_of(config, "group_size", 128), true);
  if (format.name == "awq") format.name = "gptq";
  all_linear(formats, format);
  read_modules_of_block(config, formats.schemes.back());
  formats.head_quantized = config.boolean_or("lm_head", false);
  // The router of most families is no linear layer to the quantizer, or kept.
  add_patterns(config, "modules_in_block_to_keep", formats.wide_modules);
  add_patterns(config, "modules_to_not_convert", formats.wide_modules);
  const Node* dynamic = config.find("dynamic");
  if (dynamic == nullptr) return;
  for (const auto& [pattern, change] : dynamic->members) {
    // GPTQModel: "-:" leaves a module as it is, "+:" or nothing changes how it is quantised.
    if (pattern.starts_with("-:")) {
      formats.wide_modules.add("re:" + pattern.substr(2), config.where("dynamic"));
      continue;
    }
    const Node* other = change.find("bits");
    if (other != nullptr && other->integer != bits)
      throw InputError(config.where("dynamic"),
                       "quantises '" + printable(pattern) + "' with other bits, which is not read", way_out);
  }
}

/// Intel's AutoRound: packed as GPTQ or AWQ; extra_config names modules with other bits.
void read_auto_round(TableReader& config, CheckpointFormats& formats) {
  const int bits = bits_of(config, "bits");
  all_linear(formats, grouped_integer_format(bits, group_of(config, "group_size", 128), true));
  const Node* extra = config.find("extra_config");
  if (extra == nullptr) return;
  for (const auto& [pattern, change] : extra->members) {
    const Node* other = change.find("bits");
    if (other == nullptr || other->integer == bits) continue;
    if (other->integer < 16) {
      throw InputError(config.where("extra_config"),
                       "quantises '" + printable(pattern) + "' with other bits, which is not read", way_out);
    }
    const bool expression = pattern.find_first_of("*[(\\") != std::string::npos;
    formats.wide_modules.add((expression ? "re:" : "") + pattern, config.where("extra_config"));
  }
}

void read_bitsandbytes(TableReader& config, CheckpointFormats& formats) {
  if (config.boolean_or("load_in_4bit", false)) {
    WeightFormat format = weight_format("nf4", config.where());
    if (!config.boolean_or("bnb_4bit_use_double_quant", false))
      format = {"nf4_fp32_scales", 4 + 32.0 / 64, "bf16"};
    all_linear(formats, format);
  } else if (config.boolean_or("load_in_8bit", false)) {
    all_linear(formats, weight_format("int8", config.where()));
  } else {
    throw InputError(config.where(), "is of bitsandbytes, but says neither load_in_4bit nor load_in_8bit",
                     way_out);
  }
  add_patterns(config, "llm_int8_skip_modules", formats.wide_modules);
}

/// `weights` of a group of compressed-tensors (QuantizationArgs).
WeightFormat read_weights(TableReader& weights) {
  const int bits = bits_of(weights, "num_bits");
  const std::string type = weights.text_or("type", "int");
  const int group = group_of(weights, "group_size", 0);
  const std::string strategy = weights.text_or("strategy", group > 0 ? "group" : "tensor");
  if (type == "int") return grouped_integer_format(bits, group, !weights.boolean_or("symmetric", true));
  if (type != "float" || (bits != 4 && bits != 8))
    throw InputError(
        weights.where("type"),
        "has " + std::to_string(bits) + " bits of type '" + printable(type) + "', which is not known here",
        way_out);
  if (bits == 8) {
    if (group == 32) return weight_format("mxfp8", weights.where());
    int rows = 0, columns = 0;
    if (const Node* block = weights.find("block_structure"); block != nullptr && block->items.size() == 2) {
      rows = static_cast<int>(std::clamp<std::int64_t>(block->items[0].integer, 0, 1 << 20));
      columns = static_cast<int>(std::clamp<std::int64_t>(block->items[1].integer, 0, 1 << 20));
    }
    return block_fp8_format(rows, columns);
  }
  if (group == 16) return weight_format("nvfp4", weights.where());
  if (group == 32) return weight_format("mxfp4", weights.where());
  throw InputError(weights.where("group_size"),
                   "has 4-bit floats in groups of " + std::to_string(group) + " (" + printable(strategy) +
                       "); 16 (nvfp4) and 32 (mxfp4) are known",
                   way_out);
}

/// The targets of a group: classes of modules, or names.
void read_targets(TableReader& group, CheckpointFormats::Scheme& scheme) {
  const Node* targets = group.find("targets");
  scheme.all_linear = targets == nullptr;
  if (targets == nullptr) return;
  for (const Node& target : targets->items) {
    if (target.kind != Node::Kind::text) throw InputError(group.where("targets"), "must be a list of texts");
    const bool is_class = !target.text.empty() && target.text.front() >= 'A' && target.text.front() <= 'Z' &&
                          target.text.find_first_of(".*:") == std::string::npos;
    if (!is_class) {
      scheme.targets.add(target.text, group.where("targets"));
    } else if (target.text.ends_with("Linear")) {
      scheme.all_linear = true;
    } else if (target.text.find("Expert") != std::string::npos ||
               target.text.find("MoE") != std::string::npos) {
      scheme.targets.add("experts", group.where("targets"));
    } else if (target.text != "Embedding" && !target.text.ends_with("Attention")) {
      throw InputError(group.where("targets"),
                       "names a class '" + printable(target.text) + "' that is not known here", way_out);
    }
  }
}

void read_config_groups(TableReader& config, CheckpointFormats& formats) {
  auto groups = config.table_if("config_groups");
  if (!groups) return;
  for (const auto& [name, value] : groups->node().members) {
    TableReader group = groups->table(name);
    auto weights = group.table_if("weights");
    if (!weights) continue;  // activations alone
    CheckpointFormats::Scheme scheme;
    scheme.format = read_weights(*weights);
    read_targets(group, scheme);
    formats.schemes.push_back(std::move(scheme));
  }
}

void read_cache_scheme(TableReader& config, CheckpointFormats& formats) {
  auto scheme = config.table_if("kv_cache_scheme");
  if (!scheme) return;
  const auto bits = scheme->integer("num_bits", 4, 16);
  if (bits == 8) {
    formats.kv = weight_format(scheme->text_or("type", "float") == "int" ? "int8" : "fp8", scheme->where());
  } else if (bits == 4) {
    formats.kv = weight_format("nvfp4", scheme->where());
  }
}

void read_compressed_tensors(TableReader& config, CheckpointFormats& formats) {
  if (auto sparsity = config.table_if("sparsity_config")) {
    const std::string kind = sparsity->text_or("format", "dense");
    if (kind != "dense")
      throw InputError(sparsity->where("format"), "sparse weights ('" + printable(kind) + "') are not read",
                       way_out);
  }
  read_config_groups(config, formats);
  if (formats.schemes.empty()) throw InputError(config.where(), "has no config_groups with weights", way_out);
  add_patterns(config, "ignore", formats.wide_modules);
  read_cache_scheme(config, formats);
}

/// AMD's Quark: one global format and a list of what is left out.
void read_quark(TableReader& config, CheckpointFormats& formats) {
  TableReader global = config.table("global_quant_config");
  TableReader weight = global.table("weight");
  const std::string type = weight.text("dtype");
  const int group = group_of(weight, "group_size", 0);
  if (type == "fp4" && group == 32) {
    all_linear(formats, weight_format("mxfp4", weight.where()));
  } else if (type == "fp8_e4m3") {
    all_linear(formats, weight_format("fp8", weight.where()));
  } else if (type == "int8" || type == "int4" || type == "uint4") {
    all_linear(formats, grouped_integer_format(type == "int8" ? 8 : 4, group, type == "uint4"));
  } else {
    throw InputError(weight.where("dtype"),
                     "'" + printable(type) + "' in groups of " + std::to_string(group) + " is not known here",
                     way_out);
  }
  if (const Node* layers = config.find("layer_quant_config"); layers != nullptr && !layers->members.empty())
    throw InputError(config.where("layer_quant_config"),
                     "quantises layers in ways of their own, which is not read", way_out);
  add_patterns(config, "exclude", formats.wide_modules);
}

/// The quant_algo names of modelopt (modelopt/torch/export/model_config.py).
WeightFormat format_of_algorithm(const std::string& name, int group, const std::string& where) {
  if (name == "NVFP4" || name == "NVFP4_AWQ" || name == "W4A16_NVFP4") return weight_format("nvfp4", where);
  if (name == "FP8" || name == "FP8_PER_CHANNEL_PER_TOKEN") return weight_format("fp8", where);
  if (name == "FP8_PB_WO" || name == "FP8_PB_REAL" || name == "FP8_PB") return block_fp8_format(128, 128);
  if (name == "MXFP8") return weight_format("mxfp8", where);
  if (name == "MXFP4" || name == "W4A8_MXFP4_FP8" || name == "W4A16_MXFP4")
    return weight_format("mxfp4", where);
  if (name == "W4A16" || name == "W4A16_AWQ" || name == "W4A8_AWQ" || name == "INT4_AWQ")
    return grouped_integer_format(4, group > 0 ? group : 128, false);
  if (name == "W8A16" || name == "INT8" || name.starts_with("W8A8_SQ")) return weight_format("int8", where);
  throw InputError(where, "unknown quant_algo '" + printable(name) + "'", way_out);
}

struct Method {
  std::string_view name;
  void (*read)(TableReader&, CheckpointFormats&);
};

constexpr std::array methods{
    Method{"fp8", read_fp8},
    Method{"fbgemm_fp8", read_fp8},
    Method{"mxfp4", read_mxfp4},
    Method{"awq", read_awq},
    Method{"gptq", read_gptq},
    Method{"auto-round", read_auto_round},
    Method{"intel/auto-round", read_auto_round},
    Method{"bitsandbytes", read_bitsandbytes},
    Method{"compressed-tensors", read_compressed_tensors},
    Method{"modelopt", read_modelopt},
    Method{"modelopt_fp4", read_modelopt},
    Method{"quark", read_quark},
};

}  // namespace

void add_patterns(TableReader& config, const char* key, ModulePatterns& patterns) {
  const Node* list = config.find(key);
  if (list == nullptr) return;
  if (list->kind != Node::Kind::array) throw InputError(config.where(key), "must be a list of modules");
  for (const Node& item : list->items) {
    if (item.kind != Node::Kind::text) throw InputError(config.where(key), "must be a list of modules");
    patterns.add(item.text, config.where(key));
  }
}

void read_modelopt(TableReader& config, CheckpointFormats& formats) {
  const std::string algorithm = config.text_or("quant_algo", "");
  const int group = group_of(config, "group_size", 0);
  if (algorithm == "MIXED_PRECISION") {
    const Node* layers = config.find("quantized_layers");
    if (layers == nullptr || layers->members.empty())
      throw InputError(config.where(), "is MIXED_PRECISION, but has no quantized_layers", way_out);
    // One scheme a format, of the modules that are named for it.
    std::map<std::string, std::size_t> known;
    for (const auto& [name, value] : layers->members) {
      const Node* of = value.find("quant_algo");
      if (of == nullptr || of->kind != Node::Kind::text)
        throw InputError(config.where("quantized_layers"), "'" + printable(name) + "' has no quant_algo");
      const auto [entry, added] = known.try_emplace(of->text, formats.schemes.size());
      if (added) {
        formats.schemes.push_back(
            {.format = format_of_algorithm(of->text, group, config.where("quantized_layers")),
             .all_linear = false,
             .targets = {}});
      }
      formats.schemes[entry->second].targets.add(name, config.where("quantized_layers"));
    }
  } else if (!algorithm.empty()) {
    all_linear(formats, format_of_algorithm(algorithm, group, config.where("quant_algo")));
  } else {
    read_config_groups(config, formats);
    if (formats.schemes.empty() && !config.has("kv_cache_quant_algo"))
      throw InputError(config.where(), "has neither quant_algo nor config_groups", way_out);
  }
  add_patterns(config, "exclude_modules", formats.wide_modules);
  add_patterns(config, "ignore", formats.wide_modules);
  read_cache_scheme(config, formats);
  const std::string cache = config.text_or("kv_cache_quant_algo", "");
  if (cache.empty() || cache == "none" || cache == "NONE") return;
  if (cache != "FP8" && cache != "NVFP4" && cache != "INT8")
    throw InputError(config.where("kv_cache_quant_algo"), "unknown '" + printable(cache) + "'",
                     "known: FP8, NVFP4, INT8");
  formats.kv = weight_format(cache == "FP8" ? "fp8" : cache == "NVFP4" ? "nvfp4" : "int8", config.where());
}

void read_quantization_config(TableReader& config, CheckpointFormats& formats) {
  std::string name = config.text_or("quant_method", "");
  if (name.empty() && config.has("quant_algo")) name = "modelopt";
  for (const Method& method : methods) {
    if (name == method.name) return method.read(config, formats);
  }
  std::string known;
  for (const Method& method : methods) known += (known.empty() ? "" : ", ") + std::string(method.name);
  throw InputError(config.where("quant_method"), "unknown quant_method '" + printable(name) + "'",
                   "known: " + known + "; " + way_out);
}

}  // namespace pregate
