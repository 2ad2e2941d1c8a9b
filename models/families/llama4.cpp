// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The text part of Llama-4. Layers with rotary positions attend within chunks of attention_chunk_size tokens;
// a chunk is counted as a window of that size, which is what it keeps at most.
#include <algorithm>

#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

/// layer_types; else no_rope_layers, where 1 means rotary; else all but each no_rope_layer_interval-th.
std::vector<bool> chunked_layers(TableReader& config, int layers) {
  std::vector<bool> chunked = special_layers(config, layers, "chunked_attention");
  const auto interval = config.integer_or("no_rope_layer_interval", 1, most_layers, 4);
  const Node* list = config.find("no_rope_layers");
  const bool said = list != nullptr && !(list->kind == Node::Kind::array && list->items.empty());
  const std::vector<int> rotary =
      said ? numbers_by_layer(config, "no_rope_layers", layers) : std::vector<int>{};
  if (!chunked.empty()) return chunked;
  for (int i = 0; i < layers; ++i)
    chunked.push_back(said ? rotary[static_cast<std::size_t>(i)] != 0 : (i + 1) % interval != 0);
  return chunked;
}

/// moe_layers, or every interleave_moe_layer_step-th.
std::vector<bool> layers_with_experts(TableReader& config, int layers) {
  const auto step = config.integer_or("interleave_moe_layer_step", 1, most_layers, 1);
  const bool named = config.has("moe_layers");
  const std::vector<int> numbers = layer_numbers(config, "moe_layers", layers);
  std::vector<bool> sparse(static_cast<std::size_t>(layers));
  for (int i = 0; i < layers; ++i)
    sparse[static_cast<std::size_t>(i)] =
        named ? std::find(numbers.begin(), numbers.end(), i) != numbers.end() : (i + 1) % step == 0;
  return sparse;
}

void read_llama4(TableReader& config, ModelSpec& model) {
  model.family = "llama4";
  const int layers = read_decoder(config, model);
  Mixer full = read_grouped_query(config, model.d_model);
  read_attention_bias(config, full, false);
  Mixer chunked = full;
  chunked.window = dimension_or(config, "attention_chunk_size", 0);
  MoeBlock moe = read_gated_experts(config, "num_local_experts", "intermediate_size");
  moe.shared_ffn_dim = moe.ffn_dim;
  const FeedForward dense = dense_layer(dimension_or(config, "intermediate_size_mlp", 0));
  const std::vector<bool> is_chunked = chunked_layers(config, layers);
  const std::vector<bool> sparse = layers_with_experts(config, layers);
  for (std::size_t i = 0; i < sparse.size(); ++i)
    model.stacks[0].add_layer(is_chunked[i] ? chunked : full, sparse[i] ? moe_layer(moe) : dense);
}

}  // namespace

Family llama4() {
  return {{"llama4", "llama4_text"},
          read_llama4,
          // the norm of q and k has no weights
          {"use_qk_norm", "cache_implementation", "for_llm_compressor"}};
}

}  // namespace pregate::families
