// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// dots.llm1: routing of DeepSeek-V3 with grouped-query attention.
#include "models/families/by_layer.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_dots1(TableReader& config, ModelSpec& model) {
  model.family = "dots1";
  const int layers = read_decoder(config, model);
  Mixer full = read_grouped_query(config, model.d_model);
  read_attention_bias(config, full, false);
  full.qk_norm = true;
  Mixer sliding = full;
  sliding.window = dimension_or(config, "sliding_window", 0);
  const int first_sliding = dimension_or(config, "max_window_layers", layers);
  std::vector<bool> slides = sliding_layers(config, layers);
  MoeBlock moe = read_gated_experts(config, "n_routed_experts", "moe_intermediate_size");
  moe.router_bias = true;  // e_score_correction_bias
  const auto shared = config.integer_or("n_shared_experts", 0, 1024, 0);
  moe.shared_ffn_dim = product(config, "n_shared_experts", shared, moe.ffn_dim);
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  const int first = dimension_or(config, "first_k_dense_replace", 0);
  const auto step = config.integer_or("moe_layer_freq", 1, most_layers, 1);
  for (int i = 0; i < layers; ++i) {
    const bool is_sliding = slides.empty() ? i >= first_sliding : slides[static_cast<std::size_t>(i)];
    model.stacks[0].add_layer(is_sliding ? sliding : full,
                              i >= first && i % step == 0 ? moe_layer(moe) : dense);
  }
  leave_out_prediction(config, model, "num_nextn_predict_layers");
}

}  // namespace

Family dots1() { return {{"dots1"}, read_dots1, {"use_sliding_window"}}; }

}  // namespace pregate::families
