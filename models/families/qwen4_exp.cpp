// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Qwen4-Exp (Qwen3.8-Flash-Next): gated delta nets, and every fourth layer gated softmax attention to the
// blocks of tokens that an indexer chose; the residual is hc_count streams, whose gates stand in place of
// norms. Not counted: the gate that joins the streams after the last layer (2 x hc_count x hidden_size x
// hc_lowrank).
#include <array>
#include <cstdio>

#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

std::vector<bool> read_linear_or_full(TableReader& config, int layers) {
  const auto interval = config.integer_or("full_attention_interval", 1, most_layers, 4);
  std::vector<bool> linear;
  for (const std::string& word : words_by_layer(config, "layer_types", layers)) {
    const bool known = word == "linear_attention" || word == "full_attention" ||
                       word == "deepseek_sparse_attention" || word == "hybrid_indexed";
    if (!known)
      throw InputError(config.where("layer_types"), "unknown kind of layer '" + printable(word) + "'",
                       "valid: linear_attention, full_attention");
    linear.push_back(word == "linear_attention");
  }
  if (linear.empty()) {
    for (int i = 0; i < layers; ++i) linear.push_back((i + 1) % interval != 0);
  }
  return linear;
}

/// Blocks of indexer_compress_ratio tokens, indexer_budget tokens of them.
void read_block_indexer(TableReader& config, Mixer& attention) {
  if (!config.has("indexer_n_heads")) return;
  attention.indexer = {.heads = dimension(config, "indexer_n_heads"),
                       .head_dim = dimension(config, "indexer_head_dim"),
                       .top_k = dimension(config, "indexer_budget")};
  attention.compress_ratio = dimension(config, "indexer_compress_ratio");
  if (dimension_or(config, "indexer_kv_heads", 1) != 1)
    throw InputError(config.where("indexer_kv_heads"), "must be 1: the index key is shared by all heads");
}

/// Rows of a table, one for each n-gram order and head, are gathered by hash and added to the streams: 51e9
/// parameters in Qwen3.8-Flash-Next, of which a token reads ple_embed_dim. Engines keep it outside of the
/// GPU.
void leave_out_ngrams(TableReader& config, ModelSpec& model, int layers, int streams) {
  const std::size_t modules = layer_numbers(config, "ple_layer_ids", layers).size();
  const double width = dimension_or(config, "ple_embed_dim", model.d_model);
  // Each of (ngram_size - 1) x heads_per_ngram tables has a row for each of its hashes, and width / that many
  // columns.
  const double rows =
      static_cast<double>(config.integer_or("ngram_vocab_size_base", 1, 1'000'000'000'000, 20'000'000));
  for (const char* key : {"ngram_size", "heads_per_ngram", "ple_conv_kernel_size"}) config.find(key);
  if (modules == 0) return;
  const double table = rows * width * static_cast<double>(modules);
  const double projections = width * model.d_model * (streams + 1) * static_cast<double>(modules);
  std::array<char, 120> words{};
  std::snprintf(words.data(), words.size(),
                "the n-gram embedding (ple_layer_ids): a table of %.3g parameters, projections of %.3g",
                table, projections);
  model.left_out.emplace_back(words.data());
}

void read_qwen4_exp(TableReader& config, ModelSpec& model) {
  model.family = "qwen4_exp";
  const int layers = read_decoder(config, model);
  Mixer attention = read_grouped_query(config, model.d_model);
  read_attention_bias(config, attention, false);
  attention.qk_norm = true;
  attention.output_gate = config.boolean_or("attn_output_gate", true);
  read_block_indexer(config, attention);
  Mixer linear = read_gated_delta_net(config);
  for (Mixer* mixer : {&attention, &linear}) {
    mixer->residual_streams = dimension(config, "hc_count");
    mixer->residual_rank = dimension(config, "hc_lowrank");
    mixer->norms = 0;
  }
  MoeBlock moe = read_gated_experts(config, "num_experts", "moe_intermediate_size");
  moe.shared_ffn_dim = dimension(config, "shared_expert_intermediate_size");
  moe.shared_gate = true;
  for (const bool is_linear : read_linear_or_full(config, layers))
    model.stacks[0].add_layer(is_linear ? linear : attention, moe_layer(moe, 0));
  leave_out_ngrams(config, model, layers, attention.residual_streams);
  leave_out_prediction(config, model, "mtp_num_hidden_layers");
}

}  // namespace

Family qwen4_exp() {
  return {{"qwen4_exp", "qwen4_exp_text"},
          read_qwen4_exp,
          // how n-grams are hashed, how their table is cut and stored
          {"seed", "split_ngram_parts", "make_ngram_vocab_size_divisible_by", "ple_embedding_dtype",
           "output_gate_type", "mtp_use_dedicated_embeddings"}};
}

}  // namespace pregate::families
