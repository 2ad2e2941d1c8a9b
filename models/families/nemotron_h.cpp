// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Nemotron-H and Nemotron 3: a layer is one block, a mixer or a feed-forward, as a pattern of letters says.
// Feed-forwards square a ReLU and have no gate; experts of the larger models work on a latent.
#include "models/error.hpp"
#include "models/families/by_layer.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

struct Blocks {
  Mixer mamba, attention;
  FeedForward experts, dense;
};

/// One letter a layer: of hybrid_override_pattern, or of the words of layers_block_type.
std::string pattern_of(TableReader& config) {
  if (config.has("hybrid_override_pattern")) {
    config.find("layers_block_type");
    return config.text("hybrid_override_pattern");
  }
  const char* key = config.has("layers_block_type") ? "layers_block_type" : "layer_types";
  const Node* list = config.find(key);
  if (list == nullptr) {
    throw InputError(config.where(), "says nothing about the kinds of layers",
                     "hybrid_override_pattern or layers_block_type is needed");
  }
  std::string pattern;
  for (const Node& item : list->items) {
    const std::string& word = item.text;
    if (word == "mamba" || word == "linear_attention") {
      pattern += 'M';
    } else if (word == "attention" || word == "full_attention") {
      pattern += '*';
    } else if (word == "moe") {
      pattern += 'E';
    } else if (word == "mlp") {
      pattern += '-';
    } else {
      throw InputError(config.where(key), "unknown kind of layer '" + printable(word) + "'",
                       "valid: linear_attention, full_attention, moe, mlp");
    }
  }
  return pattern;
}

Mixer read_mamba(TableReader& config) {
  Mixer mamba;
  mamba.kind = MixerKind::mamba2;
  mamba.heads = dimension(config, "mamba_num_heads");
  mamba.head_dim = dimension(config, "mamba_head_dim");
  mamba.groups = dimension(config, config.has("mamba_n_groups") ? "mamba_n_groups" : "n_groups");
  mamba.state_dim = dimension(config, "ssm_state_size");
  mamba.conv_kernel = dimension_or(config, config.has("mamba_d_conv") ? "mamba_d_conv" : "conv_kernel", 4);
  const bool convolution_bias = config.boolean_or("use_conv_bias", true);
  mamba.qkv_bias = config.boolean_or("mamba_conv_bias", convolution_bias);
  const bool bias = config.boolean_or("use_bias", false);
  mamba.output_bias = config.boolean_or("mamba_proj_bias", false) || bias;
  const std::string type = config.text_or("mamba_ssm_cache_dtype", "float32");
  if (type != "float32" && type != "bfloat16" && type != "float16") {
    throw InputError(config.where("mamba_ssm_cache_dtype"), "unknown type '" + printable(type) + "'",
                     "valid: float32, float16, bfloat16");
  }
  mamba.state_bits = type == "float32" ? 32 : 16;
  return mamba;
}

Blocks read_blocks(TableReader& config, const ModelSpec& model, const std::string& pattern) {
  Blocks blocks;
  const bool bias = config.boolean_or("mlp_bias", false);
  if (pattern.find('M') != std::string::npos) blocks.mamba = read_mamba(config);
  if (config.has("attention_head_dim")) {  // of Nemotron-H
    config.find("head_dim");
    blocks.attention = read_grouped_query(config, model.d_model);
    blocks.attention.head_dim = dimension(config, "attention_head_dim");
  } else {
    blocks.attention = read_grouped_query(config, model.d_model);
  }
  read_attention_bias(config, blocks.attention, false);
  blocks.attention.window = dimension_or(config, "sliding_window", 0);
  blocks.dense = {.ffn_dim = dimension_or(config, "intermediate_size", 0), .bias = bias};
  if (pattern.find('E') == std::string::npos) return blocks;
  MoeBlock moe = read_gated_experts(config, "n_routed_experts", "moe_intermediate_size");
  moe.gated = false;
  moe.expert_bias = bias;
  moe.router_bias = true;  // e_score_correction_bias
  moe.latent_dim = dimension_or(config, "moe_latent_size", 0);
  const auto shared = config.integer_or("n_shared_experts", 0, 1024, 1);
  if (shared > 0) {
    moe.shared_ffn_dim =
        product(config, "n_shared_experts", shared, dimension(config, "moe_shared_expert_intermediate_size"));
  }
  blocks.experts = moe_layer(moe);
  return blocks;
}

void read_nemotron_h(TableReader& config, ModelSpec& model) {
  model.family = "nemotron_h";
  const std::string pattern = pattern_of(config);
  const auto layers = pattern.size();
  if (layers == 0 || layers > static_cast<std::size_t>(most_layers))
    throw InputError(config.where("hybrid_override_pattern"), "must have a letter for each layer");
  if (!config.has("num_hidden_layers")) {  // transformers 5 derives it
    model.d_model = dimension(config, "hidden_size");
    model.tied_embeddings = config.boolean_or("tie_word_embeddings", false);
    model.stacks.emplace_back().name = "decoder";
  } else if (read_decoder(config, model) != static_cast<int>(layers)) {
    throw InputError(config.where("num_hidden_layers"),
                     "the pattern of layers has " + std::to_string(layers) + " entries",
                     "one letter of hybrid_override_pattern, or one entry of layers_block_type, a layer");
  }
  const Blocks blocks = read_blocks(config, model, pattern);
  Mixer no_mixer;
  no_mixer.kind = MixerKind::none;
  const FeedForward no_feed_forward{.kind = FeedForward::Kind::none};
  for (const char letter : pattern) {
    if (letter == 'M') {
      model.stacks[0].add_layer(blocks.mamba, no_feed_forward);
    } else if (letter == '*') {
      model.stacks[0].add_layer(blocks.attention, no_feed_forward);
    } else if (letter == 'E') {
      model.stacks[0].add_layer(no_mixer, blocks.experts);
    } else if (letter == '-') {
      model.stacks[0].add_layer(no_mixer, blocks.dense);
    } else {
      throw InputError(config.where("hybrid_override_pattern"),
                       "unknown letter '" + printable(std::string(1, letter)) + "'",
                       "M Mamba-2, * attention, E experts, - dense feed-forward");
    }
  }
  leave_out_prediction(config, model, "num_nextn_predict_layers");
}

}  // namespace

Family nemotron_h() {
  return {{"nemotron_h"},
          read_nemotron_h,
          {"mtp_hybrid_override_pattern", "mtp_layers_block_type", "expand", "mamba_expand",
           "mamba_hidden_act", "mlp_hidden_act", "moe_shared_expert_overlap", "mamba_dt_min", "mamba_dt_max",
           "mamba_dt_limit", "mamba_dt_init_floor"}};
}

}  // namespace pregate::families
