// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "models/fields/describe.hpp"
#include "models/fields/read_fields.hpp"
#include "models/formats/apply_formats.hpp"
#include "models/formats/file_mix.hpp"
#include "models/readers.hpp"
#include "models/table_reader.hpp"

namespace pregate {
namespace {

constexpr int widest = 1 << 20;
constexpr int most_layers = 10'000;

int dimension(TableReader& table, const char* key) { return static_cast<int>(table.integer(key, 1, widest)); }

int dimension_or(TableReader& table, const char* key, int fallback) {
  return static_cast<int>(table.integer_or(key, 0, widest, fallback));
}

Mixer read_attention(TableReader table) {
  Mixer attention;
  attention.kind = table.choice_or(
      "kind",
      {{"grouped-query", MixerKind::grouped_query}, {"multi-head-latent", MixerKind::multi_head_latent}},
      MixerKind::grouped_query);
  attention.heads = dimension(table, "heads");
  if (attention.kind == MixerKind::multi_head_latent) {
    attention.q_lora_rank = dimension_or(table, "q_lora_rank", 0);
    attention.kv_lora_rank = dimension(table, "kv_lora_rank");
    attention.qk_nope_head_dim = dimension(table, "qk_nope_head_dim");
    attention.qk_rope_head_dim = dimension(table, "qk_rope_head_dim");
    attention.v_head_dim = dimension(table, "v_head_dim");
  } else {
    attention.kv_heads = dimension_or(table, "kv_heads", attention.heads);
    attention.head_dim = dimension(table, "head_dim");
    attention.qkv_bias = table.boolean_or("qkv_bias", false);
    attention.output_bias = table.boolean_or("output_bias", false);
    attention.qk_norm = table.boolean_or("qk_norm", false);
    attention.qk_norm_full_width = table.boolean_or("qk_norm_full_width", false);
    attention.sinks = table.boolean_or("sinks", false);
  }
  table.finish();
  return attention;
}

/// Layers first, first + every, first + 2 every, ... of a stack.
struct Pattern {
  std::int64_t first = 0;
  std::int64_t every = 1;
  [[nodiscard]] bool covers(std::int64_t layer) const {
    return layer >= first && (layer - first) % every == 0;
  }
};

Pattern read_pattern(TableReader& table) {
  return {table.integer_or("first_layer", 0, most_layers, 0), table.integer_or("every", 1, most_layers, 1)};
}

MoeBlock read_experts(TableReader& table) {
  MoeBlock moe;
  read_fields(moe_fields(), moe, table);
  return moe;
}

Stack read_stack(TableReader table, const char* name) {
  Stack stack;
  stack.name = name;
  const auto layers = table.integer("layers", 1, most_layers);
  stack.cross_attention = table.boolean_or("cross_attention", false);
  stack.norm_bias = table.boolean_or("norm_bias", false);
  FeedForward dense;
  dense.ffn_dim = dimension_or(table, "dense_ffn_dim", 0);
  dense.gated = table.boolean_or("dense_gated", false);
  dense.bias = table.boolean_or("dense_bias", false);
  const Mixer attention = read_attention(table.table("attention"));

  TableReader moe = table.table("moe");
  const FeedForward sparse{.kind = FeedForward::Kind::moe, .moe = read_experts(moe)};
  const Pattern moe_layers = read_pattern(moe);
  moe.finish();

  Mixer windowed = attention;
  Pattern windows{.first = layers};
  if (auto window = table.table_if("sliding_window")) {
    windowed.window = static_cast<int>(window->integer("tokens", 1, 1 << 30));
    windows = read_pattern(*window);
    window->finish();
  }
  table.finish();
  for (std::int64_t i = 0; i < layers; ++i)
    stack.add_layer(windows.covers(i) ? windowed : attention, moe_layers.covers(i) ? sparse : dense);
  return stack;
}

WeightFormat read_format(TableReader& table, const char* key) {
  const std::string name = table.text(key);
  return weight_format(name, table.where(key));
}

/// The tree of a stack: what `[stack]` says for both stacks, with the stack's own table laid over it.
Node stack_tree(const Node& root, const char* name) {
  Node tree;
  tree.kind = Node::Kind::table;
  tree.where = root.where;
  if (const Node* common = root.find("stack")) tree = *common;
  merge(tree, *root.find(name));
  return tree;
}

void read_stacks(const Node& root, TableReader& top, ModelSpec& model) {
  top.find("stack");
  for (const char* stack : {"encoder", "decoder"}) {
    if (!top.has(stack)) continue;
    const Node tree = stack_tree(root, stack);
    model.stacks.push_back(read_stack(TableReader(tree, stack), stack));
  }
}

}  // namespace

ModelSpec read_model(const Node& root, const std::string& name) {
  ModelSpec model;
  model.name = name;
  TableReader top(root, "");
  model.description = top.text_or("description", "");
  model.source = top.text_or("source", "");
  const Node* config = top.find("config");
  if (config == nullptr) read_fields(shape_fields(), model, top);  // [config] says it otherwise
  if (auto published = top.table_if("published")) {
    model.published_parameters = published->number_or("parameters", 0);
    model.published_active = published->number_or("active", 0);
    model.published_source = published->text("source");
    published->finish();
  }
  TableReader weights = top.table("weights");
  model.expert_format = read_format(weights, "experts");
  model.dense_format = read_format(weights, "dense");
  model.kv_format = read_format(weights, "kv_cache");
  if (weights.has("embeddings")) model.embedding_format = read_format(weights, "embeddings");
  std::optional<WeightFormat> routers;
  if (weights.has("router")) routers = read_format(weights, "router");
  weights.finish();
  if (config != nullptr) {
    read_config_table(*config, model);
  } else {
    read_stacks(root, top, model);
  }
  top.finish();
  // Mixtures of files differ by layer and part.
  if (file_mix(model.expert_format.name) != nullptr)
    store_experts_as(model, model.expert_format.name, root.where);
  if (file_mix(model.dense_format.name) != nullptr) {
    const WeightFormat embeddings = model.embedding_format;
    store_rest_as(model, model.dense_format.name, root.where);
    if (embeddings.bits_per_parameter > 0) model.embedding_format = embeddings;
  }
  if (routers) store_routers_as(model, *routers);
  validate(model, root.where);
  return model;
}

}  // namespace pregate
