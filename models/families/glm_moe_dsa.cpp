// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// GLM-5: the blocks of DeepSeek-V3.2, but only some layers choose tokens; the others take over the choice of
// the last that did.
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

[[noreturn]] void refuse(const TableReader& config, const char* key, const std::string& word) {
  throw InputError(config.where(key), "unknown kind of indexer '" + printable(word) + "'",
                   "valid: full, shared");
}

/// Whether each layer takes over a choice: indexer_types, else index_topk_pattern ("FSSF..."), else
/// index_topk_freq and index_skip_topk_offset (GlmMoeDsaConfig).
std::vector<bool> shared_indexers(TableReader& config, int layers) {
  const auto every = config.integer_or("index_topk_freq", 1, most_layers, 1);
  const auto offset = config.integer_or("index_skip_topk_offset", 0, most_layers, 2);
  const std::string pattern = config.text_or("index_topk_pattern", "");
  std::vector<bool> shared;
  for (const std::string& word : words_by_layer(config, "indexer_types", layers)) {
    if (word != "full" && word != "shared") refuse(config, "indexer_types", word);
    shared.push_back(word == "shared");
  }
  if (!shared.empty()) return shared;
  if (!pattern.empty() && pattern.size() != static_cast<std::size_t>(layers))
    throw InputError(config.where("index_topk_pattern"), "must hold one letter a layer");
  for (const char letter : pattern) {
    if (letter != 'F' && letter != 'S') refuse(config, "index_topk_pattern", std::string(1, letter));
    shared.push_back(letter == 'S');
  }
  if (shared.empty()) {
    for (int i = 0; i < layers; ++i) shared.push_back(i >= offset && (i - offset + 1) % every != 0);
  }
  return shared;
}

void read_glm_moe_dsa(TableReader& config, ModelSpec& model) {
  model.family = "glm_moe_dsa";
  const int layers = read_decoder(config, model);
  Mixer attention = read_latent(config);
  read_attention_bias(config, attention, false);
  attention.indexer = read_indexer(config);
  for (const std::string& word : words_by_layer(config, "layer_types", layers)) {
    if (word != "deepseek_sparse_attention")
      throw InputError(config.where("layer_types"), "unknown kind of layer '" + printable(word) + "'",
                       "valid: deepseek_sparse_attention");
  }
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  MoeBlock moe = read_deepseek_experts(config);
  moe.router_bias = true;
  const std::vector<bool> sparse = sparse_layers_of_deepseek(config, layers, 3);
  const std::vector<bool> shared = shared_indexers(config, layers);
  for (std::size_t i = 0; i < shared.size(); ++i) {
    attention.indexer.shared = shared[i];
    model.stacks[0].add_layer(attention, sparse[i] ? moe_layer(moe) : dense);
  }
  leave_out_prediction(config, model, "num_nextn_predict_layers");
}

}  // namespace

Family glm_moe_dsa() {
  return {{"glm_moe_dsa"},
          read_glm_moe_dsa,
          {"num_key_value_heads", "head_dim", "qk_head_dim", "indexer_rope_interleave",
           // about the prediction layers, which are left out
           "index_share_for_mtp_iteration"}};
}

}  // namespace pregate::families
