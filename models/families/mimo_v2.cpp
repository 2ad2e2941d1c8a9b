// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// MiMo-V2-Flash: sliding layers with heads of their own and sinks; values narrower than keys.
#include "models/error.hpp"
#include "models/families/by_layer.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

/// A list of 0 and 1 a layer: whether it is 1. Empty when absent.
std::vector<bool> flags_by_layer(TableReader& config, const char* key, int layers) {
  std::vector<bool> flags;
  for (const int value : numbers_by_layer(config, key, layers)) {
    if (value > 1) throw InputError(config.where(key), "holds " + std::to_string(value), "0 or 1 a layer");
    flags.push_back(value == 1);
  }
  return flags;
}

void read_mimo_v2(TableReader& config, ModelSpec& model) {
  model.family = "mimo_v2_flash";
  const int layers = read_decoder(config, model);
  Mixer full = read_grouped_query(config, model.d_model);
  full.qkv_bias = config.boolean_or("attention_bias", false);  // the output projection has none
  full.v_head_dim = dimension(config, "v_head_dim");
  full.sinks = config.boolean_or("add_full_attention_sink_bias", false);
  Mixer sliding = full;
  sliding.window = dimension(config, "sliding_window");
  sliding.heads = dimension_or(config, "swa_num_attention_heads", full.heads);
  // Where the fields are absent, the class of transformers has twice the key-value heads.
  sliding.kv_heads = dimension_or(config, "swa_num_key_value_heads", 2 * full.kv_heads);
  sliding.head_dim = dimension_or(config, "swa_head_dim", full.head_dim);
  sliding.v_head_dim = dimension_or(config, "swa_v_head_dim", full.v_head_dim);
  sliding.sinks = config.boolean_or("add_swa_attention_sink_bias", true);

  std::vector<bool> slides = flags_by_layer(config, "hybrid_layer_pattern", layers);
  if (slides.empty()) slides = sliding_layers(config, layers);
  std::vector<bool> sparse = flags_by_layer(config, "moe_layer_freq", layers);
  if (sparse.empty()) sparse = sparse_layers(config, layers);
  MoeBlock moe = read_gated_experts(config, "n_routed_experts", "moe_intermediate_size");
  moe.router_bias = config.text_or("topk_method", "noaux_tc") == "noaux_tc";  // e_score_correction_bias
  const auto shared = config.integer_or("n_shared_experts", 0, 1024, 0);
  moe.shared_ffn_dim = product(config, "n_shared_experts", shared, moe.ffn_dim);
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  for (int i = 0; i < layers; ++i) {
    const auto at = static_cast<std::size_t>(i);
    // Without lists, MiMoV2FlashConfig makes the first and every sixth layer full, and the first dense.
    const bool is_sliding = slides.empty() ? i != 0 && (i + 1) % 6 != 0 : slides[at];
    const bool is_sparse = sparse.empty() ? i != 0 : sparse[at];
    model.stacks[0].add_layer(is_sliding ? sliding : full, is_sparse ? moe_layer(moe) : dense);
  }
  leave_out_prediction(config, model, "num_nextn_predict_layers");
}

}  // namespace

Family mimo_v2() {
  return {
      {"mimo_v2_flash", "mimo_v2"},
      read_mimo_v2,
      {// the window again, as engines name it
       "sliding_window_size", "attention_chunk_size", "hybrid_block_size", "attention_projection_layout"}};
}

}  // namespace pregate::families
