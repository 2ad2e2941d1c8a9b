// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// DBRX: attention and experts in tables of their own; LayerNorms without bias.
#include "models/families/by_layer.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_dbrx(TableReader& config, ModelSpec& model) {
  model.family = "dbrx";
  model.d_model = dimension(config, "d_model");
  model.tied_embeddings = config.boolean_or("tie_word_embeddings", false);
  model.stacks.emplace_back().name = "decoder";
  TableReader attention_table = config.table("attn_config");
  Mixer attention;
  attention.heads = dimension(config, "n_heads");
  attention.kv_heads = dimension_or(attention_table, "kv_n_heads", 1);  // DbrxAttentionConfig
  attention.head_dim = model.d_model / attention.heads;
  refuse_unread(attention_table, {"hidden_size", "dtype", "torch_dtype"});
  TableReader experts = config.table("ffn_config");
  const FeedForward moe = moe_layer({.experts = dimension(experts, "moe_num_experts"),
                                     .top_k = dimension(experts, "moe_top_k"),
                                     .ffn_dim = dimension(experts, "ffn_hidden_size"),
                                     .gated = true});
  refuse_unread(experts, {"hidden_size", "dtype", "torch_dtype", "uniform_expert_assignment"});
  const int layers = layer_count(config, "n_layers");
  for (int i = 0; i < layers; ++i) model.stacks[0].add_layer(attention, moe);
}

}  // namespace

Family dbrx() {
  // written by transformers 5 beside attn_config, which says it
  return {{"dbrx"}, read_dbrx, {"num_key_value_heads"}};
}

}  // namespace pregate::families
