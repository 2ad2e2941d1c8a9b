// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Ling 1 and 2 (Bailing): files of both name one type, and the fields tell them apart.
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_bailing_moe(TableReader& config, ModelSpec& model) {
  model.family = "bailing_moe";
  const bool second = config.text("model_type") == "bailing_moe_v2" ||
                      config.boolean_or("moe_router_enable_expert_bias", false);
  const int layers = read_decoder(config, model);
  Mixer attention = read_grouped_query(config, model.d_model);
  attention.output_bias = config.boolean_or("use_bias", false);
  attention.qkv_bias = config.boolean_or("use_qkv_bias", false);
  attention.qk_norm = config.boolean_or("use_qk_norm", second);
  MoeBlock moe = read_gated_experts(config, "num_experts", "moe_intermediate_size");
  moe.router_bias = second;
  const auto shared = config.integer_or("num_shared_experts", 0, 1024, 0);
  const int width = dimension_or(config, "moe_shared_expert_intermediate_size", moe.ffn_dim);
  moe.shared_ffn_dim = product(config, "num_shared_experts", shared, width);
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  const int first = dimension_or(config, "first_k_dense_replace", 0);
  for (int i = 0; i < layers; ++i) model.stacks[0].add_layer(attention, i >= first ? moe_layer(moe) : dense);
  leave_out_prediction(config, model, "num_nextn_predict_layers");
}

}  // namespace

Family bailing_moe() {
  return {{"bailing_moe", "bailing_moe_v2"},
          read_bailing_moe,
          {"norm_head", "norm_softmax", "moe_router_enable_shared_expert", "moe_router_topk_scaling_factor",
           "max_window_layers", "use_sliding_window", "using_split_qkv_in_self_attention", "multi_gate",
           "router_type", "embedding_dropout", "output_dropout", "mtp_loss_scaling_factor"}};
}

}  // namespace pregate::families
