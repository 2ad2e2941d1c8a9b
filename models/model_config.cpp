// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A Hugging Face config.json: its family's reader, and the formats of the weights.
#include "models/config_families.hpp"
#include "models/readers.hpp"

namespace pregate {
namespace {

WeightFormat format_of_dtype(TableReader& config, const std::string& where) {
  const char* key = config.has("torch_dtype") ? "torch_dtype" : "dtype";  // transformers 5 writes dtype
  if (!config.has(key)) {
    throw InputError(where, "says nothing about the format of the weights (torch_dtype)",
                     "choose it with --weights, e.g. --weights bf16");
  }
  const std::string dtype = config.text(key);
  const std::string at = config.where(key);
  if (dtype == "float32") return weight_format("fp32", at);
  if (dtype == "float16") return weight_format("fp16", at);
  if (dtype == "bfloat16") return weight_format("bf16", at);
  throw InputError(at, "unknown type '" + printable(dtype) + "'",
                   "valid: float32, float16, bfloat16; or use --weights");
}

/// What quantization_config says of a checkpoint; the experts only where it is mxfp4 (gpt-oss keeps the
/// rest).
void read_quantization(TableReader& config, ModelSpec& model) {
  auto quantization = config.table_if("quantization_config");
  if (!quantization) return;
  const std::string method = quantization->text("quant_method");
  const std::string at = config.where("quantization_config");
  if (method == "mxfp4") {
    model.expert_format = weight_format("mxfp4", at);
  } else if (method == "fp8") {
    const char* name = "fp8";
    if (const Node* block = quantization->find("weight_block_size")) {
      const bool known =
          block->items.size() == 2 && block->items[0].integer == 128 && block->items[1].integer == 128;
      if (!known)
        throw InputError(at, "unknown weight_block_size", "known: [128, 128]; choose with --weights");
      name = "fp8_block128";
    }
    model.expert_format = weight_format(name, at);
    model.embedding_format = model.dense_format;  // the checkpoints keep these as torch_dtype says
    model.dense_format = weight_format(name, at);
  } else {
    throw InputError(at, "unknown quant_method '" + printable(method) + "'",
                     "known: fp8, mxfp4; choose the format with --weights");
  }
}

void read_formats(TableReader& config, ModelSpec& model, const ModelOptions& options,
                  const std::string& where) {
  const bool experts_chosen = !options.weights.empty();
  const bool dense_chosen = !options.dense_weights.empty();
  if (experts_chosen) model.expert_format = weight_format(options.weights, "weights");
  if (dense_chosen) model.dense_format = weight_format(options.dense_weights, "dense weights");
  const bool dtype_known = config.has("torch_dtype") || config.has("dtype");
  const WeightFormat stored = dtype_known || !experts_chosen ? format_of_dtype(config, where)
                                                             : weight_format(options.weights, "weights");
  ModelSpec described = model;
  described.expert_format = stored;
  described.dense_format = stored;
  if (!experts_chosen) read_quantization(config, described);
  if (!experts_chosen) model.expert_format = described.expert_format;
  if (!dense_chosen) {
    model.dense_format = described.dense_format;
    model.embedding_format = described.embedding_format;
  }
  // The cache holds activations, which stay in the type the model computes in, whatever the weights are
  // stored as.
  model.kv_format = stored.bits_per_parameter >= 16 ? stored : weight_format("bf16", where);
}

const ConfigFamily& family_of(TableReader& config, const std::string& where) {
  std::vector<std::string> known;
  known.reserve(config_families().size());
  for (const ConfigFamily& family : config_families()) known.emplace_back(family.model_type);
  if (!config.has("model_type")) {
    throw InputError(where, "is no config.json of a model: the field 'model_type' is missing",
                     suggest("", known));
  }
  const std::string type = config.text("model_type");
  for (const ConfigFamily& family : config_families()) {
    if (type == family.model_type) return family;
  }
  std::string missing;
  for (const char* field : {"num_hidden_layers", "hidden_size", "num_attention_heads", "num_experts_per_tok",
                            "moe_intermediate_size", "num_experts"}) {
    if (!config.has(field)) missing += (missing.empty() ? "" : ", ") + std::string(field);
  }
  throw InputError(
      where,
      "model_type '" + printable(type) + "' is not a family known here" +
          (missing.empty() ? "" : "; fields a MoE family would have that are missing: " + missing),
      suggest(type, known) + "; or describe the model in TOML (docs/models.md)");
}

/// A field that `--set` introduced and no reader asked for would be silently without effect.
void refuse_unused_options(const TableReader& config, const Node& root) {
  for (const auto& [key, value] : root.members) {
    if (value.where != root.where && !config.knows(key)) {
      throw InputError(
          value.where,
          "the config.json of this family has no field '" + printable(key) + "' that matters here",
          suggest(key, config.known()));
    }
  }
}

}  // namespace

ModelSpec read_model_config(const Node& root, const std::string& name, const ModelOptions& options) {
  ModelSpec model;
  TableReader config(root, "");
  const ConfigFamily& family = family_of(config, root.where);
  model.name = name;
  model.description = std::string(family.model_type) + " as described by " + root.where;
  model.source = root.where;
  model.vocabulary = config.integer("vocab_size", 1, 100'000'000);
  family.read(config, model);
  read_formats(config, model, options, root.where);
  refuse_unused_options(config, root);
  validate(model, root.where);
  return model;
}

}  // namespace pregate
