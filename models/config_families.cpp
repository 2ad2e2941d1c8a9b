// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Hugging Face config.json. Field names, and the defaults of fields that files of a family really leave out,
// are those of the configuration classes of transformers
// (src/transformers/models/<family>/configuration_*.py).
#include <algorithm>
#include <array>

#include "models/config_families.hpp"
#include "models/error.hpp"

namespace pregate {
namespace {

constexpr int widest = 1 << 20;
constexpr int most_layers = 10'000;

int dimension(TableReader& config, const char* key) {
  return static_cast<int>(config.integer(key, 1, widest));
}

int dimension_or(TableReader& config, const char* key, int fallback) {
  return static_cast<int>(config.integer_or(key, 0, widest, fallback));
}

int layer_count(TableReader& config, const char* key) {
  return static_cast<int>(config.integer(key, 1, most_layers));
}

Stack decoder_of(int layers) {
  Stack stack;
  stack.name = "decoder";
  stack.layers.resize(static_cast<std::size_t>(layers));
  return stack;
}

template <typename Rule>
void mark_moe(Stack& stack, Rule&& is_moe) {
  for (std::size_t i = 0; i < stack.layers.size(); ++i) stack.layers[i].moe = is_moe(static_cast<int>(i));
}

/// hidden_size and what every decoder-only family calls the same; the stack has its layers, all dense so far.
Stack read_decoder(TableReader& config, ModelSpec& model) {
  model.d_model = dimension(config, "hidden_size");
  model.tied_embeddings = config.boolean_or("tie_word_embeddings", false);
  return decoder_of(layer_count(config, "num_hidden_layers"));
}

Attention read_grouped_query(TableReader& config, int d_model) {
  Attention attention;
  attention.heads = dimension(config, "num_attention_heads");
  attention.kv_heads = dimension(config, "num_key_value_heads");
  attention.head_dim = dimension_or(config, "head_dim", d_model / attention.heads);
  return attention;
}

void read_attention_bias(TableReader& config, Attention& attention, bool fallback) {
  attention.qkv_bias = config.boolean_or("attention_bias", fallback);
  attention.output_bias = attention.qkv_bias;
}

MoeBlock read_gated_experts(TableReader& config, const char* count_key, const char* width_key) {
  return {.experts = dimension(config, count_key),
          .top_k = dimension(config, "num_experts_per_tok"),
          .ffn_dim = dimension(config, width_key),
          .gated = true};
}

/// Every layer has experts, and the window that the file gives to all.
void read_windowed_moe_layers(TableReader& config, Stack& stack) {
  const int window = dimension_or(config, "sliding_window", 0);
  for (Layer& layer : stack.layers) layer = {.moe = true, .sliding_window = window};
}

/// The layers that are sparse: every `step`-th of a stack of which `sparse` are MoE
/// (SwitchTransformersConfig).
void read_switch_stack(TableReader& config, Stack& stack, const char* sparse_key, const char* step_key) {
  const int layers = static_cast<int>(stack.layers.size());
  const int sparse = static_cast<int>(config.integer(sparse_key, 0, most_layers));
  const int step = dimension_or(config, step_key, sparse > 0 ? layers / sparse : 0);
  mark_moe(stack, [&](int layer) { return step > 0 && (step == 1 || layer % step == 1); });
}

void read_switch(TableReader& config, ModelSpec& model) {
  model.family = "switch";
  model.d_model = dimension(config, "d_model");
  model.tied_embeddings = config.boolean_or("tie_word_embeddings", true);
  model.relative_position_buckets = dimension(config, "relative_attention_num_buckets");
  if (config.text_or("feed_forward_proj", "relu").starts_with("gated-") ||
      config.boolean_or("is_gated_act", false)) {
    throw InputError(config.where("feed_forward_proj"),
                     "gated experts are not of this family: transformers builds none",
                     "describe the model in TOML (docs/models.md)");
  }
  Stack encoder = decoder_of(layer_count(config, "num_layers"));
  encoder.name = "encoder";
  encoder.attention.heads = dimension(config, "num_heads");
  encoder.attention.kv_heads = encoder.attention.heads;
  encoder.attention.head_dim = dimension(config, "d_kv");
  encoder.dense_ffn_dim = dimension(config, "d_ff");
  encoder.moe.experts = dimension(config, "num_experts");
  encoder.moe.top_k = 1;
  encoder.moe.ffn_dim = encoder.dense_ffn_dim;
  encoder.moe.router_bias = config.boolean_or("router_bias", false);
  Stack decoder = encoder;
  decoder.name = "decoder";
  decoder.cross_attention = true;
  decoder.layers.resize(static_cast<std::size_t>(config.integer_or(
      "num_decoder_layers", 1, most_layers, static_cast<std::int64_t>(encoder.layers.size()))));
  read_switch_stack(config, encoder, "num_sparse_encoder_layers", "encoder_sparse_step");
  read_switch_stack(config, decoder, "num_sparse_decoder_layers", "decoder_sparse_step");
  model.stacks = {encoder, decoder};
}

void read_nllb_moe(TableReader& config, ModelSpec& model) {
  model.family = "nllb_moe";
  model.d_model = dimension(config, "d_model");
  model.tied_embeddings = config.boolean_or("tie_word_embeddings", true);
  for (const char* name : {"encoder", "decoder"}) {
    const std::string prefix = name;
    Stack stack = decoder_of(layer_count(config, (prefix + "_layers").c_str()));
    stack.name = name;
    stack.cross_attention = prefix == "decoder";
    stack.norm_bias = true;
    stack.attention.heads = dimension(config, (prefix + "_attention_heads").c_str());
    stack.attention.kv_heads = stack.attention.heads;
    stack.attention.head_dim = model.d_model / stack.attention.heads;
    stack.attention.qkv_bias = true;
    stack.attention.output_bias = true;
    stack.dense_ffn_dim = dimension(config, (prefix + "_ffn_dim").c_str());
    stack.dense_bias = true;
    stack.moe.experts = dimension(config, "num_experts");
    stack.moe.top_k = 2;  // NllbMoeTop2Router
    stack.moe.ffn_dim = stack.dense_ffn_dim;
    stack.moe.expert_bias = true;
    stack.moe.router_bias = config.boolean_or("router_bias", false);
    const int step = dimension(config, (prefix + "_sparse_step").c_str());
    mark_moe(stack, [&](int layer) { return (layer + 1) % step == 0; });
    model.stacks.push_back(stack);
  }
}

void read_mixtral(TableReader& config, ModelSpec& model) {
  model.family = "mixtral";
  Stack stack = read_decoder(config, model);
  stack.attention = read_grouped_query(config, model.d_model);
  stack.moe = read_gated_experts(config, "num_local_experts", "intermediate_size");
  read_windowed_moe_layers(config, stack);
  model.stacks = {stack};
}

/// Qwen2-MoE and Qwen3-MoE: layers are sparse by a step, and not where mlp_only_layers names them.
void read_qwen_layers(TableReader& config, Stack& stack) {
  const int step = static_cast<int>(config.integer_or("decoder_sparse_step", 1, most_layers, 1));
  std::vector<std::int64_t> dense;
  if (const Node* list = config.find("mlp_only_layers")) {
    for (const Node& item : list->items) {
      if (item.kind != Node::Kind::integer) {
        throw InputError(config.where("mlp_only_layers"), "must be a list of layer numbers");
      }
      dense.push_back(item.integer);
    }
  }
  mark_moe(stack, [&](int layer) {
    return (layer + 1) % step == 0 && std::find(dense.begin(), dense.end(), layer) == dense.end();
  });
  stack.dense_ffn_dim = dimension_or(config, "intermediate_size", 0);
  stack.dense_gated = true;
  if (config.boolean_or("use_sliding_window", false)) {
    throw InputError(config.where("use_sliding_window"), "sliding windows of this family are not described",
                     "the released models leave it off; set it to false");
  }
}

void read_qwen2_moe(TableReader& config, ModelSpec& model) {
  model.family = "qwen2_moe";
  Stack stack = read_decoder(config, model);
  stack.attention = read_grouped_query(config, model.d_model);
  stack.attention.qkv_bias = config.boolean_or("qkv_bias", true);
  stack.moe = read_gated_experts(config, "num_experts", "moe_intermediate_size");
  stack.moe.shared_ffn_dim = dimension(config, "shared_expert_intermediate_size");
  stack.moe.shared_gate = true;
  read_qwen_layers(config, stack);
  model.stacks = {stack};
}

void read_qwen3_moe(TableReader& config, ModelSpec& model) {
  model.family = "qwen3_moe";
  Stack stack = read_decoder(config, model);
  stack.attention = read_grouped_query(config, model.d_model);
  read_attention_bias(config, stack.attention, false);
  stack.attention.qk_norm = true;
  stack.moe = read_gated_experts(config, "num_experts", "moe_intermediate_size");
  read_qwen_layers(config, stack);
  model.stacks = {stack};
}

void read_deepseek(TableReader& config, ModelSpec& model, const std::string& family) {
  model.family = family;
  Stack stack = read_decoder(config, model);
  Attention& attention = stack.attention;
  attention.kind = AttentionKind::multi_head_latent;
  attention.heads = dimension(config, "num_attention_heads");
  attention.q_lora_rank = dimension_or(config, "q_lora_rank", 0);
  attention.kv_lora_rank = dimension(config, "kv_lora_rank");
  attention.qk_nope_head_dim = dimension(config, "qk_nope_head_dim");
  attention.qk_rope_head_dim = dimension(config, "qk_rope_head_dim");
  attention.v_head_dim = dimension(config, "v_head_dim");
  stack.dense_ffn_dim = dimension(config, "intermediate_size");
  stack.dense_gated = true;
  stack.moe = read_gated_experts(config, "n_routed_experts", "moe_intermediate_size");
  stack.moe.router_bias = family == "deepseek_v3";  // e_score_correction_bias
  const auto shared = config.integer_or("n_shared_experts", 0, 1024, 0);
  const std::int64_t shared_width = shared * stack.moe.ffn_dim;
  if (shared_width > widest) throw InputError(config.where("n_shared_experts"), "is absurdly large");
  stack.moe.shared_ffn_dim = static_cast<int>(shared_width);
  const auto first = config.integer("first_k_dense_replace", 0, most_layers);
  const auto step = config.integer_or("moe_layer_freq", 1, most_layers, 1);
  mark_moe(stack, [&](int layer) { return layer >= first && layer % step == 0; });
  model.stacks = {stack};
}

void read_olmoe(TableReader& config, ModelSpec& model) {
  model.family = "olmoe";
  Stack stack = read_decoder(config, model);
  stack.attention = read_grouped_query(config, model.d_model);
  read_attention_bias(config, stack.attention, false);
  stack.attention.qk_norm_full_width = true;
  stack.moe = read_gated_experts(config, "num_experts", "intermediate_size");
  mark_moe(stack, [](int) { return true; });
  model.stacks = {stack};
}

void read_phimoe(TableReader& config, ModelSpec& model) {
  model.family = "phimoe";
  Stack stack = read_decoder(config, model);
  stack.attention = read_grouped_query(config, model.d_model);
  read_attention_bias(config, stack.attention, false);
  stack.norm_bias = true;
  model.head_bias = config.boolean_or("lm_head_bias", false);
  stack.moe = read_gated_experts(config, "num_local_experts", "intermediate_size");
  read_windowed_moe_layers(config, stack);
  model.stacks = {stack};
}

void read_gpt_oss(TableReader& config, ModelSpec& model) {
  model.family = "gpt_oss";
  Stack stack = read_decoder(config, model);
  stack.attention = read_grouped_query(config, model.d_model);
  read_attention_bias(config, stack.attention, true);
  stack.attention.sinks = true;
  stack.moe = read_gated_experts(config, "num_local_experts", "intermediate_size");
  stack.moe.expert_bias = true;
  stack.moe.router_bias = true;
  const int window = dimension(config, "sliding_window");
  const Node* kinds = config.find("layer_types");
  if (kinds != nullptr && (kinds->kind != Node::Kind::array || kinds->items.size() != stack.layers.size())) {
    throw InputError(config.where("layer_types"),
                     "must be a list with one entry a layer (num_hidden_layers)");
  }
  for (std::size_t i = 0; i < stack.layers.size(); ++i) {
    // Where the list is absent, GptOssConfig alternates, starting with a sliding layer.
    bool sliding = i % 2 == 0;
    if (kinds != nullptr) {
      const std::string& kind = kinds->items[i].text;
      if (kind != "sliding_attention" && kind != "full_attention") {
        throw InputError(config.where("layer_types"), "unknown kind of layer '" + printable(kind) + "'",
                         "valid: sliding_attention, full_attention");
      }
      sliding = kind == "sliding_attention";
    }
    stack.layers[i] = {.moe = true, .sliding_window = sliding ? window : 0};
  }
  model.stacks = {stack};
}

constexpr std::array families = {
    ConfigFamily{"switch_transformers", read_switch},
    ConfigFamily{"nllb-moe", read_nllb_moe},
    ConfigFamily{"mixtral", read_mixtral},
    ConfigFamily{"qwen2_moe", read_qwen2_moe},
    ConfigFamily{"qwen3_moe", read_qwen3_moe},
    ConfigFamily{"deepseek_v2",
                 [](TableReader& config, ModelSpec& model) { read_deepseek(config, model, "deepseek_v2"); }},
    ConfigFamily{"deepseek_v3",
                 [](TableReader& config, ModelSpec& model) { read_deepseek(config, model, "deepseek_v3"); }},
    ConfigFamily{"olmoe", read_olmoe},
    ConfigFamily{"phimoe", read_phimoe},
    ConfigFamily{"gpt_oss", read_gpt_oss},
};

}  // namespace

std::span<const ConfigFamily> config_families() { return families; }

}  // namespace pregate
