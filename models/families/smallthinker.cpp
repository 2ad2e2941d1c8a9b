// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// SmallThinker: a router that stands before the attention, windows in most layers.
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void read_smallthinker(TableReader& config, ModelSpec& model) {
  model.family = "smallthinker";
  const int layers = read_decoder(config, model);
  const Mixer full = read_grouped_query(config, model.d_model);
  Mixer sliding = full;
  sliding.window = dimension_or(config, "sliding_window_size", 0);
  const MoeBlock moe{.experts = dimension(config, "moe_num_primary_experts"),
                     .top_k = dimension(config, "moe_num_active_primary_experts"),
                     .ffn_dim = dimension(config, "moe_ffn_hidden_size"),
                     .gated = true};
  const std::vector<int> slides = numbers_by_layer(config, "sliding_window_layout", layers);
  const std::vector<int> sparse = numbers_by_layer(config, "moe_layer_layout", layers);
  for (int i = 0; i < layers; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const bool is_sliding = !slides.empty() && slides[at] != 0;
    const bool is_sparse = sparse.empty() || sparse[at] != 0;
    model.stacks[0].add_layer(
        is_sliding ? sliding : full,
        is_sparse ? moe_layer(moe) : dense_layer(dimension(config, "dense_ffn_hidden_size")));
  }
}

}  // namespace

Family smallthinker() {
  return {{"smallthinker"},
          read_smallthinker,
          {"model_name", "rope_layout", "moe_enable_early_router", "moe_primary_router_apply_softmax",
           "moe_primary_router_use_sigmoid", "dense_ffn_hidden_size"}};
}

}  // namespace pregate::families
