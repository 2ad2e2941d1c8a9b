// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_gpt_oss(TableReader& config, ModelSpec& model) {
  model.family = "gpt_oss";
  const int layers = read_decoder(config, model);
  Mixer full = read_grouped_query(config, model.d_model);
  full.head_dim = dimension(config, "head_dim");  // where it is left out 64 by its class
  read_attention_bias(config, full, true);
  full.sinks = true;
  Mixer sliding = full;
  sliding.window = dimension(config, "sliding_window");
  MoeBlock moe = read_gated_experts(config, "num_local_experts", "intermediate_size");
  moe.expert_bias = true;
  moe.router_bias = true;
  const std::vector<bool> slides = special_layers(config, layers, "sliding_attention");
  for (int i = 0; i < layers; ++i) {
    // Where the list is absent, GptOssConfig alternates, starting with a sliding layer.
    const bool is_sliding = slides.empty() ? i % 2 == 0 : slides[static_cast<std::size_t>(i)];
    model.stacks[0].add_layer(is_sliding ? sliding : full, moe_layer(moe));
  }
}

}  // namespace

Family gpt_oss() {
  return {{"gpt_oss"}, read_gpt_oss, {"swiglu_limit", "experts_per_token", "initial_context_length"}};
}

}  // namespace pregate::families
