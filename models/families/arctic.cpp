// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Snowflake Arctic: a dense feed-forward of width d_model runs beside the experts of a layer.
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_arctic(TableReader& config, ModelSpec& model) {
  model.family = "arctic";
  const int layers = read_decoder(config, model);
  Mixer attention = read_grouped_query(config, model.d_model);
  read_attention_bias(config, attention, false);
  attention.window = dimension_or(config, "sliding_window", 0);
  MoeBlock moe = read_gated_experts(config, "num_local_experts", "intermediate_size");
  const bool beside = config.boolean_or("parallel_attn_mlp_res", false);
  if (beside) moe.shared_ffn_dim = model.d_model;
  const FeedForward dense = dense_layer(moe.ffn_dim);
  // The first layer of a run of moe_layer_frequency is dense where that is more than 1.
  const auto step = config.integer_or("moe_layer_frequency", 1, most_layers, 2);  // ArcticConfig
  for (int i = 0; i < layers; ++i)
    model.stacks[0].add_layer(attention, (i + 1) % step == 0 ? moe_layer(moe, beside ? 2 : 1) : dense);
}

}  // namespace

Family arctic() {
  return {{"arctic"},
          read_arctic,
          {"enable_expert_tensor_parallelism", "moe_eval_capacity_factor", "moe_train_capacity_factor",
           "moe_min_capacity", "moe_token_dropout", "use_residual", "num_experts_base_multiple", "enc_index",
           "quantization"}};
}

}  // namespace pregate::families
