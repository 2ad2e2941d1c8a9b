// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The attention of a layer, as LayerRunner computes it.
#include <cmath>

#include "runtime/layer_runner.hpp"
#include "runtime/with_element.hpp"

namespace pregate::runtime {

void LayerRunner::attention(int layer, int micro_batch) {
  const Part& part = part_of(micro_batch);
  const LayerWeights& weights = weights_.layer(stack_, layer);
  const int d = shape_.d_model;
  const DeviceSpan hidden = rows_of(scratch_.hidden, d, part), normed = rows_of(scratch_.normed, d, part);
  norm(weights.attention_norm, hidden, normed);
  if (layer_shape(layer).over_cache.heads > 0) {
    attend(layer, part);
    return;
  }
  const int width = layer_shape(layer).attention;
  multiply(part.tokens, width, d, normed.data(), weights.attention_in, scratch_.mid.data());
  multiply(part.tokens, d, width, scratch_.mid.data(), weights.attention_out, hidden.data(), 1);
}

/// Every token's key and value are in the cache before any of the part's tokens attends to it: a prompt's
/// tokens attend to those before them in the same pass.
void LayerRunner::attend(int layer, const Part& part) {
  const CachedAttention& shape = layer_shape(layer).over_cache;
  const LayerWeights& weights = weights_.layer(stack_, layer);
  const int d = shape_.d_model;
  const DeviceSpan normed = rows_of(scratch_.normed, d, part);
  multiply(part.tokens, shape.query_width(), d, normed.data(), weights.query, scratch_.queries.data());
  multiply(part.tokens, shape.key_width(), d, normed.data(), weights.key, scratch_.new_keys.data());
  multiply(part.tokens, shape.value_width(), d, normed.data(), weights.value, scratch_.new_values.data());
  const KvCache::Places places = cache_->places(shape.window, part.first_token);
  const bool appends =
      cache_fault_.kind != CacheFault::Kind::left_out_append || cache_fault_.pass != pass_number_;
  if (appends) {
    append(scratch_.new_keys, places.key_rows, cache_->keys(layer), shape.key_width(), part.tokens);
    append(scratch_.new_values, places.value_rows, cache_->values(layer), shape.value_width(), part.tokens);
  }
  with_element(shape_.type, [&](auto element) {
    using E = decltype(element);
    stream_.launch(kernels::AttentionArgs<E>{.queries = scratch_.queries.as<E>(),
                                             .keys = cache_->keys(layer).as<E>(),
                                             .values = cache_->values(layer).as<E>(),
                                             .firsts = places.firsts,
                                             .counts = places.counts,
                                             .output = scratch_.attended.as<E>(),
                                             .tokens = part.tokens,
                                             .heads = shape.heads,
                                             .kv_heads = shape.kv_heads,
                                             .head_dim = shape.head_dim,
                                             .value_dim = shape.value_dim,
                                             .scale = 1 / std::sqrt(static_cast<float>(shape.head_dim))});
  });
  multiply(part.tokens, d, shape.output_width(), scratch_.attended.data(), weights.output,
           rows_of(scratch_.hidden, d, part).data(), 1);
}

/// The kernel that brings tokens to their experts: with one row a token.
void LayerRunner::append(DeviceSpan rows, const std::int32_t* places, DeviceSpan cache, int width,
                         std::int32_t tokens) {
  with_element(shape_.type, [&](auto element) {
    using E = decltype(element);
    stream_.launch(kernels::PermuteArgs<E>{.input = rows.as<E>(),
                                           .positions = places,
                                           .permuted = cache.as<E>(),
                                           .tokens = tokens,
                                           .top_k = 1,
                                           .width = width});
  });
}

}  // namespace pregate::runtime
