// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Qwen2-MoE, Qwen3-MoE and the text part of Qwen3-VL-MoE.
#include <algorithm>

#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read(TableReader& config, ModelSpec& model) {
  const bool second = config.text("model_type") == "qwen2_moe";
  model.family = second ? "qwen2_moe" : "qwen3_moe";
  const int layers = read_decoder(config, model);
  Mixer attention = read_grouped_query(config, model.d_model);
  MoeBlock moe = read_gated_experts(config, "num_experts", "moe_intermediate_size");
  if (second) {
    attention.qkv_bias = config.boolean_or("qkv_bias", true);
    moe.shared_ffn_dim = dimension(config, "shared_expert_intermediate_size");
    moe.shared_gate = true;
  } else {
    read_attention_bias(config, attention, false);
    attention.qk_norm = true;
  }
  if (config.boolean_or("use_sliding_window", false)) {
    throw InputError(config.where("use_sliding_window"), "sliding windows of this family are not described",
                     "the released models leave it off; set it to false");
  }
  const FeedForward dense = dense_layer(dimension_or(config, "intermediate_size", 0));
  // Layers are sparse by a step, and not where mlp_only_layers names them.
  const auto step = config.integer_or("decoder_sparse_step", 1, most_layers, 1);
  const std::vector<int> only_dense = layer_numbers(config, "mlp_only_layers", layers);
  for (int i = 0; i < layers; ++i) {
    const bool sparse =
        (i + 1) % step == 0 && std::find(only_dense.begin(), only_dense.end(), i) == only_dense.end();
    model.stacks[0].add_layer(attention, sparse ? moe_layer(moe) : dense);
  }
}

}  // namespace

Family qwen_moe() {
  return {{"qwen2_moe", "qwen3_moe", "qwen3_vl_moe", "qwen3_vl_moe_text", "qwen3_omni_moe_text"},
          read,
          // without use_sliding_window these are not looked at
          {"sliding_window", "max_window_layers"}};
}

}  // namespace pregate::families
