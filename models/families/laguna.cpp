// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Laguna: sliding and full layers with head counts of their own, attention gated by head or by element.
#include <algorithm>

#include "models/error.hpp"
#include "models/families/by_layer.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

/// gating: true or "per-head" a gate a head, "per-element" one for every element of the output, false none.
void read_gating(TableReader& config, Mixer& attention) {
  const Node* gating = config.find("gating");
  if (gating == nullptr || gating->kind == Node::Kind::boolean) {
    attention.head_gate = config.boolean_or("gating", true);
    return;
  }
  const std::string word = config.text("gating");
  if (word != "per-head" && word != "per-element") {
    throw InputError(config.where("gating"), "unknown gate '" + printable(word) + "'",
                     "valid: true, false, per-head, per-element");
  }
  attention.head_gate = word == "per-head";
  attention.output_gate = word == "per-element";
}

void read_laguna(TableReader& config, ModelSpec& model) {
  model.family = "laguna";
  const int layers = read_decoder(config, model);
  Mixer attention = read_grouped_query(config, model.d_model);
  const bool qkv_bias = config.boolean_or("qkv_bias", false);
  read_attention_bias(config, attention, false);
  attention.qkv_bias = attention.qkv_bias || qkv_bias;
  attention.qk_norm = true;
  read_gating(config, attention);
  MoeBlock moe = read_gated_experts(config, "num_experts", "moe_intermediate_size");
  moe.router_bias = true;  // e_score_correction_bias
  moe.shared_ffn_dim = dimension_or(config, "shared_expert_intermediate_size", 0);
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  const std::vector<bool> slides = sliding_layers(config, layers);
  const int window = dimension_or(config, "sliding_window", 0);
  const std::vector<int> heads = numbers_by_layer(config, "num_attention_heads_per_layer", layers);
  const std::vector<bool> sparse = sparse_layers(config, layers);
  const auto step = config.integer_or("decoder_sparse_step", 1, most_layers, 1);
  std::vector<int> only_dense = layer_numbers(config, "mlp_only_layers", layers);
  if (!config.has("mlp_only_layers")) only_dense = {0};  // LagunaConfig
  for (int i = 0; i < layers; ++i) {
    const auto at = static_cast<std::size_t>(i);
    Mixer own = attention;
    if (!slides.empty() && slides[at]) own.window = window;
    if (!heads.empty()) own.heads = heads[at];
    const bool by_number =
        (i + 1) % step == 0 && std::find(only_dense.begin(), only_dense.end(), i) == only_dense.end();
    const bool is_sparse = sparse.empty() ? by_number : sparse[at];
    model.stacks[0].add_layer(own, is_sparse ? moe_layer(moe) : dense);
  }
}

}  // namespace

Family laguna() {
  return {{"laguna"},
          read_laguna,
          {"moe_apply_router_weight_on_input", "moe_routed_scaling_factor", "rope_traditional"}};
}

}  // namespace pregate::families
