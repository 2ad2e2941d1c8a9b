// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V2, V3 and V3.2, and the models that share their blocks: Kimi-K2, GLM-5.
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read(TableReader& config, ModelSpec& model) {
  model.family = config.text("model_type");
  const int layers = read_decoder(config, model);
  const Mixer attention = read_latent(config);
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  MoeBlock moe = read_gated_experts(config, "n_routed_experts", "moe_intermediate_size");
  moe.router_bias = model.family != "deepseek_v2";  // e_score_correction_bias
  const auto shared = config.integer_or("n_shared_experts", 0, 1024, 0);
  moe.shared_ffn_dim = product(config, "n_shared_experts", shared, moe.ffn_dim);
  const auto first = config.integer("first_k_dense_replace", 0, most_layers);
  const auto step = config.integer_or("moe_layer_freq", 1, most_layers, 1);
  for (int i = 0; i < layers; ++i)
    model.stacks[0].add_layer(attention, i >= first && i % step == 0 ? moe_layer(moe) : dense);
  leave_out_prediction(config, model, "num_nextn_predict_layers");
}

}  // namespace

Family deepseek() {
  return {{"deepseek_v2", "deepseek_v3"}, read, {"num_key_value_heads", "head_dim", "qk_head_dim"}};
}

}  // namespace pregate::families
