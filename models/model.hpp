// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/mixer.hpp"
#include "models/units.hpp"

namespace pregate {

struct ModelSpec;

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

/// One MoE feed-forward description, shared by MoE layers of a stack.
struct MoeBlock {
  int experts = 0;  ///< routed experts a layer
  int top_k = 0;
  int ffn_dim = 0;     ///< intermediate width of one routed expert
  bool gated = false;  ///< three matrices (gate, up, down) rather than two
  bool expert_bias = false;
  bool router_bias = false;  ///< one bias an expert (gpt-oss, DeepSeek-V3 score correction)
  int shared_ffn_dim = 0;    ///< total intermediate width of the shared experts; 0 = none. Also a dense
                             ///< feed-forward that runs beside the experts (Gemma 4)
  bool shared_gate = false;  ///< a sigmoid gate of d_model parameters on the shared experts (Qwen1.5-MoE)
  int latent_dim = 0;        ///< routed experts work on a projection of this width; 0 = on d_model itself
                             ///< (Nemotron-3 Super; the two projections are resident)
  bool operator==(const MoeBlock&) const = default;
};

/// The second half of a layer.
struct FeedForward {
  enum class Kind { none, dense, moe };
  Kind kind = Kind::dense;
  int ffn_dim = 0;                   ///< dense: intermediate width
  bool gated = false, bias = false;  ///< dense
  MoeBlock moe = {};
  int norms = 1;  ///< norms of d_model around it; 2 = before and after
  bool operator==(const FeedForward&) const = default;
};

/// The weight formats of one layer's parts.
struct PartFormats {
  WeightFormat experts, attention, shared_experts, dense_ffn, router;
};

struct Layer {
  int mixer = 0;         ///< index into Stack::mixers
  int feed_forward = 0;  ///< index into Stack::feed_forwards
  int formats = -1;      ///< index into ModelSpec::formats; -1 = the model's expert_format and dense_format
  /// Bytes as a file holds them; > 0 overrides what formats say. Norms count with their part; the router and
  /// shared experts with the feed-forward. The expert is one routed expert.
  Bytes stored_mixer, stored_feed_forward, stored_expert;
};

/// A chain of layers. Mixers and feed-forwards stand here once each, whatever many layers use them.
struct Stack {
  std::string name;  ///< "encoder" or "decoder"
  std::vector<Mixer> mixers;
  std::vector<FeedForward> feed_forwards;
  bool cross_attention = false;  ///< a second attention (same shape) over the encoder's output
  bool norm_bias = false;        ///< LayerNorm with bias (NLLB, Phi-3.5) rather than RMSNorm
  std::vector<Layer> layers;

  /// Appends a layer; equal parts are kept once.
  void add_layer(const Mixer& mixer, const FeedForward& feed_forward);
  [[nodiscard]] const Mixer& mixer_of(int layer) const;
  [[nodiscard]] const FeedForward& feed_forward_of(int layer) const;
  [[nodiscard]] bool is_moe(int layer) const;
  /// The experts of the first MoE layer. What takes all layers to be alike says so with uniform_moe().
  [[nodiscard]] const MoeBlock& first_moe() const;
};

/// first_moe() of every stack describes all of its MoE layers; InputError saying which layers differ, and
/// that `purpose` needs them alike, otherwise.
void require_uniform_moe(const ModelSpec& model, const std::string& purpose);

/// Indices of the MoE layers of a stack, ascending.
std::vector<int> moe_layers(const Stack& stack);

/// One part of the cache of a layer (CacheTerm, priced).
struct CacheCost {
  Bytes per_entry = {};
  int window = 0;             ///< tokens that are kept; 0 = all
  int stride = 1;             ///< tokens an entry
  int reads_at_most = 0;      ///< entries a token looks at; 0 = all that are kept
  double flop_per_entry = 0;  ///< scores and weighted sum of one token for one entry that it looks at
  int shared_by = 1;          ///< query heads that read the same keys and values
  bool operator==(const CacheCost&) const = default;
};

/// What one layer costs, derived from the description. Weights in bytes as stored; FLOP counts one
/// multiply-add as 2. "Attention" is the token mixer, whatever its kind; "dense" is everything resident in a
/// layer but the routed experts.
struct LayerProfile {
  int layer = 0;
  MixerKind mixer = MixerKind::grouped_query;
  bool moe = false;
  bool feed_forward = true;  ///< false: the layer is a mixer alone
  int experts = 0, top_k = 0;
  Bytes attention_weights;  ///< what a decode step reads: projections of self-attention, of
                            ///< cross-attention without K/V, their norms and position biases
  Bytes cross_kv_weights;   ///< K/V projections of cross-attention: resident, but read only once a
                            ///< request, when the encoder's output is projected
  double attention_flop_per_token = 0;         ///< matrix products of attention_weights
  double cross_kv_flop_per_encoder_token = 0;  ///< matrix products of cross_kv_weights
  /// Multi-head latent attention: in the absorbed form, which works on the cached latents; a prefill may
  /// expand them instead and then spends less.
  std::vector<CacheCost> cache;
  Bytes state;  ///< recurrent state and convolution inputs a sequence: read and written a step
  double state_flop_per_token = 0;
  double cross_attention_flop_per_token_and_context = 0;  ///< for each encoder token
  Bytes cross_kv_per_token;                               ///< cross-attention cache an encoder token
  Bytes ffn_weights;              ///< dense feed-forward, or router + shared experts + norm in a MoE layer
  double ffn_flop_per_token = 0;  ///< of ffn_weights
  Bytes expert;                   ///< one routed expert as stored and copied; 0 in a dense layer
  std::string expert_format, expert_compute;  ///< WeightFormat::name and compute of it
  double expert_flop_per_token = 0;           ///< one token through one routed expert
  int expert_gemm_columns_in = 0;   ///< output width of the first GEMM (gated: 2 x ffn_dim, else ffn_dim)
  int expert_gemm_columns_out = 0;  ///< output width of the second GEMM (d_model, or the latent width)
  int expert_ffn_dim = 0;           ///< inner width of the second GEMM

  bool operator==(const LayerProfile&) const = default;
  /// Self-attention cache after `context` tokens, and the state, of one sequence.
  [[nodiscard]] Bytes cached(std::int64_t context) const;
  /// What one more token adds while nothing falls out of a window.
  [[nodiscard]] Bytes cached_per_token() const;
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
  double published_active = 0;        ///< the authors' activated parameters; 0 = not published
  std::string published_source;
  std::vector<Stack> stacks;  ///< encoder before decoder
  WeightFormat expert_format, dense_format, kv_format;
  /// Of the embedding tables, and of an output projection of its own; without bits: as dense_format, and as
  /// embedding_format.
  WeightFormat embedding_format, head_format;
  std::vector<PartFormats> formats;      ///< where layers differ from expert_format and dense_format
  Bytes stored_embeddings, stored_head;  ///< as a file holds them, all tables together; > 0 overrides formats
  /// Parts of the checkpoint that a run of the text model does not use, in words ("1 multi-token-prediction
  /// layer"): neither counted nor priced.
  std::vector<std::string> left_out;

  [[nodiscard]] std::int64_t parameter_count() const;
  /// Parameters a token passes through: everything but routed experts, and top_k of those a MoE layer, in all
  /// stacks. Embedding tables count whole, as most authors count them (gpt-oss leaves the input table out).
  [[nodiscard]] std::int64_t active_parameter_count() const;
  [[nodiscard]] std::int64_t shared_parameter_count() const;     ///< of shared experts alone
  [[nodiscard]] std::int64_t embedding_parameter_count() const;  ///< tables and output projection
  [[nodiscard]] std::int64_t expert_parameter_count(const MoeBlock& moe) const;
  /// One routed expert of this layer as stored: matrices in the experts' format, rounded up to a byte; biases
  /// in dense_format. 0 for a layer without experts.
  [[nodiscard]] Bytes expert_bytes(const Stack& stack, int layer) const;
  /// Of the layer whose experts are largest.
  [[nodiscard]] Bytes expert_bytes(const Stack& stack) const;
  [[nodiscard]] PartFormats formats_of(const Layer& layer) const;
  [[nodiscard]] Bytes dense_bytes() const;       ///< all parameters but routed experts, as stored
  [[nodiscard]] Bytes all_expert_bytes() const;  ///< every routed expert of every stack
  /// Self-attention cache of the decoder, all layers: what a token adds while it is in every window.
  [[nodiscard]] Bytes kv_bytes_per_token() const;
  /// The same after `context` tokens of one sequence, windows applied, states included.
  [[nodiscard]] Bytes kv_bytes(std::int64_t context) const;
  /// Decode step of the decoder with `context` cached tokens, head included. Of cross-attention the
  /// projections count, its scores do not (they depend on the encoder's tokens).
  [[nodiscard]] double flop_per_token(int context) const;
  [[nodiscard]] std::vector<LayerProfile> profile(const Stack& stack) const;
  [[nodiscard]] Bytes head_bytes() const;  ///< output projection, read once a decode step
  /// The table that tokens are looked up in, as far as it is not the output projection too.
  [[nodiscard]] Bytes input_embedding_bytes() const;
  [[nodiscard]] double head_flop_per_token() const;
  [[nodiscard]] int stack_index(const std::string& stack_name) const;  ///< -1 when absent
};

/// Throws InputError when a dimension is missing, zero, negative, absurd or contradictory (top_k > experts,
/// ...).
void validate(const ModelSpec& model, const std::string& where);

}  // namespace pregate
