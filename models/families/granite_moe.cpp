// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Granite 3 (experts, then experts with a shared one), Granite with sliding windows, and Granite 4, whose
// layers are Mamba-2 or attention, each followed by experts and a shared expert.
#include "models/error.hpp"
#include "models/families/by_layer.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

FeedForward read_experts(TableReader& config) {
  if (config.integer_or("num_local_experts", 0, widest, 1) == 0) {
    throw InputError(config.where("num_local_experts"), "is 0: this model has no experts",
                     "models without experts are not simulated");
  }
  MoeBlock moe = read_gated_experts(config, "num_local_experts", "intermediate_size");
  moe.shared_ffn_dim = dimension_or(config, "shared_intermediate_size", 0);
  return moe_layer(moe);
}

Mixer read_attention(TableReader& config, const ModelSpec& model) {
  Mixer attention = read_grouped_query(config, model.d_model);
  read_attention_bias(config, attention, false);
  return attention;
}

void read_plain(TableReader& config, ModelSpec& model) {
  model.family = config.text("model_type");
  const int layers = read_decoder(config, model);
  const Mixer attention = read_attention(config, model);
  const FeedForward experts = read_experts(config);
  for (int i = 0; i < layers; ++i) model.stacks[0].add_layer(attention, experts);
}

void read_windowed(TableReader& config, ModelSpec& model) {
  model.family = "granitemoe_swa";
  const int layers = read_decoder(config, model);
  Mixer full = read_attention(config, model);
  full.sinks = true;
  Mixer sliding = full;
  sliding.window = dimension(config, "sliding_window");
  const FeedForward experts = read_experts(config);
  const std::vector<bool> slides = sliding_layers(config, layers);
  for (int i = 0; i < layers; ++i) {
    // Where the list is absent, GraniteMoeSWAConfig makes every fourth layer full, the first included.
    const bool is_sliding = slides.empty() ? i % 4 != 0 : slides[static_cast<std::size_t>(i)];
    model.stacks[0].add_layer(is_sliding ? sliding : full, experts);
  }
}

Mixer read_mamba(TableReader& config, int d_model) {
  Mixer mamba;
  mamba.kind = MixerKind::mamba2;
  mamba.heads = dimension(config, "mamba_n_heads");
  const int inner = product(config, "mamba_expand", config.integer_or("mamba_expand", 1, 64, 2), d_model);
  const Node* width = config.find("mamba_d_head");
  const bool derived = width == nullptr || (width->kind == Node::Kind::text && width->text == "auto");
  mamba.head_dim = derived ? inner / mamba.heads : dimension(config, "mamba_d_head");
  if (std::int64_t{mamba.head_dim} * mamba.heads != inner) {
    throw InputError(config.where("mamba_n_heads"),
                     "heads of mamba_d_head do not make up mamba_expand x hidden_size");
  }
  mamba.groups = dimension_or(config, "mamba_n_groups", 1);
  mamba.state_dim = dimension(config, "mamba_d_state");
  mamba.conv_kernel = dimension_or(config, "mamba_d_conv", 4);
  mamba.qkv_bias = config.boolean_or("mamba_conv_bias", true);
  mamba.output_bias = config.boolean_or("mamba_proj_bias", false);
  return mamba;
}

void read_hybrid(TableReader& config, ModelSpec& model) {
  model.family = "granitemoehybrid";
  const int layers = read_decoder(config, model);
  const Mixer attention = read_attention(config, model);
  const FeedForward experts = read_experts(config);
  const char* key = config.has("layers_block_type") ? "layers_block_type" : "layer_types";
  std::vector<std::string> kinds = words_by_layer(config, key, layers);
  kinds.resize(static_cast<std::size_t>(layers), "mamba");  // as GraniteMoeHybridConfig has it
  for (const std::string& kind : kinds) {
    if (kind == "mamba" || kind == "linear_attention") {
      model.stacks[0].add_layer(read_mamba(config, model.d_model), experts);
    } else if (kind == "attention" || kind == "full_attention") {
      model.stacks[0].add_layer(attention, experts);
    } else {
      throw InputError(config.where(key), "unknown kind of layer '" + printable(kind) + "'",
                       "valid: mamba, attention");
    }
  }
}

}  // namespace

Family granite_moe() { return {{"granitemoe", "granitemoeshared"}, read_plain, {"logits_scaling"}}; }

Family granite_moe_swa() {
  return {{"granitemoe_swa"}, read_windowed, {"logits_scaling", "layer_rope_theta"}};
}

Family granite_moe_hybrid() {
  return {{"granitemoehybrid"}, read_hybrid, {"logits_scaling", "normalization_function"}};
}

}  // namespace pregate::families
