// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/model.hpp"

#include <algorithm>
#include <cmath>

#include "models/error.hpp"

namespace pregate {
namespace {

using Count = std::int64_t;

/// Parameters of one attention. `matrices` take part in matrix products, each once a token.
struct AttentionCount {
  Count matrices = 0;     ///< without the K/V projections
  Count kv_matrices = 0;  ///< K/V projections; 0 for multi-head latent attention, whose `matrices` hold all
  Count others = 0;       ///< biases, norms of q and k, sinks; without those of K/V
  Count kv_others = 0;
};

AttentionCount count_attention(const Attention& attention, Count d_model) {
  AttentionCount count;
  const Count heads = attention.heads;
  if (attention.kind == AttentionKind::multi_head_latent) {
    const Count query_width = heads * (attention.qk_nope_head_dim + attention.qk_rope_head_dim);
    const Count latent = attention.kv_lora_rank;
    if (attention.q_lora_rank > 0) {
      count.matrices += (d_model + query_width) * attention.q_lora_rank;
      count.others += attention.q_lora_rank;  // norm of the query latent
    } else {
      count.matrices += d_model * query_width;
    }
    count.matrices += d_model * (latent + attention.qk_rope_head_dim);
    count.others += latent;  // norm of the key-value latent
    count.matrices += latent * heads * (attention.qk_nope_head_dim + attention.v_head_dim);
    count.matrices += heads * attention.v_head_dim * d_model;
    return count;
  }
  const Count query_width = heads * attention.head_dim;
  const Count kv_width = Count{attention.kv_heads} * attention.head_dim;
  count.matrices = 2 * d_model * query_width;  // query and output
  count.kv_matrices = 2 * d_model * kv_width;
  if (attention.qkv_bias) {
    count.others += query_width;
    count.kv_others += 2 * kv_width;
  }
  if (attention.output_bias) count.others += d_model;
  if (attention.qk_norm) count.others += 2 * Count{attention.head_dim};
  if (attention.qk_norm_full_width) count.others += query_width + kv_width;
  if (attention.sinks) count.others += heads;
  return count;
}

Count norm(const Stack& stack, Count d_model) { return stack.norm_bias ? 2 * d_model : d_model; }

Count matrices(bool gated) { return gated ? 3 : 2; }

struct FeedForwardCount {
  Count matrices = 0;
  Count others = 0;
};

FeedForwardCount count_expert(const MoeBlock& moe, Count d_model) {
  FeedForwardCount count;
  count.matrices = matrices(moe.gated) * d_model * moe.ffn_dim;
  if (moe.expert_bias) count.others = (moe.gated ? 2 : 1) * Count{moe.ffn_dim} + d_model;
  return count;
}

/// The resident feed-forward part of a layer, its norm aside.
FeedForwardCount count_feed_forward(const Stack& stack, const Layer& layer, Count d_model) {
  FeedForwardCount count;
  if (layer.moe) {
    const MoeBlock& moe = stack.moe;
    count.matrices = d_model * moe.experts + matrices(moe.gated) * d_model * moe.shared_ffn_dim;
    if (moe.shared_gate) count.matrices += d_model;
    if (moe.router_bias) count.others += moe.experts;
  } else {
    count.matrices = matrices(stack.dense_gated) * d_model * stack.dense_ffn_dim;
    if (stack.dense_bias) count.others = (stack.dense_gated ? 2 : 1) * Count{stack.dense_ffn_dim} + d_model;
  }
  return count;
}

/// Parameters of a layer but its routed experts.
Count count_resident(const Stack& stack, const Layer& layer, Count d_model) {
  const AttentionCount attention = count_attention(stack.attention, d_model);
  const Count one = attention.matrices + attention.kv_matrices + attention.others + attention.kv_others +
                    norm(stack, d_model);
  const FeedForwardCount feed_forward = count_feed_forward(stack, layer, d_model);
  return (stack.cross_attention ? 2 : 1) * one + feed_forward.matrices + feed_forward.others +
         norm(stack, d_model);
}

Bytes stored(Count parameters, const WeightFormat& format) {
  return {static_cast<Count>(std::ceil(static_cast<double>(parameters) * format.bits_per_parameter / 8))};
}

Count kv_width(const Attention& attention) {
  if (attention.kind == AttentionKind::multi_head_latent)
    return attention.kv_lora_rank + attention.qk_rope_head_dim;
  return 2 * Count{attention.kv_heads} * attention.head_dim;
}

/// Multiply-adds of scores and weighted sum for one query token and one cached token.
Count context_products(const Attention& attention) {
  if (attention.kind == AttentionKind::multi_head_latent) {
    return Count{attention.heads} * (2 * attention.kv_lora_rank + attention.qk_rope_head_dim);
  }
  return 2 * Count{attention.heads} * attention.head_dim;
}

double flop(Count products) { return 2.0 * static_cast<double>(products); }

Count count_head(const ModelSpec& model) {
  return model.vocabulary * model.d_model + (model.head_bias ? model.vocabulary : 0);
}

/// Embedding tables and output projection.
Count count_embeddings(const ModelSpec& model) {
  Count total = count_head(model) + model.learned_positions * Count{model.d_model};
  if (!model.tied_embeddings) total += model.vocabulary * model.d_model;
  return total;
}

const WeightFormat& embeddings_stored_as(const ModelSpec& model) {
  return model.embedding_format.bits_per_parameter > 0 ? model.embedding_format : model.dense_format;
}

/// Parameters of all layers and final norms but routed experts.
Count count_dense(const ModelSpec& model) {
  const Count d_model = model.d_model;
  Count total = 0;
  for (const Stack& stack : model.stacks) {
    for (const Layer& layer : stack.layers) total += count_resident(stack, layer, d_model);
    total += norm(stack, d_model);  // after the last layer
    total += Count{model.relative_position_buckets} * stack.attention.heads;
  }
  return total;
}

}  // namespace

std::vector<int> moe_layers(const Stack& stack) {
  std::vector<int> result;
  for (std::size_t i = 0; i < stack.layers.size(); ++i) {
    if (stack.layers[i].moe) result.push_back(static_cast<int>(i));
  }
  return result;
}

Count ModelSpec::expert_parameter_count(const Stack& stack) const {
  const FeedForwardCount expert = count_expert(stack.moe, d_model);
  return expert.matrices + expert.others;
}

Bytes ModelSpec::expert_bytes(const Stack& stack) const {
  const FeedForwardCount expert = count_expert(stack.moe, d_model);
  return stored(expert.matrices, expert_format) + stored(expert.others, dense_format);
}

Count ModelSpec::parameter_count() const {
  Count total = count_embeddings(*this) + count_dense(*this);
  for (const Stack& stack : stacks) {
    total += static_cast<Count>(moe_layers(stack).size()) * stack.moe.experts * expert_parameter_count(stack);
  }
  return total;
}

Count ModelSpec::active_parameter_count() const {
  Count total = count_embeddings(*this) + count_dense(*this);
  for (const Stack& stack : stacks) {
    total += static_cast<Count>(moe_layers(stack).size()) * stack.moe.top_k * expert_parameter_count(stack);
  }
  return total;
}

Bytes ModelSpec::dense_bytes() const {
  return stored(count_dense(*this), dense_format) +
         stored(count_embeddings(*this), embeddings_stored_as(*this));
}

Bytes ModelSpec::all_expert_bytes() const {
  Bytes total;
  for (const Stack& stack : stacks) {
    total += expert_bytes(stack) * (static_cast<Count>(moe_layers(stack).size()) * stack.moe.experts);
  }
  return total;
}

Bytes ModelSpec::kv_bytes_per_token() const {
  const int decoder = stack_index("decoder");
  if (decoder < 0) return {};
  Bytes total;
  for (const LayerProfile& layer : profile(stacks[static_cast<std::size_t>(decoder)]))
    total += layer.kv_per_token;
  return total;
}

double ModelSpec::flop_per_token(int context) const {
  const int decoder = stack_index("decoder");
  if (decoder < 0) return 0;
  double total = head_flop_per_token();
  for (const LayerProfile& layer : profile(stacks[static_cast<std::size_t>(decoder)])) {
    const int seen = layer.sliding_window > 0 ? std::min(context, layer.sliding_window) : context;
    total += layer.attention_flop_per_token + layer.attention_flop_per_token_and_context * seen +
             layer.ffn_flop_per_token + layer.top_k * layer.expert_flop_per_token;
  }
  return total;
}

std::vector<LayerProfile> ModelSpec::profile(const Stack& stack) const {
  const AttentionCount attention = count_attention(stack.attention, d_model);
  const MoeBlock& moe = stack.moe;
  std::vector<LayerProfile> result;
  for (std::size_t i = 0; i < stack.layers.size(); ++i) {
    const Layer& layer = stack.layers[i];
    LayerProfile cost;
    cost.layer = static_cast<int>(i);
    cost.moe = layer.moe;
    cost.sliding_window = layer.sliding_window;

    Count read = attention.matrices + attention.kv_matrices + attention.others + attention.kv_others +
                 norm(stack, d_model);
    if (i == 0) read += Count{relative_position_buckets} * stack.attention.heads;
    cost.attention_flop_per_token = flop(attention.matrices + attention.kv_matrices);
    cost.attention_flop_per_token_and_context = flop(context_products(stack.attention));
    cost.kv_per_token = stored(kv_width(stack.attention), kv_format);
    if (stack.cross_attention) {
      read += attention.matrices + attention.others + norm(stack, d_model);
      cost.attention_flop_per_token += flop(attention.matrices);
      cost.cross_attention_flop_per_token_and_context = cost.attention_flop_per_token_and_context;
      cost.cross_kv_weights = stored(attention.kv_matrices + attention.kv_others, dense_format);
      cost.cross_kv_flop_per_encoder_token = flop(attention.kv_matrices);
      cost.cross_kv_per_token = cost.kv_per_token;
    }
    cost.attention_weights = stored(read, dense_format);

    const FeedForwardCount feed_forward = count_feed_forward(stack, layer, d_model);
    cost.ffn_weights =
        stored(feed_forward.matrices + feed_forward.others + norm(stack, d_model), dense_format);
    cost.ffn_flop_per_token = flop(feed_forward.matrices);
    if (layer.moe) {
      cost.experts = moe.experts;
      cost.top_k = moe.top_k;
      cost.expert = expert_bytes(stack);
      cost.expert_flop_per_token = flop(count_expert(moe, d_model).matrices);
      cost.expert_gemm_columns_in = (moe.gated ? 2 : 1) * moe.ffn_dim;
      cost.expert_gemm_columns_out = d_model;
      cost.expert_ffn_dim = moe.ffn_dim;
    }
    result.push_back(cost);
  }
  return result;
}

Bytes ModelSpec::head_bytes() const { return stored(count_head(*this), embeddings_stored_as(*this)); }

double ModelSpec::head_flop_per_token() const { return flop(vocabulary * d_model); }

int ModelSpec::stack_index(const std::string& stack_name) const {
  for (std::size_t i = 0; i < stacks.size(); ++i) {
    if (stacks[i].name == stack_name) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace pregate
