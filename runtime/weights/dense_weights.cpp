// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/dense_weights.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/weights/synthetic_weights.hpp"

namespace pregate::runtime {

namespace {

constexpr std::int64_t alignment = 256;
constexpr std::uint64_t dense_seed = 2;

/// A matrix that is to lie in the allocation.
struct Wanted {
  DeviceSpan* place;
  std::int64_t elements;
  std::uint64_t seed;
  float scale;  ///< 0: all ones
};

Bytes aligned(Bytes bytes) { return {(bytes.count + alignment - 1) / alignment * alignment}; }

}  // namespace

std::uint64_t DenseWeights::seed_of(std::uint64_t seed, Matrix matrix, int stack, int layer) {
  const auto key = (static_cast<std::uint64_t>(stack) << 32U) | static_cast<std::uint32_t>(layer);
  return seed_for(seed, dense_seed + static_cast<std::uint64_t>(matrix), key);
}

float DenseWeights::scale_of(int inner) { return std::sqrt(3.0F / static_cast<float>(std::max(1, inner))); }

DenseWeights::DenseWeights(Device& device, Stream& stream, const ModelShape& shape, std::uint64_t seed) {
  std::vector<Wanted> wanted;
  const auto want = [&](DeviceSpan& place, std::int64_t rows, int inner, Matrix matrix, int stack,
                        int layer) {
    if (rows > 0 && inner > 0)
      wanted.push_back({&place, rows * inner, seed_of(seed, matrix, stack, layer), scale_of(inner)});
  };
  const auto want_norm = [&](DeviceSpan& place) { wanted.push_back({&place, shape.d_model, 0, 0}); };

  for (const auto& stack : shape.stacks) layers_.emplace_back(stack.size());
  for (std::size_t s = 0; s < shape.stacks.size(); ++s) {
    for (std::size_t l = 0; l < shape.stacks[s].size(); ++l) {
      const LayerShape& layer = shape.stacks[s][l];
      LayerWeights& weights = layers_[s][l];
      const int stack = static_cast<int>(s), number = static_cast<int>(l), d = shape.d_model;
      want_norm(weights.attention_norm);
      want(weights.attention_in, layer.attention, d, Matrix::attention_in, stack, number);
      want(weights.attention_out, d, layer.attention, Matrix::attention_out, stack, number);
      const CachedAttention& cached = layer.over_cache;
      want(weights.query, cached.query_width(), d, Matrix::query, stack, number);
      want(weights.key, cached.key_width(), d, Matrix::key, stack, number);
      want(weights.value, cached.value_width(), d, Matrix::value, stack, number);
      want(weights.output, d, cached.output_width(), Matrix::output, stack, number);
      want_norm(weights.feed_forward_norm);
      want(weights.router, layer.experts, d, Matrix::router, stack, number);
      want(weights.feed_forward_in, layer.dense.columns_in(), d, Matrix::feed_forward_in, stack, number);
      want(weights.feed_forward_out, d, layer.dense.inner, Matrix::feed_forward_out, stack, number);
    }
  }
  want_norm(head_norm_);
  want(head_, shape.vocabulary, shape.d_model, Matrix::head, 0, 0);

  Bytes total, largest;
  for (const Wanted& w : wanted) {
    total += aligned(shape.element * w.elements);
    largest = std::max(largest, shape.element * w.elements);
  }
  memory_ = device.allocate(total, "dense weights");
  const PageLockedMemory staging = device.allocate_page_locked(largest, "staging of dense weights");
  Bytes at;
  for (const Wanted& w : wanted) {
    const Bytes size = shape.element * w.elements;
    *w.place = memory_.span().part(at, size);
    at += aligned(size);
    const PageLockedSpan source = staging.span().part({}, size);
    fill_synthetic({source.data(), static_cast<std::size_t>(size.count)}, shape.type, w.seed, w.scale);
    stream.copy_to_device(*w.place, source);
    stream.synchronize();
  }
}

}  // namespace pregate::runtime
