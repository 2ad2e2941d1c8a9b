// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Qwen3-Next and the text part of Qwen3.5-MoE, which Qwen3.6 shares: gated delta nets, and every fourth layer
// softmax attention whose output is gated; a shared expert behind a gate in every MoE layer.
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_qwen_next(TableReader& config, ModelSpec& model) {
  model.family = config.text("model_type") == "qwen3_next" ? "qwen3_next" : "qwen3_5_moe";
  const int layers = read_decoder(config, model);
  Mixer attention = read_grouped_query(config, model.d_model);
  attention.head_dim = dimension(config, "head_dim");  // where it is left out 256 by their classes
  read_attention_bias(config, attention, false);
  attention.qk_norm = true;
  attention.output_gate = config.boolean_or("attn_output_gate", true);
  const Mixer linear = read_gated_delta_net(config);
  MoeBlock moe = read_gated_experts(config, "num_experts", "moe_intermediate_size");
  moe.shared_ffn_dim = dimension(config, "shared_expert_intermediate_size");
  moe.shared_gate = true;
  refuse_sliding_window(config);
  const FeedForward dense = dense_layer(dimension_or(config, "intermediate_size", 0));
  const std::vector<bool> sparse = sparse_layers_of_qwen(config, layers);
  const std::vector<bool> is_linear = linear_layers(config, layers);
  for (std::size_t i = 0; i < is_linear.size(); ++i)
    model.stacks[0].add_layer(is_linear[i] ? linear : attention, sparse[i] ? moe_layer(moe) : dense);
  leave_out_prediction(config, model, "mtp_num_hidden_layers");
  leave_out_prediction(config, model, "num_nextn_predict_layers");
}

}  // namespace

Family qwen_next() {
  return {{"qwen3_next", "qwen3_5_moe", "qwen3_5_moe_text"},
          read_qwen_next,
          {"sliding_window", "max_window_layers", "mtp_use_dedicated_embeddings", "output_gate_type"}};
}

}  // namespace pregate::families
