// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

/// The layers that are sparse: every `step`-th of a stack of which `sparse` are MoE
/// (SwitchTransformersConfig).
void add_layers(TableReader& config, Stack& stack, int layers, const char* sparse_key, const char* step_key,
                const Mixer& attention, const FeedForward& experts) {
  const int sparse = static_cast<int>(config.integer(sparse_key, 0, most_layers));
  const int step = dimension_or(config, step_key, sparse > 0 ? layers / sparse : 0);
  const FeedForward dense{.ffn_dim = experts.moe.ffn_dim};
  for (int i = 0; i < layers; ++i)
    stack.add_layer(attention, step > 0 && (step == 1 || i % step == 1) ? experts : dense);
}

void read_switch_transformers(TableReader& config, ModelSpec& model) {
  model.family = "switch";
  model.d_model = dimension(config, "d_model");
  model.tied_embeddings = config.boolean_or("tie_word_embeddings", true);
  model.relative_position_buckets = dimension(config, "relative_attention_num_buckets");
  if (config.text_or("feed_forward_proj", "relu").starts_with("gated-") ||
      config.boolean_or("is_gated_act", false)) {
    throw InputError(config.where("feed_forward_proj"),
                     "gated experts are not of this family: transformers builds none",
                     "describe the model in TOML (docs/models.md)");
  }
  Mixer attention;
  attention.heads = dimension(config, "num_heads");
  attention.kv_heads = attention.heads;
  attention.head_dim = dimension(config, "d_kv");
  const FeedForward experts = moe_layer({.experts = dimension(config, "num_experts"),
                                         .top_k = 1,
                                         .ffn_dim = dimension(config, "d_ff"),
                                         .router_bias = config.boolean_or("router_bias", false)});
  const int layers = layer_count(config, "num_layers");
  const auto decoder_layers = config.integer_or("num_decoder_layers", 1, most_layers, layers);
  model.stacks.resize(2);
  model.stacks[0].name = "encoder";
  model.stacks[1].name = "decoder";
  model.stacks[1].cross_attention = true;
  add_layers(config, model.stacks[0], layers, "num_sparse_encoder_layers", "encoder_sparse_step", attention,
             experts);
  add_layers(config, model.stacks[1], static_cast<int>(decoder_layers), "num_sparse_decoder_layers",
             "decoder_sparse_step", attention, experts);
}

}  // namespace

Family switch_transformers() {
  return {{"switch_transformers"},
          read_switch_transformers,
          {"dense_act_fn", "expert_capacity", "add_router_probs", "batch_prioritized_routing", "n_positions",
           "relative_attention_max_distance", "router_type", "router_dtype", "router_ignore_padding_tokens",
           "num_heads_per_layer"}};
}

}  // namespace pregate::families
