// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/families/fields.hpp"

#include <algorithm>

#include "models/error.hpp"

namespace pregate::families {
namespace {

/// The items of the list at `key`, all of one kind; nullptr when absent.
const Node* list_of(TableReader& config, const char* key, Node::Kind kind, const char* of) {
  const Node* list = config.find(key);
  if (list == nullptr) return nullptr;
  bool fits = list->kind == Node::Kind::array;
  for (const Node& item : list->items) fits = fits && item.kind == kind;
  if (!fits) throw InputError(config.where(key), std::string("must be a list of ") + of);
  return list;
}

const Node* list_by_layer(TableReader& config, const char* key, int layers, Node::Kind kind, const char* of) {
  const Node* list = list_of(config, key, kind, of);
  if (list != nullptr && list->items.size() != static_cast<std::size_t>(layers)) {
    throw InputError(
        config.where(key),
        "has " + std::to_string(list->items.size()) + " entries for " + std::to_string(layers) + " layers",
        "one entry a layer (num_hidden_layers)");
  }
  return list;
}

}  // namespace

int dimension(TableReader& config, const char* key) {
  return static_cast<int>(config.integer(key, 1, widest));
}

int dimension_or(TableReader& config, const char* key, int fallback) {
  return static_cast<int>(config.integer_or(key, 0, widest, fallback));
}

int layer_count(TableReader& config, const char* key) {
  return static_cast<int>(config.integer(key, 1, most_layers));
}

int product(TableReader& config, const char* key, std::int64_t count, std::int64_t width) {
  if (count < 0 || width < 0 || (width > 0 && count > widest / width))
    throw InputError(config.where(key), "is absurdly large");
  return static_cast<int>(count * width);
}

std::vector<int> numbers_by_layer(TableReader& config, const char* key, int layers) {
  std::vector<int> numbers;
  const Node* list = list_by_layer(config, key, layers, Node::Kind::integer, "whole numbers");
  if (list == nullptr) return numbers;
  for (const Node& item : list->items) {
    if (item.integer < 0 || item.integer > widest)
      throw InputError(config.where(key), "holds " + std::to_string(item.integer), "0 to 1048576");
    numbers.push_back(static_cast<int>(item.integer));
  }
  return numbers;
}

std::vector<std::string> words_by_layer(TableReader& config, const char* key, int layers) {
  std::vector<std::string> words;
  const Node* list = list_by_layer(config, key, layers, Node::Kind::text, "words");
  if (list == nullptr) return words;
  for (const Node& item : list->items) words.push_back(item.text);
  return words;
}

std::vector<int> layer_numbers(TableReader& config, const char* key, int layers) {
  std::vector<int> numbers;
  const Node* list = list_of(config, key, Node::Kind::integer, "layer numbers");
  if (list == nullptr) return numbers;
  for (const Node& item : list->items) {
    if (item.integer < 0 || item.integer > layers)
      throw InputError(config.where(key), "names layer " + std::to_string(item.integer),
                       "the model has " + std::to_string(layers) + " layers");
    numbers.push_back(static_cast<int>(item.integer));
  }
  return numbers;
}

std::vector<bool> special_layers(TableReader& config, int layers, const std::string& special) {
  std::vector<bool> result;
  for (const std::string& word : words_by_layer(config, "layer_types", layers)) {
    if (word != special && word != "full_attention") {
      throw InputError(config.where("layer_types"), "unknown kind of layer '" + printable(word) + "'",
                       "valid: " + special + ", full_attention");
    }
    result.push_back(word == special);
  }
  return result;
}

int read_decoder(TableReader& config, ModelSpec& model, bool tied) {
  model.d_model = dimension(config, "hidden_size");
  model.tied_embeddings = config.boolean_or("tie_word_embeddings", tied);
  Stack decoder;
  decoder.name = "decoder";
  model.stacks = {decoder};
  return layer_count(config, "num_hidden_layers");
}

Mixer read_grouped_query(TableReader& config, int d_model) {
  Mixer attention;
  attention.heads = dimension(config, "num_attention_heads");
  // null is as many (transformers). Left out it is what the class has by default, 8 of Mixtral and 4 of
  // Qwen3: as many would be a cache that is several times too large.
  if (config.node().find("num_key_value_heads") == nullptr) {
    throw InputError(
        config.where(), "the key 'num_key_value_heads' is missing",
        "how many heads of keys and values the cache keeps; null: as many as num_attention_heads");
  }
  attention.kv_heads = dimension_or(config, "num_key_value_heads", attention.heads);
  attention.head_dim = dimension_or(config, "head_dim", d_model / attention.heads);
  return attention;
}

void read_attention_bias(TableReader& config, Mixer& attention, bool fallback) {
  attention.qkv_bias = config.boolean_or("attention_bias", fallback);
  attention.output_bias = attention.qkv_bias;
}

Mixer read_latent(TableReader& config) {
  Mixer attention;
  attention.kind = MixerKind::multi_head_latent;
  attention.heads = dimension(config, "num_attention_heads");
  attention.q_lora_rank = dimension_or(config, "q_lora_rank", 0);
  attention.kv_lora_rank = dimension(config, "kv_lora_rank");
  attention.qk_nope_head_dim = dimension(config, "qk_nope_head_dim");
  attention.qk_rope_head_dim = static_cast<int>(config.integer("qk_rope_head_dim", 0, widest));
  attention.v_head_dim = dimension(config, "v_head_dim");
  return attention;
}

Mixer read_gated_delta_net(TableReader& config) {
  Mixer linear;
  linear.kind = MixerKind::gated_delta_net;
  linear.heads = dimension(config, "linear_num_value_heads");
  linear.key_heads = dimension(config, "linear_num_key_heads");
  linear.head_dim = dimension(config, "linear_key_head_dim");
  linear.v_head_dim = dimension(config, "linear_value_head_dim");
  linear.conv_kernel = dimension(config, "linear_conv_kernel_dim");
  linear.state_bits =
      config.choice_or("mamba_ssm_dtype", {{"float32", 32}, {"bfloat16", 16}, {"float16", 16}}, 32);
  return linear;
}

Indexer read_indexer(TableReader& config) {
  return {.heads = dimension(config, "index_n_heads"),
          .head_dim = dimension(config, "index_head_dim"),
          .top_k = dimension(config, "index_topk")};
}

std::vector<bool> linear_layers(TableReader& config, int layers) {
  std::vector<bool> linear = special_layers(config, layers, "linear_attention");
  const auto interval = config.integer_or("full_attention_interval", 1, most_layers, 4);
  if (linear.empty()) {
    for (int i = 0; i < layers; ++i) linear.push_back((i + 1) % interval != 0);
  }
  return linear;
}

std::vector<bool> sparse_layers_of_qwen(TableReader& config, int layers) {
  const auto step = config.integer_or("decoder_sparse_step", 1, most_layers, 1);
  const std::vector<int> only_dense = layer_numbers(config, "mlp_only_layers", layers);
  std::vector<bool> sparse;
  for (int i = 0; i < layers; ++i) {
    const bool named = std::find(only_dense.begin(), only_dense.end(), i) != only_dense.end();
    sparse.push_back((i + 1) % step == 0 && !named);
  }
  return sparse;
}

std::vector<bool> sparse_layers_of_deepseek(TableReader& config, int layers, int first) {
  const auto begin = config.integer_or("first_k_dense_replace", 0, most_layers, first);
  const auto step = config.integer_or("moe_layer_freq", 1, most_layers, 1);
  std::vector<bool> sparse;
  for (const std::string& word : words_by_layer(config, "mlp_layer_types", layers)) {
    if (word != "dense" && word != "sparse")
      throw InputError(config.where("mlp_layer_types"), "unknown kind of layer '" + printable(word) + "'",
                       "valid: dense, sparse");
    sparse.push_back(word == "sparse");
  }
  if (sparse.empty()) {
    for (int i = 0; i < layers; ++i) sparse.push_back(i >= begin && i % step == 0);
  }
  return sparse;
}

MoeBlock read_deepseek_experts(TableReader& config) {
  MoeBlock moe = read_gated_experts(config, "n_routed_experts", "moe_intermediate_size");
  const auto shared = config.integer_or("n_shared_experts", 0, 1024, 0);
  moe.shared_ffn_dim = product(config, "n_shared_experts", shared, moe.ffn_dim);
  for (const char* again : {"num_local_experts", "num_experts"}) {
    if (dimension_or(config, again, moe.experts) != moe.experts)
      throw InputError(config.where(again), "differs from n_routed_experts",
                       "set both alike, or one to null");
  }
  return moe;
}

MoeBlock read_gated_experts(TableReader& config, const char* count_key, const char* width_key) {
  return {.experts = dimension(config, count_key),
          .top_k = dimension(config, "num_experts_per_tok"),
          .ffn_dim = dimension(config, width_key),
          .gated = true};
}

FeedForward moe_layer(const MoeBlock& moe, int norms) {
  return {.kind = FeedForward::Kind::moe, .moe = moe, .norms = norms};
}

FeedForward dense_layer(int ffn_dim, int norms) {
  return {.ffn_dim = ffn_dim, .gated = true, .norms = norms};
}

void refuse_sliding_window(TableReader& config) {
  if (!config.boolean_or("use_sliding_window", false)) return;
  throw InputError(config.where("use_sliding_window"), "sliding windows of this family are not described",
                   "the released models leave it off; set it to false");
}

void leave_out_prediction(TableReader& config, ModelSpec& model, const char* key) {
  const auto layers = config.integer_or(key, 0, most_layers, 0);
  if (layers == 0) return;
  model.left_out.push_back(std::to_string(layers) + " multi-token-prediction layer" +
                           (layers == 1 ? "" : "s") + " (" + key + ")");
}

}  // namespace pregate::families
