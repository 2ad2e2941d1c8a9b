// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_phimoe(TableReader& config, ModelSpec& model) {
  model.family = "phimoe";
  const int layers = read_decoder(config, model);
  model.stacks[0].norm_bias = true;
  model.head_bias = config.boolean_or("lm_head_bias", false);
  Mixer attention = read_grouped_query(config, model.d_model);
  read_attention_bias(config, attention, false);
  attention.window = dimension_or(config, "sliding_window", 0);
  const FeedForward experts = moe_layer(read_gated_experts(config, "num_local_experts", "intermediate_size"));
  for (int i = 0; i < layers; ++i) model.stacks[0].add_layer(attention, experts);
}

}  // namespace

Family phimoe() { return {{"phimoe"}, read_phimoe, {}}; }

}  // namespace pregate::families
