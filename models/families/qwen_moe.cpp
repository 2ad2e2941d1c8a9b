// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Qwen2-MoE, Qwen3-MoE and the text parts of Qwen3-VL-MoE and of Qwen3-Omni's thinker.
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_qwen_moe(TableReader& config, ModelSpec& model) {
  const bool second = config.text("model_type") == "qwen2_moe";
  model.family = second ? "qwen2_moe" : "qwen3_moe";
  const int layers = read_decoder(config, model);
  for (const std::string& word : words_by_layer(config, "layer_types", layers)) {
    if (word == "full_attention") continue;
    throw InputError(config.where("layer_types"),
                     "names '" + printable(word) + "', which layers of " + model.family + " are not",
                     "model_type must be that of the model (qwen3_next and qwen3_5_moe have such layers)");
  }
  Mixer attention = read_grouped_query(config, model.d_model);
  MoeBlock moe = read_gated_experts(config, "num_experts", "moe_intermediate_size");
  if (second) {
    attention.qkv_bias = config.boolean_or("qkv_bias", true);
    moe.shared_ffn_dim = dimension(config, "shared_expert_intermediate_size");
    moe.shared_gate = true;
  } else {
    read_attention_bias(config, attention, false);
    attention.qk_norm = config.boolean_or("use_qk_norm", true);
  }
  refuse_sliding_window(config);
  const FeedForward dense = dense_layer(dimension_or(config, "intermediate_size", 0));
  for (const bool sparse : sparse_layers_of_qwen(config, layers))
    model.stacks[0].add_layer(attention, sparse ? moe_layer(moe) : dense);
}

}  // namespace

Family qwen_moe() {
  return {{"qwen2_moe", "qwen3_moe", "qwen3_vl_moe", "qwen3_vl_moe_text", "qwen3_omni_moe",
           "qwen3_omni_moe_thinker", "qwen3_omni_moe_text"},
          read_qwen_moe,
          // without use_sliding_window these are not looked at
          {"sliding_window", "max_window_layers"}};
}

}  // namespace pregate::families
