// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// LFM2 with experts: gated short convolutions, and attention in a few layers.
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

Mixer read_convolution(TableReader& config, int d_model) {
  Mixer convolution;
  convolution.kind = MixerKind::short_convolution;
  convolution.heads = d_model;
  convolution.head_dim = 1;
  convolution.conv_kernel = dimension(config, "conv_L_cache");
  convolution.qkv_bias = config.boolean_or("conv_bias", false);
  convolution.output_bias = convolution.qkv_bias;
  return convolution;
}

void read_lfm2_moe(TableReader& config, ModelSpec& model) {
  model.family = "lfm2_moe";
  const int layers = read_decoder(config, model, true);
  model.tied_embeddings = config.boolean_or("tie_embedding", model.tied_embeddings);
  Mixer attention = read_grouped_query(config, model.d_model);
  attention.qk_norm = true;
  const Mixer convolution = read_convolution(config, model.d_model);
  MoeBlock moe = read_gated_experts(config, "num_experts", "moe_intermediate_size");
  moe.router_bias = config.boolean_or("use_expert_bias", true);
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  const auto first = config.integer("num_dense_layers", 0, layers);
  const std::vector<std::string> kinds = words_by_layer(config, "layer_types", layers);
  if (kinds.empty()) throw InputError(config.where("layer_types"), "is missing", "one word a layer");
  for (int i = 0; i < layers; ++i) {
    const std::string& kind = kinds[static_cast<std::size_t>(i)];
    if (kind != "conv" && kind != "full_attention") {
      throw InputError(config.where("layer_types"), "unknown kind of layer '" + printable(kind) + "'",
                       "valid: conv, full_attention");
    }
    model.stacks[0].add_layer(kind == "conv" ? convolution : attention, i < first ? dense : moe_layer(moe));
  }
}

}  // namespace

Family lfm2_moe() { return {{"lfm2_moe"}, read_lfm2_moe, {"conv_dim", "conv_dim_out", "theta"}}; }

}  // namespace pregate::families
