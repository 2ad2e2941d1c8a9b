// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/layer_runner.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "runtime/weights/synthetic_weights.hpp"
#include "runtime/with_element.hpp"

namespace pregate::runtime {

namespace {

constexpr std::uint64_t input_kind = 100;
/// Far above any real logit (their standard deviation is about one), and small enough to leave their
/// differences in fp32. "None" comes after every chosen expert and before all others.
constexpr float chosen_bias = 64.0F, none_bias = 32.0F;

template <class T>
const T* at(const void* address) {
  return static_cast<const T*>(address);
}

}  // namespace

LayerRunner::LayerRunner(Device& device, Stream& stream, const ModelShape& shape, const sim::ExpertMap& map,
                         const sim::TraceScan& scan, std::uint64_t seed)
    : stream_(stream),
      shape_(shape),
      map_(map),
      seed_(seed),
      weights_(device, stream, shape, seed),
      scratch_(device, shape, map, scan) {}

std::uint64_t LayerRunner::input_seed(std::uint64_t seed, std::int64_t number) {
  return seed_for(seed, input_kind, static_cast<std::uint64_t>(number));
}

void LayerRunner::prepare(const trace::Step& step, std::int64_t number, int model_stack) {
  stack_ = model_stack;
  tokens_ = step.tokens;
  sequences_ = std::max(1, step.sequences);
  ordinals_ = map_.ordinals(step.stack);
  chosen_.assign(step.experts.begin(), step.experts.end());
  const PageLockedSpan input = scratch_.input.part({}, row(tokens_, shape_.d_model));
  fill_synthetic({input.data(), static_cast<std::size_t>(input.size().count)}, shape_.type,
                 input_seed(seed_, number), 1);

  choices_.clear();
  Choices next;
  for (int ordinal = ordinals_.first; ordinal < ordinals_.second; ++ordinal) {
    const sim::MoeLayer& layer = map_.layers()[static_cast<std::size_t>(ordinal)];
    force_choices(layer, next, scratch_.forced_logits.as<float>() + next.first_logit);
    choices_.push_back(next);
    next.first += std::int64_t{tokens_} * layer.top_k;
    next.first_logit += std::int64_t{tokens_} * next.width;
  }
  logit_count_ = next.first_logit;
}

namespace {

bool is_repeated(const std::uint16_t* ids, int k) { return std::find(ids, ids + k, ids[k]) != ids + k; }

}  // namespace

void LayerRunner::force_choices(const sim::MoeLayer& layer, Choices& choices, float* logits) {
  const std::uint16_t* const ids = chosen_.data() + choices.first;
  const std::int64_t pairs = std::int64_t{tokens_} * layer.top_k;
  bool lacks_some = std::find(ids, ids + pairs, trace::no_expert) != ids + pairs;
  for (std::int64_t i = 0; i < pairs && !lacks_some; i += layer.top_k) {
    for (int k = 1; k < layer.top_k; ++k) lacks_some = lacks_some || is_repeated(ids + i, k);
  }
  choices.width = layer.experts + (lacks_some ? layer.top_k : 0);
  for (int token = 0; token < tokens_; ++token, logits += choices.width) {
    std::fill_n(logits, layer.experts, 0.0F);
    std::fill_n(logits + layer.experts, choices.width - layer.experts, none_bias);
    for (int k = 0; k < layer.top_k; ++k) {
      const std::uint16_t expert = ids[std::int64_t{token} * layer.top_k + k];
      if (expert != trace::no_expert) logits[expert] = chosen_bias;
    }
  }
}

void LayerRunner::upload() {
  const Bytes input = row(tokens_, shape_.d_model), logits{logit_count_ * 4};
  stream_.copy_to_device(scratch_.hidden.part({}, input), scratch_.input.part({}, input));
  if (logits.count > 0)
    stream_.copy_to_device(scratch_.logits.part({}, logits), scratch_.forced_logits.part({}, logits));
}

DeviceSpan LayerRunner::hidden() const { return scratch_.hidden.part({}, row(tokens_, shape_.d_model)); }

void LayerRunner::multiply(int rows, int columns, int inner, const void* a, DeviceSpan b, void* c,
                           float beta) {
  stream_.gemm({.rows = rows,
                .columns = columns,
                .inner = inner,
                .a = a,
                .b = b.data(),
                .c = c,
                .beta = beta,
                .type = shape_.type,
                .result = shape_.type});
}

void LayerRunner::norm(DeviceSpan weight, const std::byte* input, int rows) {
  with_element(shape_.type, [&](auto element) {
    using E = decltype(element);
    stream_.launch(kernels::RmsNormArgs<E>{.input = at<E>(input),
                                           .weight = weight.as<E>(),
                                           .output = scratch_.normed.as<E>(),
                                           .rows = rows,
                                           .width = shape_.d_model});
  });
}

void LayerRunner::activation(const FeedForward& shape, const void* input, void* output, int rows) {
  with_element(shape_.type, [&](auto element) {
    using E = decltype(element);
    stream_.launch(kernels::ActivationArgs<E>{
        .input = at<E>(input),
        .output = static_cast<E*>(output),
        .rows = rows,
        .width = shape.inner,
        .kind = shape.gated ? kernels::Activation::swiglu : kernels::Activation::relu});
  });
}

void LayerRunner::feed_forward(const FeedForward& shape, DeviceSpan in, DeviceSpan out, int rows,
                               const void* input, void* output, float beta) {
  multiply(rows, shape.columns_in(), shape_.d_model, input, in, scratch_.mid.data());
  activation(shape, scratch_.mid.data(), scratch_.activated.data(), rows);
  multiply(rows, shape_.d_model, shape.inner, scratch_.activated.data(), out, output, beta);
}

void LayerRunner::attention(int layer) {
  const LayerWeights& weights = weights_.layer(stack_, layer);
  const int width = layer_shape(layer).attention;
  norm(weights.attention_norm, scratch_.hidden.data(), tokens_);
  multiply(tokens_, width, shape_.d_model, scratch_.normed.data(), weights.attention_in, scratch_.mid.data());
  multiply(tokens_, shape_.d_model, width, scratch_.mid.data(), weights.attention_out, scratch_.hidden.data(),
           1);
}

void LayerRunner::dense_layer(int layer) {
  attention(layer);
  const LayerWeights& weights = weights_.layer(stack_, layer);
  const FeedForward& shape = layer_shape(layer).dense;
  if (shape.inner == 0) return;
  norm(weights.feed_forward_norm, scratch_.hidden.data(), tokens_);
  feed_forward(shape, weights.feed_forward_in, weights.feed_forward_out, tokens_, scratch_.normed.data(),
               scratch_.hidden.data(), 1);
}

void LayerRunner::gate(int ordinal) {
  ordinal_ = ordinal;
  const sim::MoeLayer& layer = map_.layers()[static_cast<std::size_t>(ordinal)];
  const LayerWeights& weights = weights_.layer(stack_, layer.layer);
  norm(weights.feed_forward_norm, scratch_.hidden.data(), tokens_);
  auto* const logits = scratch_.logits.as<float>() + choices().first_logit;
  stream_.gemm({.rows = tokens_,
                .columns = layer.experts,
                .inner = shape_.d_model,
                .a = scratch_.normed.data(),
                .b = weights.router.data(),
                .c = logits,
                .c_stride = choices().width,
                .beta = 1,
                .type = shape_.type,
                .result = ElementType::f32});
  stream_.launch(kernels::RouterArgs<float>{.logits = logits,
                                            .expert_ids = scratch_.ids.as<std::int32_t>(),
                                            .gate_weights = scratch_.gate_weights.as<float>(),
                                            .tokens = tokens_,
                                            .experts = choices().width,
                                            .top_k = layer.top_k});

  rows_.assign(static_cast<std::size_t>(layer.experts), {});
  const std::uint16_t* ids = chosen_.data() + choices().first;
  for (int token = 0; token < tokens_; ++token, ids += layer.top_k) {
    for (int k = 0; k < layer.top_k; ++k) {
      if (ids[k] != trace::no_expert && !is_repeated(ids, k)) ++rows_[ids[k]].count;
    }
  }
  place_rows();
}

void LayerRunner::place_rows() {
  std::int32_t begin = 0;
  activated_ = 0;
  for (Rows& rows : rows_) {
    rows.begin = begin;
    begin += rows.count;
    activated_ += rows.count > 0 ? 1 : 0;
  }
}

std::int64_t LayerRunner::pairs() const {
  return std::int64_t{tokens_} * map_.layers()[static_cast<std::size_t>(ordinal_)].top_k;
}

DeviceSpan LayerRunner::normed() const { return scratch_.normed.part({}, row(tokens_, shape_.d_model)); }
DeviceSpan LayerRunner::gate_weights() const { return scratch_.gate_weights.part({}, {4 * pairs()}); }
const FeedForward& LayerRunner::expert_shape() const {
  return layer_shape(map_.layers()[static_cast<std::size_t>(ordinal_)].layer).expert;
}
std::span<const std::int32_t> LayerRunner::known_ids() const {
  return {scratch_.ids_read.as<std::int32_t>(), static_cast<std::size_t>(pairs())};
}

void LayerRunner::leave_out(std::span<const sim::ExpertKey> experts) {
  const sim::MoeLayer& layer = map_.layers()[static_cast<std::size_t>(ordinal_)];
  for (const sim::ExpertKey key : experts) rows_[key - layer.first_key].count = 0;
  place_rows();
  // The pairs of the others keep their ids; those that are dropped get one beyond all experts.
  auto* const kept = scratch_.ids_kept.as<std::int32_t>();
  const std::span<const std::int32_t> known = known_ids();
  std::transform(known.begin(), known.end(), kept, [&](std::int32_t id) {
    const bool is_here = id < layer.experts && rows_[static_cast<std::size_t>(id)].count > 0;
    return is_here ? id : layer.experts;
  });
  const Bytes size{4 * pairs()};
  stream_.copy_to_device(scratch_.ids.part({}, size), scratch_.ids_kept.part({}, size));
}

void LayerRunner::read_ids(Stream& stream) {
  const Bytes size{4 * pairs()};
  stream.copy_to_host(scratch_.ids_read.part({}, size), scratch_.ids.part({}, size));
}

bool LayerRunner::ids_agree() const {
  const int top_k = map_.layers()[static_cast<std::size_t>(ordinal_)].top_k;
  const std::int32_t* read = scratch_.ids_read.as<std::int32_t>();
  auto chosen = chosen_.begin() + choices().first;
  for (int token = 0; token < tokens_; ++token, read += top_k, chosen += top_k) {
    for (auto id = chosen; id != chosen + top_k; ++id) {
      if (*id != trace::no_expert && std::find(read, read + top_k, *id) == read + top_k) return false;
    }
  }
  return true;
}

void LayerRunner::begin_experts() {
  const sim::MoeLayer& layer = map_.layers()[static_cast<std::size_t>(ordinal_)];
  const std::int32_t pairs = tokens_ * layer.top_k;
  stream_.launch(kernels::OrderArgs{.expert_ids = scratch_.ids.as<std::int32_t>(),
                                    .counts = scratch_.counts.as<std::int32_t>(),
                                    .offsets = scratch_.offsets.as<std::int32_t>(),
                                    .positions = scratch_.positions.as<std::int32_t>(),
                                    .sources = scratch_.sources.as<std::int32_t>(),
                                    .pairs = pairs,
                                    .experts = layer.experts});
  with_element(shape_.type, [&](auto element) {
    using E = decltype(element);
    stream_.launch(kernels::PermuteArgs<E>{.input = scratch_.normed.as<E>(),
                                           .positions = scratch_.positions.as<std::int32_t>(),
                                           .permuted = scratch_.permuted.as<E>(),
                                           .tokens = tokens_,
                                           .top_k = layer.top_k,
                                           .width = shape_.d_model});
  });
  const FeedForward& shared = layer_shape(layer.layer).dense;
  const LayerWeights& weights = weights_.layer(stack_, layer.layer);
  if (shared.inner > 0) {
    feed_forward(shared, weights.feed_forward_in, weights.feed_forward_out, tokens_, scratch_.normed.data(),
                 scratch_.shared_out.data(), 0);
  }
}

void LayerRunner::experts(std::span<const ExpertWeights> experts) {
  const sim::MoeLayer& layer = map_.layers()[static_cast<std::size_t>(ordinal_)];
  const FeedForward& shape = layer_shape(layer.layer).expert;
  const std::int64_t values_in = std::int64_t{shape.columns_in()} * shape_.d_model,
                     values_out = std::int64_t{shape_.d_model} * shape.inner;
  const Bytes in = shape_.stored(values_in), out = shape_.stored(values_out);
  const auto rows_of = [&](const ExpertWeights& e) { return rows_[static_cast<std::size_t>(e.expert)]; };
  const auto at_row = [&](DeviceSpan all, int width, const Rows& rows) {
    return all.part(row(rows.begin, width), row(rows.count, width)).data();
  };
  for (const ExpertWeights& expert : experts) {
    const Rows rows = rows_of(expert);
    multiply(rows.count, shape.columns_in(), shape_.d_model, at_row(scratch_.permuted, shape_.d_model, rows),
             unpacked(expert.weights.part({}, in), values_in),
             at_row(scratch_.expert_mid, shape.columns_in(), rows));
  }
  if (static_cast<int>(experts.size()) == activated_) {  // all rows at once
    activation(shape, scratch_.expert_mid.data(), scratch_.expert_activated.data(),
               rows_.empty() ? 0 : rows_.back().begin + rows_.back().count);
  } else {
    for (const ExpertWeights& expert : experts) {
      const Rows rows = rows_of(expert);
      activation(shape, at_row(scratch_.expert_mid, shape.columns_in(), rows),
                 at_row(scratch_.expert_activated, shape.inner, rows), rows.count);
    }
  }
  for (const ExpertWeights& expert : experts) {
    const Rows rows = rows_of(expert);
    multiply(rows.count, shape_.d_model, shape.inner, at_row(scratch_.expert_activated, shape.inner, rows),
             unpacked(expert.weights.part(in, out), values_out),
             at_row(scratch_.expert_out, shape_.d_model, rows));
  }
}

DeviceSpan LayerRunner::unpacked(DeviceSpan matrix, std::int64_t values) {
  if (!shape_.blocks) return matrix;
  const DeviceSpan to = scratch_.unpacked.part({}, shape_.element * values);
  if (unpackings_++ == left_out_unpacking_) return to;
  with_element(shape_.type, [&](auto element) {
    using E = decltype(element);
    stream_.launch(
        kernels::DequantizeArgs<E>{.blocks = matrix.as<std::uint8_t>(),
                                   .values = to.as<E>(),
                                   .count = static_cast<std::int32_t>(values / kernels::block_values),
                                   .format = *shape_.blocks});
  });
  return to;
}

void LayerRunner::end_experts() {
  const sim::MoeLayer& layer = map_.layers()[static_cast<std::size_t>(ordinal_)];
  const bool shared = layer_shape(layer.layer).dense.inner > 0;
  with_element(shape_.type, [&](auto element) {
    using E = decltype(element);
    stream_.launch(kernels::CombineArgs<E>{.permuted = scratch_.expert_out.as<E>(),
                                           .positions = scratch_.positions.as<std::int32_t>(),
                                           .gate_weights = scratch_.gate_weights.as<float>(),
                                           .shared = shared ? scratch_.shared_out.as<E>() : nullptr,
                                           .residual = scratch_.hidden.as<E>(),
                                           .output = scratch_.hidden.as<E>(),
                                           .tokens = tokens_,
                                           .top_k = layer.top_k,
                                           .width = shape_.d_model});
  });
}

void LayerRunner::head() {
  const int rows = std::min(tokens_, sequences_);
  const DeviceSpan last =
      scratch_.hidden.part(row(tokens_ - rows, shape_.d_model), row(rows, shape_.d_model));
  norm(weights_.head_norm(), last.data(), rows);
  multiply(rows, shape_.vocabulary, shape_.d_model, scratch_.normed.data(), weights_.head(),
           scratch_.head_logits.data());
}

}  // namespace pregate::runtime
