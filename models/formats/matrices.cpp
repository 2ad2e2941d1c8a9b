// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Names are those of the checkpoints that transformers reads; roles those of the tensors of llama.cpp's files
// (src/llama-arch.cpp).
#include "models/formats/matrices.hpp"

namespace pregate {
namespace {

using Count = std::int64_t;

std::vector<Matrix> grouped_query(const Mixer& m, Count d_model) {
  const Count query = Count{m.heads} * m.head_dim * (m.output_gate ? 2 : 1),
              key = Count{m.kv_heads} * m.head_dim;
  const Count value = m.value_is_key ? 0 : Count{m.kv_heads} * m.value_dim(),
              output = Count{m.heads} * m.value_dim();
  return {{TensorRole::attention_q,
           d_model * query,
           d_model,
           {"q_proj", "qkv_proj", "Wqkv", "query_key_value", "wq"}},
          {TensorRole::attention_k,
           d_model * key,
           d_model,
           {"k_proj", "qkv_proj", "Wqkv", "query_key_value", "wk"}},
          {TensorRole::attention_v,
           d_model * value,
           d_model,
           {"v_proj", "qkv_proj", "Wqkv", "query_key_value", "wv"}},
          {TensorRole::attention_output, output * d_model, output, {"o_proj", "out_proj", "dense", "wo"}}};
}

std::vector<Matrix> latent(const Mixer& m, Count d_model) {
  const Count heads = m.heads, query = heads * (m.qk_nope_head_dim + m.qk_rope_head_dim);
  std::vector<Matrix> all;
  if (m.q_lora_rank > 0) {
    all.push_back(
        {TensorRole::other, d_model * m.q_lora_rank, d_model, {"q_a_proj", "fused_qkv_a_proj_with_mqa"}});
    all.push_back({TensorRole::other, m.q_lora_rank * query, m.q_lora_rank, {"q_b_proj"}});
  } else {
    all.push_back({TensorRole::attention_q, d_model * query, d_model, {"q_proj"}});
  }
  all.push_back({TensorRole::other,
                 d_model * (m.kv_lora_rank + m.qk_rope_head_dim),
                 d_model,
                 {"kv_a_proj_with_mqa", "kv_a_proj", "fused_qkv_a_proj_with_mqa"}});
  // llama.cpp keeps the expansions of keys and of values apart, the one for keys transposed.
  all.push_back(
      {TensorRole::other, heads * m.qk_nope_head_dim * m.kv_lora_rank, m.qk_nope_head_dim, {"kv_b_proj"}});
  all.push_back({TensorRole::other, heads * m.v_head_dim * m.kv_lora_rank, m.kv_lora_rank, {"kv_b_proj"}});
  const Count output = heads * m.v_head_dim;
  all.push_back({TensorRole::attention_output, output * d_model, output, {"o_proj"}});
  return all;
}

std::vector<Matrix> compressed(const Mixer& m, Count d_model) {
  const Count query = Count{m.heads} * m.head_dim;
  std::vector<Matrix> all;
  if (m.q_lora_rank > 0) {
    all.push_back({TensorRole::other, d_model * m.q_lora_rank, d_model, {"q_a_proj", "wq_a"}});
    all.push_back({TensorRole::other, m.q_lora_rank * query, m.q_lora_rank, {"q_b_proj", "wq_b"}});
  } else {
    all.push_back({TensorRole::attention_q, d_model * query, d_model, {"q_proj", "wq"}});
  }
  all.push_back({TensorRole::other, d_model * m.head_dim, d_model, {"kv_proj", "wkv"}});
  if (m.output_groups > 0) {
    all.push_back(
        {TensorRole::other, query * m.output_lora_rank, query / m.output_groups, {"o_a_proj", "wo_a"}});
    const Count rank = Count{m.output_groups} * m.output_lora_rank;
    all.push_back({TensorRole::other, rank * d_model, rank, {"o_b_proj", "wo_b"}});
  } else {
    all.push_back({TensorRole::attention_output, query * d_model, query, {"o_proj", "wo"}});
  }
  return all;
}

std::vector<Matrix> linear(const Mixer& m, Count d_model) {
  const Count keys = Count{m.key_heads > 0 ? m.key_heads : m.heads} * m.head_dim;
  const Count values = Count{m.heads} * m.value_dim();
  if (m.kind == MixerKind::gated_delta_net) {
    return {
        {TensorRole::attention_v, d_model * (2 * keys + values), d_model, {"in_proj_qkv", "in_proj_qkvz"}},
        {TensorRole::other, d_model * values, d_model, {"in_proj_z", "in_proj_qkvz"}},
        {TensorRole::other, d_model * 2 * m.heads, d_model, {"in_proj_ba", "in_proj_b"}},
        {TensorRole::other, values * d_model, values, {"out_proj"}}};
  }
  return {{TensorRole::attention_q, d_model * keys, d_model, {"q_proj", "qkv_proj"}},
          {TensorRole::attention_k, d_model * keys, d_model, {"k_proj", "qkv_proj"}},
          {TensorRole::attention_v, d_model * values, d_model, {"v_proj", "qkv_proj"}},
          {TensorRole::attention_output, values * d_model, values, {"o_proj", "out_proj"}}};
}

}  // namespace

std::vector<Matrix> mixer_matrices(const Mixer& mixer, Count d_model) {
  switch (mixer.kind) {
    case MixerKind::none:
      return {};
    case MixerKind::grouped_query:
      return grouped_query(mixer, d_model);
    case MixerKind::multi_head_latent:
      return latent(mixer, d_model);
    case MixerKind::compressed:
      return compressed(mixer, d_model);
    case MixerKind::mamba2: {
      const Count inner = Count{mixer.heads} * mixer.head_dim;
      const Count in = 2 * inner + 2 * Count{mixer.groups} * mixer.state_dim + mixer.heads;
      return {{TensorRole::other, d_model * in, d_model, {"in_proj"}},
              {TensorRole::other, inner * d_model, inner, {"out_proj"}}};
    }
    case MixerKind::mamba: {
      const Count inner = Count{mixer.heads} * mixer.head_dim;
      const Count small = mixer.step_rank + 2 * Count{mixer.state_dim};
      return {{TensorRole::other, d_model * 2 * inner, d_model, {"in_proj"}},
              {TensorRole::other, inner * small, inner, {"x_proj"}},
              {TensorRole::other, mixer.step_rank * inner, mixer.step_rank, {"dt_proj"}},
              {TensorRole::other, inner * d_model, inner, {"out_proj"}}};
    }
    case MixerKind::short_convolution: {
      const Count channels = Count{mixer.heads} * mixer.head_dim;
      return {{TensorRole::other, d_model * 3 * channels, d_model, {"in_proj"}},
              {TensorRole::other, channels * d_model, channels, {"out_proj"}}};
    }
    default:
      return linear(mixer, d_model);
  }
}

std::vector<Matrix> feed_forward_matrices(Count d_model, Count width, bool gated) {
  const Count one = d_model * width;
  std::vector<Matrix> all;
  if (gated) all.push_back({TensorRole::ffn_gate, one, d_model, {"gate_proj", "gate_up_proj", "w1"}});
  all.push_back({TensorRole::ffn_up, one, d_model, {"up_proj", "gate_up_proj", "w3"}});
  all.push_back({TensorRole::ffn_down, one, width, {"down_proj", "w2"}});
  return all;
}

std::vector<std::string_view> part_names(Part part) {
  switch (part) {
    case Part::experts:
      return {"mlp.experts.0",   "mlp.experts",          "block_sparse_moe.experts.0",
              "mixer.experts.0", "feed_forward.experts", "moe.experts.0"};
    case Part::attention:
      return {"self_attn", "linear_attn", "attn", "mixer", "attention"};
    case Part::shared_experts:
      return {"mlp.shared_experts",   "mlp.shared_expert",          "mlp.shared_mlp",
              "mixer.shared_experts", "feed_forward.shared_expert", "block_sparse_moe.shared_experts"};
    case Part::dense_ffn:
      return {"mlp", "feed_forward", "mixer"};
  }
  return {};
}

}  // namespace pregate
