// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/checkpoint_formats.hpp"

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

}  // namespace

void read_checkpoint_formats(TableReader& config, ModelSpec& model, const ModelOptions& options) {
  const std::string where = config.where();
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

}  // namespace pregate
