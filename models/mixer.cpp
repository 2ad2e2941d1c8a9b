// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Shapes are those of the modelling code of transformers (src/transformers/models/<family>/modeling_*.py),
// where the families' weights are named; DeepSeek-V4's are those of its published inference code.
#include "models/mixer.hpp"

#include <algorithm>
#include <tuple>

#include "models/fields/choices.hpp"

namespace pregate {
namespace {

using Count = std::int64_t;

MixerCount count_grouped_query(const Mixer& m, Count d_model) {
  MixerCount count;
  const Count query_width = Count{m.heads} * m.head_dim;
  const Count output_width = Count{m.heads} * m.value_dim();
  const Count key_width = Count{m.kv_heads} * m.head_dim;
  const Count value_width = Count{m.kv_heads} * m.value_dim();
  count.matrices = d_model * (query_width * (m.output_gate ? 2 : 1) + output_width);
  if (m.q_lora_rank > 0) {
    count.matrices += m.q_lora_rank * (d_model + query_width) - d_model * query_width;
    count.others += m.q_lora_rank;  // norm of the query latent
  }
  if (m.head_gate) count.matrices += d_model * m.heads;
  count.kv_matrices = d_model * (key_width + (m.value_is_key ? 0 : value_width));
  if (m.qkv_bias) {
    count.others += query_width;
    count.kv_others += key_width + value_width;
  }
  if (m.output_bias) count.others += d_model;
  if (m.qk_norm) count.others += 2 * Count{m.head_dim};
  if (m.qk_norm_full_width) count.others += query_width + key_width;
  if (m.sinks) count.others += m.heads;
  count.cache = {{.elements = static_cast<double>(key_width + value_width),
                  .window = m.window,
                  .products_per_entry = static_cast<double>(query_width + output_width),
                  .shared_by = m.heads / std::max(1, m.kv_heads)}};
  if (m.indexer.heads > 0) {  // one key of the mean of a run of tokens; heads are summed without weights
    const Count dim = m.indexer.head_dim, index_query = m.indexer.heads * dim;
    count.matrices += d_model * (index_query + dim);
    count.others += 2 * dim;
    count.cache.back().reads_at_most = m.indexer.top_k;
    count.cache.push_back({.elements = static_cast<double>(dim),
                           .stride = std::max(1, m.compress_ratio),
                           .products_per_entry = static_cast<double>(index_query)});
  }
  return count;
}

/// Keys of the indexer; its query comes from the query latent, its weights from the hidden state.
void add_indexer(const Mixer& m, Count d_model, int stride, MixerCount& count) {
  const Indexer& index = m.indexer;
  if (index.heads == 0) return;
  count.cache.back().reads_at_most = index.top_k;
  if (index.shared) return;
  const Count query = Count{index.heads} * index.head_dim;
  count.matrices += Count{m.q_lora_rank > 0 ? m.q_lora_rank : d_model} * query + d_model * index.heads;
  count.cache.push_back({.elements = static_cast<double>(index.head_dim),
                         .stride = stride,
                         .products_per_entry = static_cast<double>(query + index.heads)});
}

MixerCount count_latent(const Mixer& m, Count d_model) {
  MixerCount count;
  const Count heads = m.heads;
  const Count query_width = heads * (m.qk_nope_head_dim + m.qk_rope_head_dim);
  const Count latent = m.kv_lora_rank;
  if (m.q_lora_rank > 0) {
    count.matrices += (d_model + query_width) * m.q_lora_rank;
    count.others += m.q_lora_rank;  // norm of the query latent
  } else {
    count.matrices += d_model * query_width;
  }
  count.matrices += d_model * (latent + m.qk_rope_head_dim);
  count.others += latent;  // norm of the key-value latent
  count.matrices += latent * heads * (m.qk_nope_head_dim + m.v_head_dim);
  count.matrices += heads * m.v_head_dim * d_model;
  if (m.qkv_bias) count.others += m.q_lora_rank + latent + m.qk_rope_head_dim;
  if (m.output_bias) count.others += d_model;
  // In the absorbed form, which works on the cached latents.
  count.cache = {{.elements = static_cast<double>(latent + m.qk_rope_head_dim),
                  .window = m.window,
                  .products_per_entry = static_cast<double>(heads * (2 * latent + m.qk_rope_head_dim))}};
  add_indexer(m, d_model, 1, count);
  if (m.indexer.heads > 0 && !m.indexer.shared) {
    count.matrices += d_model * m.indexer.head_dim;
    count.others += 2 * Count{m.indexer.head_dim};  // LayerNorm of the index key
  }
  return count;
}

/// Keys are values, one for all heads. A compressor weighs the tokens of a run by a gate of their own; runs
/// of 4 overlap, which doubles its width, and have an indexer with a compressor of its own.
MixerCount count_compressed(const Mixer& m, Count d_model) {
  MixerCount count;
  const Count heads = m.heads, width = m.head_dim;
  if (m.q_lora_rank > 0) {
    count.matrices += m.q_lora_rank * (d_model + heads * width);
    count.others += m.q_lora_rank;
  } else {
    count.matrices += d_model * heads * width;
  }
  count.matrices += d_model * width;  // the shared key and value
  count.others += width + heads;      // its norm, the sinks
  if (m.output_groups > 0) {
    count.matrices += heads * width * m.output_lora_rank;
    count.matrices += Count{m.output_groups} * m.output_lora_rank * d_model;
  } else {
    count.matrices += heads * width * d_model;
  }
  const double products = static_cast<double>(2 * heads * width);
  count.cache = {
      {.elements = static_cast<double>(width), .window = m.window, .products_per_entry = products}};
  if (m.compress_ratio == 0) return count;
  const Count overlap = m.indexer.heads > 0 ? 2 : 1;
  const auto add_compressor = [&](Count dim) {
    count.matrices += 2 * d_model * overlap * dim;
    count.others += Count{m.compress_ratio} * overlap * dim + dim;  // position of a token in its run, norm
  };
  add_compressor(width);
  count.cache.push_back(
      {.elements = static_cast<double>(width), .stride = m.compress_ratio, .products_per_entry = products});
  add_indexer(m, d_model, m.compress_ratio, count);
  if (m.indexer.heads > 0) add_compressor(m.indexer.head_dim);
  return count;
}

void add_state(const Mixer& m, Count key_dim, Count value_dim, Count convolved, double flop_an_element,
               MixerCount& count) {
  count.state_elements = static_cast<double>(m.heads) * static_cast<double>(key_dim * value_dim);
  count.state_flop = flop_an_element * count.state_elements;
  if (m.conv_kernel > 0) {
    count.others += convolved * m.conv_kernel;
    count.convolution_elements = static_cast<double>(convolved) * (m.conv_kernel - 1);
    count.state_flop += 2.0 * static_cast<double>(convolved) * m.conv_kernel;
  }
}

/// The delta rule, an element of the state: decay 1, read of the old value 2, update 2, read by the query 2.
constexpr double delta_rule_flop = 7;

MixerCount count_gated_delta_net(const Mixer& m, Count d_model) {
  MixerCount count;
  const Count keys = Count{m.key_heads} * m.head_dim, values = Count{m.heads} * m.value_dim();
  // q, k, v and the output gate; beta and decay a head; output.
  count.matrices = d_model * (2 * keys + 2 * values) + d_model * 2 * m.heads + values * d_model;
  count.others = 2 * Count{m.heads} + m.value_dim();  // A, dt bias, norm of the output
  add_state(m, m.head_dim, m.value_dim(), 2 * keys + values, delta_rule_flop, count);
  return count;
}

MixerCount count_kimi_delta(const Mixer& m, Count d_model) {
  MixerCount count;
  const Count keys = Count{m.key_heads} * m.head_dim, values = Count{m.heads} * m.value_dim();
  count.matrices = d_model * (2 * keys + values) + values * d_model;
  count.matrices += d_model * m.head_dim + m.head_dim * keys;          // decay by channel, low rank
  count.matrices += d_model * m.value_dim() + m.value_dim() * values;  // output gate, low rank
  count.matrices += d_model * m.heads;                                 // beta
  count.others = keys + m.heads + m.value_dim();                       // dt bias, A, norm of the output
  add_state(m, m.head_dim, m.value_dim(), 2 * keys + values, delta_rule_flop, count);
  return count;
}

MixerCount count_lightning(const Mixer& m, Count d_model) {
  MixerCount count;
  const Count width = Count{m.heads} * m.head_dim;
  count.matrices = d_model * 3 * width + d_model * width + width * d_model;  // q k v, output gate, output
  count.others = width;                                                      // norm of the output
  add_state(m, m.head_dim, m.value_dim(), 0, 5, count);                      // decay 1, update 2, read 2
  return count;
}

MixerCount count_mamba2(const Mixer& m, Count d_model) {
  MixerCount count;
  const Count inner = Count{m.heads} * m.head_dim, shared = 2 * Count{m.groups} * m.state_dim;
  count.matrices = d_model * (2 * inner + shared + m.heads) + inner * d_model;
  count.others = 3 * Count{m.heads} + inner;       // A, D, dt bias, gated norm
  if (m.qkv_bias) count.others += inner + shared;  // of the convolution
  if (m.output_bias) count.others += 2 * inner + shared + m.heads + d_model;
  add_state(m, m.head_dim, m.state_dim, inner + shared, 5, count);  // decay 1, update 2, read 2
  return count;
}

/// Channels are scanned apart, each with a step size of its own; Jamba has norms on the step and on B and C.
MixerCount count_mamba(const Mixer& m, Count d_model) {
  MixerCount count;
  const Count inner = Count{m.heads} * m.head_dim, small = m.step_rank + 2 * Count{m.state_dim};
  count.matrices = d_model * 2 * inner + inner * small + m.step_rank * inner + inner * d_model;
  count.others = inner * m.state_dim + 2 * inner + small;  // A, D and the step's bias, norms
  if (m.qkv_bias) count.others += inner;                   // of the convolution
  if (m.output_bias) count.others += 2 * inner + d_model;
  // decay of an element 2 (it is made of the channel's step), its use 1, update 2, read 2
  add_state(m, m.head_dim, m.state_dim, inner, 7, count);
  return count;
}

/// The input makes a value and two gates; the gated value is convolved. The convolution's inputs are all that
/// is kept.
MixerCount count_short_convolution(const Mixer& m, Count d_model) {
  MixerCount count;
  const Count channels = Count{m.heads} * m.head_dim;
  count.matrices = d_model * 3 * channels + channels * d_model;
  if (m.qkv_bias) count.others += 4 * channels;
  if (m.output_bias) count.others += d_model;
  add_state(m, 0, 0, channels, 0, count);
  return count;
}

/// What joins the streams before a half of a layer, and spreads its result over them after it.
void add_residual_streams(const Mixer& m, Count d_model, MixerCount& count) {
  const Count streams = m.residual_streams, width = streams * d_model;
  if (streams == 0) return;
  if (m.residual_rank > 0) {
    count.matrices += 2 * (2 * width * m.residual_rank + width * streams);
    count.others += 2 * width;  // norm
    return;
  }
  const Count gates = (2 + streams) * streams;  // joining, spreading, mixing
  count.matrices += 2 * gates * width;
  count.others += 2 * (gates + 3);  // offsets and scales
}

MixerCount count_kind(const Mixer& mixer, Count d_model) {
  switch (mixer.kind) {
    case MixerKind::none:
      return {};
    case MixerKind::grouped_query:
      return count_grouped_query(mixer, d_model);
    case MixerKind::multi_head_latent:
      return count_latent(mixer, d_model);
    case MixerKind::compressed:
      return count_compressed(mixer, d_model);
    case MixerKind::gated_delta_net:
      return count_gated_delta_net(mixer, d_model);
    case MixerKind::kimi_delta:
      return count_kimi_delta(mixer, d_model);
    case MixerKind::lightning:
      return count_lightning(mixer, d_model);
    case MixerKind::mamba2:
      return count_mamba2(mixer, d_model);
    case MixerKind::mamba:
      return count_mamba(mixer, d_model);
    case MixerKind::short_convolution:
      return count_short_convolution(mixer, d_model);
  }
  return {};
}

auto fields(const Mixer& m) {
  return std::tie(m.kind, m.heads, m.kv_heads, m.head_dim, m.v_head_dim, m.window, m.q_lora_rank,
                  m.kv_lora_rank, m.qk_nope_head_dim, m.qk_rope_head_dim, m.indexer.heads, m.indexer.head_dim,
                  m.indexer.top_k, m.indexer.shared, m.compress_ratio, m.output_groups, m.output_lora_rank,
                  m.key_heads, m.groups, m.state_dim, m.step_rank, m.conv_kernel, m.state_bits, m.qkv_bias,
                  m.output_bias, m.qk_norm, m.qk_norm_full_width, m.sinks, m.output_gate, m.head_gate,
                  m.value_is_key, m.residual_streams, m.residual_rank, m.norms);
}

}  // namespace

bool Mixer::operator==(const Mixer& other) const { return fields(*this) == fields(other); }

const char* to_string(MixerKind kind) { return choice_of(kind).name.data(); }

std::int64_t kept_entries(const CacheTerm& term, std::int64_t context) {
  const std::int64_t tokens = term.window > 0 ? std::min<std::int64_t>(context, term.window) : context;
  return tokens / term.stride;
}

MixerCount count_mixer(const Mixer& mixer, std::int64_t d_model) {
  MixerCount count = count_kind(mixer, d_model);
  add_residual_streams(mixer, d_model, count);
  return count;
}

}  // namespace pregate
