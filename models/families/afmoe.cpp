// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Arcee's Trinity: windows and full layers, attention gated by element, norms before and after each half,
// dense layers first, a shared expert.
#include "models/families/by_layer.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_afmoe(TableReader& config, ModelSpec& model) {
  model.family = "afmoe";
  const int layers = read_decoder(config, model);
  Mixer full = read_grouped_query(config, model.d_model);
  read_attention_bias(config, full, false);
  full.qk_norm = true;
  full.output_gate = true;
  full.norms = 2;
  Mixer sliding = full;
  sliding.window = dimension(config, "sliding_window");
  MoeBlock moe = read_gated_experts(config, "num_experts", "moe_intermediate_size");
  moe.router_bias = true;  // expert_bias
  const auto shared = config.integer_or("num_shared_experts", 0, 1024, 0);
  moe.shared_ffn_dim = product(config, "num_shared_experts", shared, moe.ffn_dim);
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"), 2);
  const auto first = config.integer("num_dense_layers", 0, layers);
  const auto period = config.integer_or("global_attn_every_n_layers", 1, most_layers, 4);
  const std::vector<bool> slides = sliding_layers(config, layers);
  for (int i = 0; i < layers; ++i) {
    const bool is_sliding = slides.empty() ? (i + 1) % period != 0 : slides[static_cast<std::size_t>(i)];
    model.stacks[0].add_layer(is_sliding ? sliding : full, i < first ? dense : moe_layer(moe, 2));
  }
}

}  // namespace

Family afmoe() {
  return {{"afmoe"},
          read_afmoe,
          {"mup_enabled", "route_scale", "route_norm", "score_func", "load_balance_coeff", "use_grouped_mm"}};
}

}  // namespace pregate::families
