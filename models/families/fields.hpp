// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the config.json files of several families say alike.
#pragma once

#include <string>
#include <vector>

#include "models/model.hpp"
#include "models/table_reader.hpp"

namespace pregate::families {

inline constexpr int widest = 1 << 20;
inline constexpr int most_layers = 10'000;

/// At least 1; InputError when absent.
int dimension(TableReader& config, const char* key);
/// At least 0; `fallback` when absent or null.
int dimension_or(TableReader& config, const char* key, int fallback);
int layer_count(TableReader& config, const char* key);
/// `count` parts of `width` side by side, e.g. shared experts; InputError at `key` when absurd.
int product(TableReader& config, const char* key, std::int64_t count, std::int64_t width);

/// A list with one whole number, or one word, a layer; empty when absent. InputError when its length is not
/// `layers`, or an entry has another type.
std::vector<int> numbers_by_layer(TableReader& config, const char* key, int layers);
std::vector<std::string> words_by_layer(TableReader& config, const char* key, int layers);
/// Layer numbers, e.g. mlp_only_layers; empty when absent.
std::vector<int> layer_numbers(TableReader& config, const char* key, int layers);
/// layer_types of transformers: for each layer whether it is `special` ("sliding_attention",
/// "linear_attention", ...) rather than "full_attention"; empty when the key is absent. Other words are
/// InputErrors.
std::vector<bool> special_layers(TableReader& config, int layers, const std::string& special);

/// hidden_size, tie_word_embeddings (`tied` when absent), and a decoder without layers; returns
/// num_hidden_layers.
int read_decoder(TableReader& config, ModelSpec& model, bool tied = false);
/// num_attention_heads, num_key_value_heads (as many when null), head_dim (d_model / heads when absent).
Mixer read_grouped_query(TableReader& config, int d_model);
/// attention_bias: of q, k, v and the output projection.
void read_attention_bias(TableReader& config, Mixer& attention, bool fallback);
/// MLA: q_lora_rank (absent or null: full rank), kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim (0: none),
/// v_head_dim.
Mixer read_latent(TableReader& config);

/// Linear attention of Qwen3-Next: linear_num_key_heads, linear_num_value_heads, linear_key_head_dim,
/// linear_value_head_dim, linear_conv_kernel_dim; mamba_ssm_dtype of the state (float32 when absent).
Mixer read_gated_delta_net(TableReader& config);
/// The indexer of DeepSeek sparse attention: index_n_heads, index_head_dim, index_topk.
Indexer read_indexer(TableReader& config);

/// Whether each layer is linear_attention rather than full_attention: layer_types, else every layer but each
/// full_attention_interval-th (4 when absent).
std::vector<bool> linear_layers(TableReader& config, int layers);
/// Whether each layer holds experts, as Qwen says it: every decoder_sparse_step-th, and not where
/// mlp_only_layers names it.
std::vector<bool> sparse_layers_of_qwen(TableReader& config, int layers);
/// As DeepSeek says it: mlp_layer_types; else the layers from first_k_dense_replace on (`first` when absent),
/// or every moe_layer_freq-th of them.
std::vector<bool> sparse_layers_of_deepseek(TableReader& config, int layers, int first);

/// n_routed_experts experts of moe_intermediate_size, n_shared_experts shared ones of the same width;
/// num_local_experts or num_experts may repeat the number.
MoeBlock read_deepseek_experts(TableReader& config);
/// Gated experts: `count_key`, num_experts_per_tok, `width_key`.
MoeBlock read_gated_experts(TableReader& config, const char* count_key, const char* width_key);
FeedForward moe_layer(const MoeBlock& moe, int norms = 1);
/// Gated, without biases; width 0 is refused only where a layer uses it.
FeedForward dense_layer(int ffn_dim, int norms = 1);

/// use_sliding_window of Qwen, which no released MoE sets; InputError where it is on.
void refuse_sliding_window(TableReader& config);

/// "N multi-token-prediction layer(s) (key = N)" into left_out, when the key says that there are any.
void leave_out_prediction(TableReader& config, ModelSpec& model, const char* key);

}  // namespace pregate::families
