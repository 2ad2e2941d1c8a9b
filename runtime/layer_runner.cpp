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
                         const sim::TraceScan& scan, std::uint64_t seed, const std::optional<CacheRoom>& room)
    : stream_(stream),
      shape_(shape),
      map_(map),
      seed_(seed),
      weights_(device, stream, shape, seed),
      scratch_(device, shape, map, scan) {
  if (room) cache_.emplace(device, shape, *room, scan.most_step_tokens);
}

std::uint64_t LayerRunner::input_seed(std::uint64_t seed, std::int64_t number) {
  return seed_for(seed, input_kind, static_cast<std::uint64_t>(number));
}

void LayerRunner::prepare(const sim::PassInfo& pass) {
  const trace::Step& step = pass.step;
  const std::int64_t number = pass_number_ = pass.number;
  stack_ = pass.shape.model_stack;
  tokens_ = step.tokens;
  parts_.clear();
  const auto add_part = [&](const sim::StepShape& shape, std::int32_t first_token) {
    const int rows = shape.phase == trace::Phase::prefill ? std::max(1, shape.sequences) : shape.tokens;
    Part part;
    part.first_token = first_token;
    part.tokens = shape.tokens;
    part.logit_rows = std::min(shape.tokens, shape.logit_rows >= 0 ? shape.logit_rows : rows);
    parts_.push_back(std::move(part));
  };
  add_part(pass.shape, 0);
  std::int32_t first_token = 0;
  for (const sim::StepShape& shape : pass.micro_batches) {
    add_part(shape, first_token);
    first_token += shape.tokens;
  }
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
  if (cache_) cache_->prepare(step, cache_fault_, number);
}

void LayerRunner::force_choices(const sim::MoeLayer& layer, Choices& choices, float* logits) {
  const std::uint16_t* const ids = chosen_.data() + choices.first;
  const std::int64_t pairs = std::int64_t{tokens_} * layer.top_k;
  bool lacks_some = std::find(ids, ids + pairs, trace::no_expert) != ids + pairs;
  for (std::int64_t i = 0; i < pairs && !lacks_some; i += layer.top_k) {
    for (int k = 1; k < layer.top_k; ++k) lacks_some = lacks_some || is_repeated_choice(ids + i, k);
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
  if (cache_) cache_->upload(stream_);
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

void LayerRunner::norm(DeviceSpan weight, DeviceSpan input, DeviceSpan output) {
  with_element(shape_.type, [&](auto element) {
    using E = decltype(element);
    stream_.launch(kernels::RmsNormArgs<E>{.input = input.as<E>(),
                                           .weight = weight.as<E>(),
                                           .output = output.as<E>(),
                                           .rows = rows_in(input),
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

void LayerRunner::feed_forward(const FeedForward& shape, DeviceSpan in, DeviceSpan out, DeviceSpan input,
                               DeviceSpan output, float beta) {
  const int rows = rows_in(input);
  multiply(rows, shape.columns_in(), shape_.d_model, input.data(), in, scratch_.mid.data());
  activation(shape, scratch_.mid.data(), scratch_.activated.data(), rows);
  multiply(rows, shape_.d_model, shape.inner, scratch_.activated.data(), out, output.data(), beta);
}

void LayerRunner::dense_layer(int layer, int micro_batch) {
  attention(layer, micro_batch);
  const LayerWeights& weights = weights_.layer(stack_, layer);
  const FeedForward& shape = layer_shape(layer).dense;
  if (shape.inner == 0) return;
  const Part& part = part_of(micro_batch);
  const DeviceSpan hidden = rows_of(scratch_.hidden, shape_.d_model, part),
                   normed = rows_of(scratch_.normed, shape_.d_model, part);
  norm(weights.feed_forward_norm, hidden, normed);
  feed_forward(shape, weights.feed_forward_in, weights.feed_forward_out, normed, hidden, 1);
}

void LayerRunner::gate(int ordinal, int micro_batch) {
  ordinal_ = ordinal;
  const sim::MoeLayer& layer = moe_layer();
  if (micro_batch <= 0) {  // the layer's first gate
    left_out_.assign(static_cast<std::size_t>(layer.experts), 0);
    for (Part& part : parts_) {
      part.computed = 0;
      part.is_open = false;
    }
  }
  const Part& part = part_of(micro_batch);
  const LayerWeights& weights = weights_.layer(stack_, layer.layer);
  const DeviceSpan normed = rows_of(scratch_.normed, shape_.d_model, part);
  norm(weights.feed_forward_norm, rows_of(scratch_.hidden, shape_.d_model, part), normed);
  auto* const logits =
      scratch_.logits.as<float>() + choices().first_logit + std::int64_t{part.first_token} * choices().width;
  stream_.gemm({.rows = part.tokens,
                .columns = layer.experts,
                .inner = shape_.d_model,
                .a = normed.data(),
                .b = weights.router.data(),
                .c = logits,
                .c_stride = choices().width,
                .beta = 1,
                .type = shape_.type,
                .result = ElementType::f32});
  stream_.launch(
      kernels::RouterArgs<float>{.logits = logits,
                                 .expert_ids = scratch_.ids.as<std::int32_t>() + first_pair(part),
                                 .gate_weights = scratch_.gate_weights.as<float>() + first_pair(part),
                                 .tokens = part.tokens,
                                 .experts = choices().width,
                                 .top_k = layer.top_k});
}

DeviceSpan LayerRunner::normed() const { return scratch_.normed.part({}, row(tokens_, shape_.d_model)); }
DeviceSpan LayerRunner::gate_weights() const {
  return scratch_.gate_weights.part({}, {4 * pairs(parts_.front())});
}
const FeedForward& LayerRunner::expert_shape() const { return layer_shape(moe_layer().layer).expert; }
std::span<const std::int32_t> LayerRunner::known_ids() const {
  return {scratch_.ids_read.as<std::int32_t>(), static_cast<std::size_t>(pairs(parts_.front()))};
}

void LayerRunner::read_ids(Stream& stream, int micro_batch) {
  const Bytes begin{4 * first_pair(part_of(micro_batch))}, size{4 * pairs(part_of(micro_batch))};
  stream.copy_to_host(scratch_.ids_read.part(begin, size), scratch_.ids.part(begin, size));
}

bool LayerRunner::ids_agree(int micro_batch) const {
  const Part& part = part_of(micro_batch);
  const int top_k = moe_layer().top_k;
  const std::int32_t* read = scratch_.ids_read.as<std::int32_t>() + first_pair(part);
  auto chosen = chosen_.begin() + choices().first + first_pair(part);
  for (int token = 0; token < part.tokens; ++token, read += top_k, chosen += top_k) {
    for (auto id = chosen; id != chosen + top_k; ++id) {
      if (*id != trace::no_expert && std::find(read, read + top_k, *id) == read + top_k) return false;
    }
  }
  return true;
}

/// Of the part's last rows: which token is whose makes no difference to the work.
void LayerRunner::head(int micro_batch) {
  const Part& part = part_of(micro_batch);
  const int d = shape_.d_model;
  const auto room = static_cast<std::int32_t>(scratch_.head_logits.size().count /
                                              std::max<std::int64_t>(1, row(1, shape_.vocabulary).count));
  for (std::int32_t done = 0; done < part.logit_rows; done += room) {
    const std::int32_t rows = std::min(room, part.logit_rows - done);
    const std::int32_t first = part.first_token + part.tokens - part.logit_rows + done;
    const DeviceSpan normed = scratch_.normed.part(row(first, d), row(rows, d));
    norm(weights_.head_norm(), scratch_.hidden.part(row(first, d), row(rows, d)), normed);
    multiply(rows, shape_.vocabulary, d, normed.data(), weights_.head(), scratch_.head_logits.data());
  }
}

}  // namespace pregate::runtime
