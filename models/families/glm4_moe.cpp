// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// GLM-4.5, 4.6 and 4.7, and the text part of GLM-4.5V and 4.6V.
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_glm4_moe(TableReader& config, ModelSpec& model) {
  model.family = "glm4_moe";
  const int layers = read_decoder(config, model);
  Mixer attention = read_grouped_query(config, model.d_model);
  attention.qkv_bias = config.boolean_or("attention_bias", false);  // o_proj has none
  attention.qk_norm = config.boolean_or("use_qk_norm", false);
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  MoeBlock moe = read_deepseek_experts(config);
  moe.router_bias = true;  // e_score_correction_bias
  for (const bool sparse : sparse_layers_of_deepseek(config, layers, 1))
    model.stacks[0].add_layer(attention, sparse ? moe_layer(moe) : dense);
  leave_out_prediction(config, model, "num_nextn_predict_layers");
}

}  // namespace

Family glm4_moe() { return {{"glm4_moe", "glm4v_moe", "glm4v_moe_text"}, read_glm4_moe, {}}; }

}  // namespace pregate::families
