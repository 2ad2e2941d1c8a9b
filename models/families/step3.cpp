// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Step-3 (multi-matrix factorization attention: a query of low rank, one key-value head) and Step-3.5 and 3.7
// (sliding layers with more heads, a gate a head). Fields go by the names of the checkpoints or of
// transformers.
#include <algorithm>

#include "models/error.hpp"
#include "models/families/by_layer.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

/// The first of these keys that the file has; the first of all when none is there, for the message.
const char* either(TableReader& config, std::initializer_list<const char*> keys) {
  const auto* found =
      std::find_if(keys.begin(), keys.end(), [&](const char* key) { return config.has(key); });
  for (const char* key : keys) config.find(key);
  return found == keys.end() ? *keys.begin() : *found;
}

/// moe_layers_enum: "3,4,5" or [3, 4, 5]. Layers of multi-token prediction may stand at its end.
std::vector<bool> enumerated_layers(TableReader& config, int layers, int beyond) {
  const char* key = "moe_layers_enum";
  const Node* value = config.find(key);
  std::vector<bool> sparse;
  if (value == nullptr) return sparse;
  std::vector<int> numbers;
  if (value->kind == Node::Kind::text) {
    constexpr std::size_t most_digits = 6;
    std::string digits;
    for (const char c : value->text + ",") {
      if (c >= '0' && c <= '9' && digits.size() < most_digits) {
        digits += c;
      } else if (c == ',') {
        if (!digits.empty()) numbers.push_back(std::stoi(digits));
        digits.clear();
      } else if (c != ' ') {
        throw InputError(config.where(key), "must be layer numbers between commas, e.g. \"3,4,5\"");
      }
    }
  } else {
    numbers = layer_numbers(config, key, layers + beyond);
  }
  sparse.resize(static_cast<std::size_t>(layers));
  for (const int number : numbers) {
    if (number >= layers + beyond) {
      throw InputError(config.where(key), "names layer " + std::to_string(number),
                       "the model has " + std::to_string(layers) + " layers");
    }
    if (number < layers) sparse[static_cast<std::size_t>(number)] = true;
  }
  return sparse;
}

MoeBlock read_experts(TableReader& config) {
  MoeBlock moe;
  moe.experts = dimension(
      config, either(config, {"moe_num_experts", "n_routed_experts", "num_experts", "num_local_experts"}));
  moe.top_k = dimension(config, either(config, {"moe_top_k", "num_experts_per_tok"}));
  moe.ffn_dim = dimension(config, "moe_intermediate_size");
  moe.gated = true;
  moe.router_bias = config.boolean_or("use_moe_router_bias", false);
  // One width, of all shared experts together.
  const char* width = either(config, {"share_expert_dim", "share_expert_dims"});
  // Where it is left out it is what the class has by default, unless there are none.
  const bool has_none = config.integer_or("n_shared_experts", 0, widest, 1) == 0;
  moe.shared_ffn_dim =
      has_none ? dimension_or(config, width, 0) : static_cast<int>(config.integer(width, 0, widest));
  return moe;
}

Mixer read_attention(TableReader& config) {
  Mixer attention;
  attention.heads = dimension(config, "num_attention_heads");
  attention.kv_heads = dimension(config, either(config, {"num_attention_groups", "num_key_value_heads"}));
  attention.head_dim = dimension(config, "head_dim");  // where it is left out 256 or 128 by their classes
  return attention;
}

void add_layers(TableReader& config, ModelSpec& model, int layers, int beyond,
                const std::vector<Mixer>& attention) {
  const FeedForward experts = moe_layer(read_experts(config));
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  std::vector<bool> sparse = enumerated_layers(config, layers, beyond);
  if (sparse.empty()) sparse = sparse_layers(config, layers, beyond);
  const int first = dimension_or(config, "first_k_dense_replace", model.family == "step3" ? 4 : 3);
  if (sparse.empty()) {
    // Step3TextConfig: 4 to 59 of 61 layers.
    const int end = model.family == "step3" ? 60 : layers;
    for (int i = 0; i < layers; ++i) sparse.push_back(i >= first && i < end);
  }
  for (int i = 0; i < layers; ++i) {
    const auto at = static_cast<std::size_t>(i);
    model.stacks[0].add_layer(attention[at], sparse[at] ? experts : dense);
  }
}

void read_step3(TableReader& config, ModelSpec& model) {
  model.family = "step3";
  const int layers = read_decoder(config, model);
  Mixer attention = read_attention(config);
  attention.q_lora_rank = dimension(config, "share_q_dim");
  add_layers(config, model, layers, 0, std::vector<Mixer>(static_cast<std::size_t>(layers), attention));
}

/// Heads of sliding layers where they differ: attention_other_setting of the checkpoints,
/// num_sliding_attention_heads of transformers.
void read_sliding_heads(TableReader& config, Mixer& sliding) {
  sliding.heads = dimension_or(config, "num_sliding_attention_heads", sliding.heads);
  auto other = config.table_if("attention_other_setting");
  if (!other) return;
  const std::string type = other->text_or("attention_type", "sliding_attention");
  if (type != "sliding_attention") {
    throw InputError(other->where("attention_type"), "unknown kind of layer '" + printable(type) + "'",
                     "valid: sliding_attention");
  }
  sliding.heads = dimension_or(*other, "num_attention_heads", sliding.heads);
  sliding.kv_heads = dimension_or(*other, "num_attention_groups", sliding.kv_heads);
  sliding.head_dim = dimension_or(*other, "head_dim", sliding.head_dim);
  refuse_unread(*other, {"true_head_dim"});
}

void read_step3p5(TableReader& config, ModelSpec& model) {
  model.family = "step3p5";
  const int layers = read_decoder(config, model);
  const auto key = either(config, {"num_nextn_predict_layers", "num_mtp_layers"});
  const auto beyond = static_cast<int>(config.integer_or(key, 0, most_layers, 0));
  Mixer full = read_attention(config);
  read_attention_bias(config, full, false);
  full.qk_norm = true;
  full.head_gate = config.boolean_or("use_head_wise_attn_gate", true);
  Mixer sliding = full;
  sliding.window = dimension_or(config, "sliding_window", 0);
  read_sliding_heads(config, sliding);
  const std::vector<bool> slides = sliding_layers(config, layers, beyond);
  std::vector<Mixer> attention;
  for (int i = 0; i < layers; ++i) {
    const bool is_sliding = !slides.empty() && slides[static_cast<std::size_t>(i)];
    attention.push_back(with_layer_config(config, i, is_sliding ? sliding : full));
  }
  add_layers(config, model, layers, beyond, attention);
  leave_out_prediction(config, model, key);
}

}  // namespace

Family step3() {
  return {{"step3", "step3_text", "step3_vl"},
          read_step3,
          {"max_position_embedding", "use_moe", "use_mfa", "moe_every_n_layer", "moe_layer_offset",
           "use_im_start_end", "att_impl_type", "image_token_len", "vision_select_layer"}};
}

Family step3p5() {
  return {{"step3p5", "step3p7"},
          read_step3p5,
          {"use_moe", "use_mfa", "att_impl_type", "moe_every_n_layer", "moe_layer_offset",
           "moe_router_activation", "query_pre_attn_scalar", "mtp_layer_types", "mtp_mlp_layer_types",
           "zero_centered", "use_qk_norm", "attention_output_gate", "image_token_len", "patch_token_len",
           "understand_projector_stride", "projector_bias", "gating"}};
}

}  // namespace pregate::families
