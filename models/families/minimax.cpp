// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// MiniMax-Text-01 and M1, whose layers are lightning or softmax attention, and MiniMax-M2 without the former.
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

/// Whether each layer is lightning attention: attn_type_list (0; 1 is softmax) or layer_types.
std::vector<bool> read_lightning_layers(TableReader& config, int layers, bool second) {
  std::vector<bool> lightning = special_layers(config, layers, "linear_attention");
  for (const int type : numbers_by_layer(config, "attn_type_list", layers)) {
    if (type > 1) throw InputError(config.where("attn_type_list"), "must hold 0 and 1 alone");
    if (lightning.size() < static_cast<std::size_t>(layers)) lightning.push_back(type == 0);
  }
  if (lightning.empty() && !second)
    throw InputError(config.where(), "says neither attn_type_list nor layer_types",
                     "one entry a layer: which are lightning attention");
  if (lightning.empty()) lightning.assign(static_cast<std::size_t>(layers), false);
  return lightning;
}

/// A norm on q and k, of a head or ("per_layer") of all heads together.
void read_qk_norm(TableReader& config, Mixer& attention, bool second) {
  const bool per_layer = config.choice_or("qk_norm_type", {{"per_layer", true}, {"per_head", false}}, true);
  const bool has_norm = config.boolean_or("use_qk_norm", second);
  attention.qk_norm_full_width = has_norm && per_layer;
  attention.qk_norm = has_norm && !per_layer;
}

void leave_out_modules(TableReader& config, ModelSpec& model) {
  const auto modules = config.integer_or("num_mtp_modules", 0, most_layers, 0);
  const auto layers = config.integer_or("mtp_transformer_layers", 0, most_layers, 1);
  if (!config.boolean_or("use_mtp", false) || modules == 0) return;
  model.left_out.push_back(std::to_string(modules) + " multi-token-prediction modules of " +
                           std::to_string(layers) + " layer(s) (num_mtp_modules)");
}

void read_minimax(TableReader& config, ModelSpec& model) {
  const bool second = config.text("model_type") == "minimax_m2";
  model.family = second ? "minimax_m2" : "minimax";
  const int layers = read_decoder(config, model);
  Mixer attention = read_grouped_query(config, model.d_model);
  read_qk_norm(config, attention, second);
  attention.window = dimension_or(config, "sliding_window", 0);
  Mixer lightning;
  lightning.kind = MixerKind::lightning;
  lightning.heads = attention.heads;
  lightning.head_dim = attention.head_dim;
  MoeBlock moe = read_gated_experts(config, "num_local_experts", "intermediate_size");
  moe.router_bias = config.boolean_or("use_routing_bias", second);
  moe.shared_ffn_dim = dimension_or(config, "shared_intermediate_size", 0);
  moe.shared_gate = moe.shared_ffn_dim > 0;
  for (const bool is_lightning : read_lightning_layers(config, layers, second))
    model.stacks[0].add_layer(is_lightning ? lightning : attention, moe_layer(moe));
  leave_out_modules(config, model);
}

}  // namespace

Family minimax() {
  return {
      {"minimax", "minimax_text_01", "minimax_m1", "minimax_m2"},
      read_minimax,
      // the code has no dense layer that would be of mlp_intermediate_size
      {"mlp_intermediate_size", "shared_moe_mode", "postnorm", "block_size", "layernorm_full_attention_alpha",
       "layernorm_full_attention_beta", "layernorm_linear_attention_alpha", "layernorm_linear_attention_beta",
       "layernorm_mlp_alpha", "layernorm_mlp_beta", "full_attn_alpha_factor", "full_attn_beta_factor",
       "linear_attn_alpha_factor", "linear_attn_beta_factor", "mlp_alpha_factor", "mlp_beta_factor",
       "max_model_len"}};
}

}  // namespace pregate::families
