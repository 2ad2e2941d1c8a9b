// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Gemma 4 with experts: each layer runs a dense feed-forward beside them; full layers have heads of their own
// width.
#include "models/error.hpp"
#include "models/families/by_layer.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

/// Parts that only the dense models of the family use.
void refuse_parts(TableReader& config) {
  if (dimension_or(config, "num_kv_shared_layers", 0) > 0) {
    throw InputError(config.where("num_kv_shared_layers"),
                     "layers that take keys and values of an earlier layer are not described",
                     "the published model with experts has none; describe yours in TOML (docs/models.md)");
  }
  if (dimension_or(config, "hidden_size_per_layer_input", 0) > 0) {
    throw InputError(config.where("hidden_size_per_layer_input"), "embeddings by layer are not described",
                     "the published model with experts has none; describe yours in TOML (docs/models.md)");
  }
  if (config.text_or("use_bidirectional_attention", "vision") == "all") {
    throw InputError(config.where("use_bidirectional_attention"), "is 'all': such a model does not decode");
  }
}

/// Of a layer: before and after attention; before and after the feed-forwards, once more around the experts
/// and after the dense one. The router scales its input by another d_model parameters.
constexpr int attention_norms = 2;
constexpr int moe_norms = 5 + 1;
constexpr int dense_norms = 2;

void read_gemma4(TableReader& config, ModelSpec& model) {
  model.family = "gemma4";
  const int layers = read_decoder(config, model, true);
  refuse_parts(config);
  Mixer sliding = read_grouped_query(config, model.d_model);
  read_attention_bias(config, sliding, false);
  sliding.qk_norm = true;
  sliding.norms = attention_norms;
  Mixer full = sliding;
  sliding.window = dimension(config, "sliding_window");
  full.head_dim = dimension_or(config, "global_head_dim", 512);  // Gemma4TextConfig
  const int global_heads = dimension_or(config, "num_global_key_value_heads", 0);
  full.value_is_key = config.boolean_or("attention_k_eq_v", false);
  if (full.value_is_key && global_heads > 0) full.kv_heads = global_heads;

  FeedForward feed_forward = dense_layer(dimension(config, "intermediate_size"), dense_norms);
  if (config.boolean_or("enable_moe_block", false)) {
    feed_forward = moe_layer({.experts = dimension(config, "num_experts"),
                              .top_k = dimension(config, "top_k_experts"),
                              .ffn_dim = dimension(config, "moe_intermediate_size"),
                              .gated = true,
                              .router_bias = true,  // a scale an expert
                              .shared_ffn_dim = feed_forward.ffn_dim},
                             moe_norms);
  }
  std::vector<bool> slides = sliding_layers(config, layers);
  for (int i = 0; i < layers && static_cast<int>(slides.size()) < layers; ++i)
    slides.push_back((i + 1) % 6 != 0);
  slides.back() = false;  // as Gemma4TextConfig has it
  for (int i = 0; i < layers; ++i) {
    const Mixer& kind = slides[static_cast<std::size_t>(i)] ? sliding : full;
    model.stacks[0].add_layer(with_layer_config(config, i, kind), feed_forward);
  }
}

}  // namespace

Family gemma4() {
  return {{"gemma4", "gemma4_text", "gemma4_unified", "gemma4_unified_text"},
          read_gemma4,
          // embeddings by layer are refused; the wide feed-forward is of layers that share keys and values
          {"vocab_size_per_layer_input", "use_double_wide_mlp"}};
}

}  // namespace pregate::families
