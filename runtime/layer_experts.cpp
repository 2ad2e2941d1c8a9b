// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The experts of a layer, as LayerRunner computes them.
#include <algorithm>

#include "runtime/layer_runner.hpp"
#include "runtime/with_element.hpp"

namespace pregate::runtime {

void LayerRunner::place_rows(Part& part) const {
  const sim::MoeLayer& layer = moe_layer();
  part.rows.assign(static_cast<std::size_t>(layer.experts), {});
  const std::uint16_t* ids = chosen_.data() + choices().first + first_pair(part);
  for (int token = 0; token < part.tokens; ++token, ids += layer.top_k) {
    for (int k = 0; k < layer.top_k; ++k) {
      if (ids[k] != trace::no_expert && !is_repeated_choice(ids, k) && left_out_[ids[k]] == 0)
        ++part.rows[ids[k]].count;
    }
  }
  std::int32_t begin = 0;
  part.activated = 0;
  for (Rows& rows : part.rows) {
    rows.begin = begin;
    begin += rows.count;
    part.activated += rows.count > 0 ? 1 : 0;
  }
}

void LayerRunner::compute_only(std::span<const sim::ExpertKey> experts) {
  const sim::MoeLayer& layer = moe_layer();
  left_out_.assign(static_cast<std::size_t>(layer.experts), 1);
  for (const sim::ExpertKey key : experts) left_out_[key - layer.first_key] = 0;
  const auto is_left_out = [&](std::int32_t id) {
    return id < layer.experts && left_out_[static_cast<std::size_t>(id)] != 0;
  };
  // By the trace: where all are here the ids may not have been read.
  const auto chosen = chosen_.begin() + choices().first;
  if (std::none_of(chosen, chosen + pairs(parts_.front()), is_left_out)) return;
  const std::span<const std::int32_t> known = known_ids();
  // The pairs of the others keep their ids; those that are dropped get one beyond all experts.
  auto* const kept = scratch_.ids_kept.as<std::int32_t>();
  std::transform(known.begin(), known.end(), kept,
                 [&](std::int32_t id) { return is_left_out(id) ? layer.experts : id; });
  const Bytes size{4 * pairs(parts_.front())};
  stream_.copy_to_device(scratch_.ids.part({}, size), scratch_.ids_kept.part({}, size));
}

void LayerRunner::begin_experts(Part& part) {
  part.is_open = true;
  place_rows(part);
  const sim::MoeLayer& layer = moe_layer();
  const std::int64_t first = first_pair(part);
  const int d = shape_.d_model;
  stream_.launch(kernels::OrderArgs{.expert_ids = scratch_.ids.as<std::int32_t>() + first,
                                    .counts = scratch_.counts.as<std::int32_t>(),
                                    .offsets = scratch_.offsets.as<std::int32_t>(),
                                    .positions = scratch_.positions.as<std::int32_t>() + first,
                                    .sources = scratch_.sources.as<std::int32_t>() + first,
                                    .pairs = static_cast<std::int32_t>(pairs(part)),
                                    .experts = layer.experts});
  const DeviceSpan normed = rows_of(scratch_.normed, d, part);
  with_element(shape_.type, [&](auto element) {
    using E = decltype(element);
    stream_.launch(kernels::PermuteArgs<E>{.input = normed.as<E>(),
                                           .positions = scratch_.positions.as<std::int32_t>() + first,
                                           .permuted = scratch_.permuted.as<E>() + first * d,
                                           .tokens = part.tokens,
                                           .top_k = layer.top_k,
                                           .width = d});
  });
  const FeedForward& shared = layer_shape(layer.layer).dense;
  const LayerWeights& weights = weights_.layer(stack_, layer.layer);
  if (shared.inner > 0) {
    feed_forward(shared, weights.feed_forward_in, weights.feed_forward_out, normed,
                 rows_of(scratch_.shared_out, d, part), 0);
  }
}

void LayerRunner::experts(std::span<const ExpertWeights> experts, int micro_batch) {
  Part& part = part_of(micro_batch);
  if (!part.is_open) begin_experts(part);
  const FeedForward& shape = expert_shape();
  const std::int64_t values_in = std::int64_t{shape.columns_in()} * shape_.d_model,
                     values_out = std::int64_t{shape_.d_model} * shape.inner;
  const auto rows_of_expert = [&](const ExpertWeights& e) {
    return part.rows[static_cast<std::size_t>(e.expert)];
  };
  const auto at_row = [&](DeviceSpan all, int width, const Rows& rows) {
    return all.part(row(first_pair(part) + rows.begin, width), row(rows.count, width)).data();
  };
  for (const ExpertWeights& expert : experts) {
    const Rows rows = rows_of_expert(expert);
    const Bytes in = shape_.in(expert.format).stored(values_in);
    multiply(rows.count, shape.columns_in(), shape_.d_model, at_row(scratch_.permuted, shape_.d_model, rows),
             unpacked(expert.weights.part({}, in), values_in, expert.format),
             at_row(scratch_.expert_mid, shape.columns_in(), rows));
  }
  if (static_cast<int>(experts.size()) == part.activated) {  // all rows at once
    const Rows all{0, part.rows.empty() ? 0 : part.rows.back().begin + part.rows.back().count};
    activation(shape, at_row(scratch_.expert_mid, shape.columns_in(), all),
               at_row(scratch_.expert_activated, shape.inner, all), all.count);
  } else {
    for (const ExpertWeights& expert : experts) {
      const Rows rows = rows_of_expert(expert);
      activation(shape, at_row(scratch_.expert_mid, shape.columns_in(), rows),
                 at_row(scratch_.expert_activated, shape.inner, rows), rows.count);
    }
  }
  for (const ExpertWeights& expert : experts) {
    const Rows rows = rows_of_expert(expert);
    const ExpertFormat& format = shape_.in(expert.format);
    multiply(rows.count, shape_.d_model, shape.inner, at_row(scratch_.expert_activated, shape.inner, rows),
             unpacked(expert.weights.part(format.stored(values_in), format.stored(values_out)), values_out,
                      expert.format),
             at_row(scratch_.expert_out, shape_.d_model, rows));
  }
  part.computed += static_cast<int>(experts.size());
  if (part.computed == part.activated) end_experts(part);
}

DeviceSpan LayerRunner::unpacked(DeviceSpan matrix, std::int64_t values, sim::FormatId format) {
  const std::optional<kernels::BlockFormat>& blocks = shape_.in(format).blocks;
  if (!blocks) return matrix;
  const DeviceSpan to = scratch_.unpacked.part({}, shape_.element * values);
  if (unpackings_++ == left_out_unpacking_) return to;
  with_element(shape_.type, [&](auto element) {
    using E = decltype(element);
    stream_.launch(kernels::DequantizeArgs<E>{
        .blocks = matrix.as<std::uint8_t>(),
        .values = to.as<E>(),
        .count = static_cast<std::int32_t>(values / kernels::block_values(*blocks)),
        .format = *blocks});
  });
  return to;
}

void LayerRunner::end_experts(const Part& part) {
  const sim::MoeLayer& layer = moe_layer();
  const std::int64_t first = first_pair(part);
  const int d = shape_.d_model;
  const bool shared = layer_shape(layer.layer).dense.inner > 0;
  const DeviceSpan hidden = rows_of(scratch_.hidden, d, part);
  with_element(shape_.type, [&](auto element) {
    using E = decltype(element);
    stream_.launch(
        kernels::CombineArgs<E>{.permuted = scratch_.expert_out.as<E>() + first * d,
                                .positions = scratch_.positions.as<std::int32_t>() + first,
                                .gate_weights = scratch_.gate_weights.as<float>() + first,
                                .shared = shared ? rows_of(scratch_.shared_out, d, part).as<E>() : nullptr,
                                .residual = hidden.as<E>(),
                                .output = hidden.as<E>(),
                                .tokens = part.tokens,
                                .top_k = layer.top_k,
                                .width = d});
  });
}

}  // namespace pregate::runtime
