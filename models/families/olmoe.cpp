// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// OLMoE, and FlexOlmo, whose norms stand after attention and experts rather than before.
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_olmoe(TableReader& config, ModelSpec& model) {
  model.family = config.text("model_type");
  const int layers = read_decoder(config, model);
  Mixer attention = read_grouped_query(config, model.d_model);
  read_attention_bias(config, attention, false);
  attention.qk_norm_full_width = true;
  const FeedForward experts = moe_layer(read_gated_experts(config, "num_experts", "intermediate_size"));
  for (int i = 0; i < layers; ++i) model.stacks[0].add_layer(attention, experts);
}

}  // namespace

Family olmoe() { return {{"olmoe", "flex_olmo"}, read_olmoe, {"clip_qkv"}}; }

}  // namespace pregate::families
