// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_nllb_moe(TableReader& config, ModelSpec& model) {
  model.family = "nllb_moe";
  model.d_model = dimension(config, "d_model");
  model.tied_embeddings = config.boolean_or("tie_word_embeddings", true);
  for (const std::string prefix : {"encoder", "decoder"}) {
    Stack stack;
    stack.name = prefix;
    stack.cross_attention = prefix == "decoder";
    stack.norm_bias = true;
    Mixer attention;
    attention.heads = dimension(config, (prefix + "_attention_heads").c_str());
    attention.kv_heads = attention.heads;
    attention.head_dim = model.d_model / attention.heads;
    attention.qkv_bias = true;
    attention.output_bias = true;
    const FeedForward dense{.ffn_dim = dimension(config, (prefix + "_ffn_dim").c_str()), .bias = true};
    const FeedForward experts = moe_layer({.experts = dimension(config, "num_experts"),
                                           .top_k = 2,  // NllbMoeTop2Router
                                           .ffn_dim = dense.ffn_dim,
                                           .expert_bias = true,
                                           .router_bias = config.boolean_or("router_bias", false)});
    const int step = dimension(config, (prefix + "_sparse_step").c_str());
    const int layers = layer_count(config, (prefix + "_layers").c_str());
    for (int i = 0; i < layers; ++i) stack.add_layer(attention, (i + 1) % step == 0 ? experts : dense);
    model.stacks.push_back(stack);
  }
}

}  // namespace

Family nllb_moe() {
  return {{"nllb-moe"},
          read_nllb_moe,
          {"activation_function", "batch_prioritized_routing", "expert_capacity",
           "moe_eval_capacity_token_fraction", "moe_token_dropout", "normalize_router_prob_before_dropping",
           "num_hidden_layers", "router_dtype", "router_ignore_padding_tokens", "scale_embedding",
           "second_expert_policy", "router_type", "encoder_layerdrop", "decoder_layerdrop"}};
}

}  // namespace pregate::families
