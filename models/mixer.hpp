// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace pregate {

/// How a layer mixes tokens.
enum class MixerKind {
  none,               ///< a layer that is a feed-forward alone (Nemotron-H)
  grouped_query,      ///< softmax attention; multi-head is kv_heads == heads
  multi_head_latent,  ///< MLA of DeepSeek-V2; with an indexer: DeepSeek sparse attention
  compressed,         ///< DeepSeek-V4: a window of tokens beside compressed runs of tokens
  gated_delta_net,    ///< linear attention of Qwen3-Next
  kimi_delta,         ///< linear attention of Kimi-Linear: decay by channel
  lightning,          ///< linear attention of MiniMax-Text-01
  mamba2,             ///< state space
  mamba,              ///< state space, Mamba-1: a step size for every channel (Jamba)
  short_convolution,  ///< a gated convolution over a few tokens (LFM2)
};
const char* to_string(MixerKind kind);

/// Chooses which cached tokens attention looks at: `heads` small heads score every cached entry by a key of
/// its own, and attention reads the `top_k` best. heads == 0: no indexer.
struct Indexer {
  int heads = 0;
  int head_dim = 0;
  int top_k = 0;
  bool shared = false;  ///< takes the choice of an earlier layer: no weights, keys or scores of its own
};

/// One token mixer; several layers of a stack share it. Fields that a kind does not name are unused by it.
struct Mixer {
  MixerKind kind = MixerKind::grouped_query;
  int heads = 0;     ///< all kinds; linear ones: heads of the state (value heads)
  int kv_heads = 0;  ///< grouped_query
  /// grouped_query, compressed, mamba2: of q and k; linear kinds: of a key; mamba, short_convolution: their
  /// channels are heads x head_dim.
  int head_dim = 0;
  int v_head_dim = 0;        ///< of a value; 0 = head_dim
  int window = 0;            ///< tokens that are kept and attended to; 0 = all. compressed: of its own tokens
  int q_lora_rank = 0;       ///< attention of all kinds: 0 = full-rank query projection (Step-3 has one)
  int kv_lora_rank = 0;      ///< latent: cached latent width
  int qk_nope_head_dim = 0;  ///< latent
  int qk_rope_head_dim = 0;  ///< latent: cached as well, shared by the heads
  Indexer indexer = {};    ///< latent, compressed; grouped_query: of blocks of compress_ratio tokens (Qwen4)
  int compress_ratio = 0;  ///< compressed: tokens a compressed entry; 0 = the window alone
  int output_groups = 0, output_lora_rank = 0;  ///< compressed: the output projection is of low rank by group
  int key_heads = 0;    ///< linear kinds: heads of q and k (gated_delta_net shares them among value heads)
  int groups = 0;       ///< mamba2: of B and C
  int state_dim = 0;    ///< mamba2: of a head's state; mamba: of a channel's
  int step_rank = 0;    ///< mamba: of the projection that makes the step size of each channel
  int conv_kernel = 0;  ///< linear kinds, mamba and short_convolution: taps of the convolution; 0 = none
  int state_bits = 32;  ///< of an element of the recurrent state
  bool qkv_bias = false;
  bool output_bias = false;
  bool qk_norm = false;             ///< a norm of head_dim on q and on k
  bool qk_norm_full_width = false;  ///< that norm spans all heads: heads x head_dim and kv_heads x head_dim
  bool sinks = false;               ///< one learned sink a head (gpt-oss)
  bool output_gate = false;         ///< the query projection also makes a gate of the output (Qwen3-Next)
  bool head_gate = false;           ///< a gate a head: d_model x heads (Step-3.5)
  bool value_is_key = false;        ///< no value projection: values are the projected keys (Gemma 4)
  /// Hyper-connections: above 0, the residual is that many streams of d_model, which gates join before each
  /// half of the layer and feed after it; the gates of both halves count here. DeepSeek-V4's are of full
  /// rank, Qwen4's of residual_rank.
  int residual_streams = 0, residual_rank = 0;
  int norms = 1;  ///< norms of d_model around it; 2 = before and after

  [[nodiscard]] int value_dim() const { return v_head_dim > 0 ? v_head_dim : head_dim; }
  bool operator==(const Mixer&) const;
};

/// One part of what a mixer keeps of the tokens before: an entry for every `stride` tokens, of the last
/// `window` tokens (0 = of all), and what attending to an entry costs.
struct CacheTerm {
  double elements = 0;  ///< of one entry
  int window = 0;
  int stride = 1;
  int reads_at_most = 0;          ///< entries that a token looks at; 0 = every one that is kept
  double products_per_entry = 0;  ///< multiply-adds of one token for one entry it looks at
  int shared_by = 1;              ///< query heads that read the same keys and values
};

/// Entries of the term that are kept after `context` tokens.
std::int64_t kept_entries(const CacheTerm& term, std::int64_t context);

/// What a mixer is made of, counted in parameters and multiply-adds. Sources of each kind's shapes:
/// mixer.cpp.
struct MixerCount {
  std::int64_t matrices = 0;     ///< parameters of matrix products, each once a token; without the K/V ones
  std::int64_t kv_matrices = 0;  ///< grouped_query: K/V projections, apart because of cross-attention
  std::int64_t others = 0;       ///< biases, inner norms, sinks, convolutions; without those of K/V
  std::int64_t kv_others = 0;
  std::vector<CacheTerm> cache;     ///< grows with the context
  double state_elements = 0;        ///< recurrent state a sequence, in state_bits
  double convolution_elements = 0;  ///< inputs that the convolution keeps a sequence, in the cache's format
  double state_flop = 0;            ///< a token: updating and reading the state, convolution included
};
MixerCount count_mixer(const Mixer& mixer, std::int64_t d_model);

}  // namespace pregate
