// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/units.hpp"

namespace pregate {

/// How a group of parameters is stored. Quantised formats include their scales: mxfp4 is 4.25 bits a
/// parameter (32 fp4 values share one 8-bit scale), q4_k 4.5, q8_0 8.5.
struct WeightFormat {
  std::string name;  ///< "fp32", "bf16", "fp8", "mxfp4", "q4_k", ...
  double bits_per_parameter = 0;
  std::string compute;  ///< precision of the arithmetic: key into Machine::gpu.rates ("fp32", "bf16", ...)
};

/// The known weight formats; InputError with the valid names otherwise.
const WeightFormat& weight_format(const std::string& name, const std::string& where);
std::vector<std::string> weight_format_names();

enum class AttentionKind { grouped_query, multi_head_latent };  ///< MHA is grouped_query, kv_heads == heads

struct Attention {
  AttentionKind kind = AttentionKind::grouped_query;
  int heads = 0;
  int kv_heads = 0;          ///< grouped_query
  int head_dim = 0;          ///< grouped_query: of q, k and v
  int q_lora_rank = 0;       ///< multi_head_latent: 0 = full-rank query projection
  int kv_lora_rank = 0;      ///< multi_head_latent: cached latent width
  int qk_nope_head_dim = 0;  ///< multi_head_latent
  int qk_rope_head_dim = 0;  ///< multi_head_latent: cached as well, shared by the heads
  int v_head_dim = 0;        ///< multi_head_latent
  bool qkv_bias = false;
  bool output_bias = false;
  bool qk_norm = false;  ///< a norm of head_dim on q and on k
  bool qk_norm_full_width =
      false;           ///< that norm spans all heads: heads x head_dim and kv_heads x head_dim (OLMoE)
  bool sinks = false;  ///< one learned sink a head (gpt-oss)
};

/// One MoE feed-forward description, shared by the MoE layers of a stack.
struct MoeBlock {
  int experts = 0;  ///< routed experts a layer
  int top_k = 0;
  int ffn_dim = 0;     ///< intermediate width of one routed expert
  bool gated = false;  ///< three matrices (gate, up, down) rather than two
  bool expert_bias = false;
  bool router_bias = false;  ///< one bias an expert (gpt-oss, DeepSeek-V3 score correction)
  int shared_ffn_dim = 0;    ///< total intermediate width of the shared experts; 0 = none
  bool shared_gate = false;  ///< a sigmoid gate of d_model parameters on the shared experts (Qwen1.5-MoE)
};

struct Layer {
  bool moe = false;
  int sliding_window = 0;  ///< tokens; 0 = full attention
};

struct Stack {
  std::string name;  ///< "encoder" or "decoder"
  Attention attention;
  bool cross_attention = false;  ///< a second attention (same shape) over the encoder's output
  MoeBlock moe;
  int dense_ffn_dim = 0;  ///< of the layers without MoE
  bool dense_gated = false;
  bool dense_bias = false;
  bool norm_bias = false;  ///< LayerNorm with bias (NLLB, Phi-3.5) rather than RMSNorm
  std::vector<Layer> layers;
};

/// Indices of the MoE layers of a stack, ascending.
std::vector<int> moe_layers(const Stack& stack);

/// What one layer costs, derived from the description. Weights in bytes as stored; FLOP counts one
/// multiply-add as 2. "Dense" is everything resident in a layer but the routed experts.
struct LayerProfile {
  int layer = 0;
  bool moe = false;
  int experts = 0, top_k = 0;
  Bytes attention_weights;  ///< what a decode step reads: projections of self-attention, of
                            ///< cross-attention without K/V, their norms and position biases
  Bytes cross_kv_weights;   ///< K/V projections of cross-attention: resident, but read only once a
                            ///< request, when the encoder's output is projected
  double attention_flop_per_token = 0;         ///< matrix products of attention_weights
  double cross_kv_flop_per_encoder_token = 0;  ///< matrix products of cross_kv_weights
  /// Scores and weighted sum, for each cached token that is attended to (at most sliding_window of them).
  /// Multi-head latent attention: in the absorbed form, which works on the cached latents; a prefill may
  /// expand them instead and then spends less.
  double attention_flop_per_token_and_context = 0;
  double cross_attention_flop_per_token_and_context = 0;  ///< the same for each encoder token
  Bytes kv_per_token;                                     ///< self-attention cache written and read a token
  Bytes cross_kv_per_token;                               ///< cross-attention cache an encoder token
  int sliding_window = 0;
  Bytes ffn_weights;                 ///< dense feed-forward, or router + shared experts + norm in a MoE layer
  double ffn_flop_per_token = 0;     ///< of ffn_weights
  Bytes expert;                      ///< one routed expert as stored and copied; 0 in a dense layer
  double expert_flop_per_token = 0;  ///< one token through one routed expert
  int expert_gemm_columns_in = 0;    ///< output width of the first GEMM (gated: 2 x ffn_dim, else ffn_dim)
  int expert_gemm_columns_out = 0;   ///< output width of the second GEMM (d_model)
  int expert_ffn_dim = 0;            ///< inner width of the second GEMM
};

struct ModelSpec {
  std::string name, description, source;
  std::string family;  ///< "switch", "mixtral", "qwen3_moe", ...
  int d_model = 0;
  std::int64_t vocabulary = 0;
  bool tied_embeddings = false;  ///< the output projection is the embedding table
  bool head_bias = false;        ///< the output projection has a bias (Phi-3.5-MoE)
  int learned_positions = 0;  ///< rows of a learned position table; 0 = none (rotary, relative, sinusoidal)
  int relative_position_buckets = 0;  ///< T5: buckets x heads parameters a stack
  double published_parameters = 0;    ///< the authors' total; 0 = not published
  std::string published_source;
  std::vector<Stack> stacks;  ///< encoder before decoder
  WeightFormat expert_format, dense_format, kv_format;
  WeightFormat
      embedding_format;  ///< of embedding tables and output projection; without bits: as dense_format

  [[nodiscard]] std::int64_t parameter_count() const;
  /// Parameters a token passes through: everything but routed experts, and top_k of those a MoE layer, in all
  /// stacks. Embedding tables count whole, as most authors count them (gpt-oss leaves the input table out).
  [[nodiscard]] std::int64_t active_parameter_count() const;
  [[nodiscard]] std::int64_t expert_parameter_count(const Stack& stack) const;
  /// One routed expert as stored: matrices in expert_format, rounded up to a byte; biases in dense_format.
  [[nodiscard]] Bytes expert_bytes(const Stack& stack) const;
  [[nodiscard]] Bytes dense_bytes() const;       ///< all parameters but routed experts, as stored
  [[nodiscard]] Bytes all_expert_bytes() const;  ///< every routed expert of every stack
  [[nodiscard]] Bytes kv_bytes_per_token()
      const;  ///< self-attention cache of the decoder, all layers, one token
  /// Decode step of the decoder with `context` cached tokens, head included. Of cross-attention the
  /// projections count, its scores do not (they depend on the encoder's tokens).
  [[nodiscard]] double flop_per_token(int context) const;
  [[nodiscard]] std::vector<LayerProfile> profile(const Stack& stack) const;
  [[nodiscard]] Bytes head_bytes() const;  ///< output projection, read once a decode step
  [[nodiscard]] double head_flop_per_token() const;
  [[nodiscard]] int stack_index(const std::string& stack_name) const;  ///< -1 when absent
};

/// Throws InputError when a dimension is missing, zero, negative, absurd or contradictory (top_k > experts,
/// ...).
void validate(const ModelSpec& model, const std::string& where);

}  // namespace pregate
