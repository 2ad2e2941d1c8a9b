// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/reference_model.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "runtime/layer_runner.hpp"
#include "runtime/weights/block_numbers.hpp"
#include "runtime/weights/block_weights.hpp"
#include "runtime/weights/dense_weights.hpp"
#include "runtime/weights/expert_store.hpp"
#include "runtime/weights/synthetic_weights.hpp"

namespace pregate::runtime {

std::vector<double> to_doubles(std::span<const std::byte> rows, ElementType type) {
  std::vector<double> values(rows.size() / (type == ElementType::f32 ? 4 : 2));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto read = [&](auto element) {
      std::memcpy(&element, rows.data() + i * sizeof element, sizeof element);
      values[i] = static_cast<double>(kernels::to_float(element));
    };
    if (type == ElementType::f32) read(float{});
    if (type == ElementType::f16) read(kernels::Float16{});
    if (type == ElementType::bf16) read(kernels::BFloat16{});
  }
  return values;
}

double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double error = (i < a.size() ? a[i] : 0) - b[i];
    difference += error * error;
    size += b[i] * b[i];
  }
  if (a.size() != b.size() || std::isnan(difference)) return std::numeric_limits<double>::infinity();
  return size == 0 ? std::sqrt(difference) : std::sqrt(difference / size);
}

ReferenceModel::ReferenceModel(const ModelShape& shape, const sim::ExpertMap& map, std::int64_t buffers,
                               std::uint64_t seed, ExpertValues given)
    : shape_(shape), map_(map), buffers_(buffers), seed_(seed), given_(std::move(given)) {}

ReferenceModel::Matrix ReferenceModel::expert_weights(sim::ExpertKey key, sim::FormatId format) const {
  if (given_) {
    if (std::optional<Matrix> values = given_(key)) return *std::move(values);
  }
  const std::uint64_t seed = ExpertStore::seed_of(seed_, key, buffers_);
  if (shape_.in(format).blocks) return packed_weights(seed, shape_.in(format));
  return weights(shape_.in(format).bytes.count / shape_.element.count, 1, seed, ExpertStore::scale(shape_));
}

ReferenceModel::Matrix ReferenceModel::packed_weights(std::uint64_t seed, const ExpertFormat& format) const {
  const auto size = static_cast<std::size_t>(kernels::block_bytes(*format.blocks));
  const std::size_t blocks = static_cast<std::size_t>(format.bytes.count) / size;
  std::vector<float> plain(blocks * static_cast<std::size_t>(kernels::block_values(*format.blocks)));
  fill_synthetic(std::as_writable_bytes(std::span(plain)), ElementType::f32, seed,
                 ExpertStore::scale(shape_));
  std::vector<std::byte> packed(blocks * size);
  pack_blocks(plain, *format.blocks, packed);
  return numbers_of_blocks(packed, *format.blocks);
}

ReferenceModel::Matrix ReferenceModel::weights(std::int64_t rows, int inner, std::uint64_t seed,
                                               float scale) const {
  std::vector<std::byte> stored(static_cast<std::size_t>(rows * inner * shape_.element.count));
  fill_synthetic(stored, shape_.type, seed, scale);
  return to_doubles(stored, shape_.type);
}

/// output[t][c] += sum over i of input[t][i] * weights[c][i].
void ReferenceModel::add_product(const Matrix& input, const Matrix& weights, int inner, int columns,
                                 Matrix& output) const {
  const auto n = static_cast<std::size_t>(inner), width = static_cast<std::size_t>(columns);
  for (std::size_t t = 0; t * n < input.size(); ++t) {
    for (std::size_t c = 0; c < width; ++c) {
      double sum = 0;
      for (std::size_t i = 0; i < n; ++i) sum += input[t * n + i] * weights[c * n + i];
      output[t * width + c] += sum;
    }
  }
}

ReferenceModel::Matrix ReferenceModel::norm(const Matrix& rows) const {
  constexpr double epsilon = 1e-6;
  const auto d = static_cast<std::size_t>(shape_.d_model);
  Matrix result(rows.size());
  for (std::size_t begin = 0; begin < rows.size(); begin += d) {
    double squares = 0;
    for (std::size_t i = begin; i < begin + d; ++i) squares += rows[i] * rows[i];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(d) + epsilon);
    for (std::size_t i = begin; i < begin + d; ++i) result[i] = rows[i] * scale;
  }
  return result;
}

ReferenceModel::Matrix ReferenceModel::feed_forward(const FeedForward& shape, const Matrix& in,
                                                    const Matrix& out, const Matrix& rows) const {
  const auto d = static_cast<std::size_t>(shape_.d_model), inner = static_cast<std::size_t>(shape.inner);
  const std::size_t tokens = rows.size() / d, columns = static_cast<std::size_t>(shape.columns_in());
  Matrix mid(tokens * columns), activated(tokens * inner), result(rows.size());
  add_product(rows, in, shape_.d_model, shape.columns_in(), mid);
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t i = 0; i < inner; ++i) {
      const double x = mid[t * columns + i];
      activated[t * inner + i] =
          shape.gated ? x / (1 + std::exp(-x)) * mid[t * columns + inner + i] : std::max(x, 0.0);
    }
  }
  add_product(activated, out, shape.inner, shape_.d_model, result);
  return result;
}

ReferenceModel::Matrix ReferenceModel::dense(DenseWeights::Matrix which, std::int64_t rows, int inner,
                                             int stack, int layer) const {
  return weights(rows, inner, DenseWeights::seed_of(seed_, which, stack, layer),
                 DenseWeights::scale_of(inner));
}

void ReferenceModel::add_attention(int stack, int layer, Matrix& hidden) {
  using Which = DenseWeights::Matrix;
  const int d = shape_.d_model;
  const LayerShape& shape = shape_.stacks[static_cast<std::size_t>(stack)][static_cast<std::size_t>(layer)];
  const Matrix normed = norm(hidden);
  const std::size_t tokens = hidden.size() / static_cast<std::size_t>(d);
  const auto project = [&](Which which, int width) {
    Matrix rows(tokens * static_cast<std::size_t>(width));
    add_product(normed, dense(which, width, d, stack, layer), d, width, rows);
    return rows;
  };
  if (const CachedAttention& cached = shape.over_cache; cached.heads > 0) {
    const Matrix attended = attention_.attend(layer, cached, project(Which::query, cached.query_width()),
                                              project(Which::key, cached.key_width()),
                                              project(Which::value, cached.value_width()));
    const int width = cached.output_width();
    add_product(attended, dense(Which::output, d, width, stack, layer), width, d, hidden);
    return;
  }
  const Matrix mid = project(Which::attention_in, shape.attention);
  add_product(mid, dense(Which::attention_out, d, shape.attention, stack, layer), shape.attention, d, hidden);
}

std::vector<double> ReferenceModel::run(const trace::Step& step, std::int64_t number, int model_stack,
                                        const Computed& computed) {
  using Which = DenseWeights::Matrix;
  const int d = shape_.d_model;
  attention_.begin(step);
  Matrix hidden = weights(step.tokens, d, LayerRunner::input_seed(seed_, number), 1);
  const auto add = [&](const Matrix& more, double share, std::size_t token) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(d); ++i)
      hidden[token * static_cast<std::size_t>(d) + i] += share * more[i];
  };
  int ordinal = map_.ordinals(step.stack).first;
  const std::uint16_t* chosen = step.experts.data();
  const auto& layers = shape_.stacks[static_cast<std::size_t>(model_stack)];
  for (int l = 0; l < static_cast<int>(layers.size()); ++l) {
    const LayerShape& layer = layers[static_cast<std::size_t>(l)];
    add_attention(model_stack, l, hidden);
    const Matrix rows = norm(hidden);
    Matrix shared;
    if (layer.dense.inner > 0) {
      shared = feed_forward(layer.dense,
                            dense(Which::feed_forward_in, layer.dense.columns_in(), d, model_stack, l),
                            dense(Which::feed_forward_out, d, layer.dense.inner, model_stack, l), rows);
      for (std::size_t i = 0; i < hidden.size(); ++i) hidden[i] += shared[i];
    }
    if (!layer.moe) continue;
    const sim::MoeLayer& moe = map_.layers()[static_cast<std::size_t>(ordinal)];
    const Matrix router = dense(Which::router, layer.experts, d, model_stack, l);
    for (std::size_t t = 0; t < static_cast<std::size_t>(step.tokens); ++t, chosen += moe.top_k) {
      const Matrix row(rows.begin() + static_cast<std::ptrdiff_t>(t) * d,
                       rows.begin() + static_cast<std::ptrdiff_t>(t + 1) * d);
      Matrix logits(static_cast<std::size_t>(layer.experts));
      add_product(row, router, d, layer.experts, logits);
      double largest = -std::numeric_limits<double>::infinity(), total = 0;
      const auto each_chosen = [&](auto&& function) {
        for (int k = 0; k < moe.top_k; ++k) {
          const bool repeated = std::find(chosen, chosen + k, chosen[k]) != chosen + k;
          if (chosen[k] != trace::no_expert && !repeated) function(chosen[k]);
        }
      };
      each_chosen([&](std::uint16_t e) { largest = std::max(largest, logits[e]); });
      each_chosen([&](std::uint16_t e) { total += std::exp(logits[e] - largest); });
      each_chosen([&](std::uint16_t e) {
        const auto key = static_cast<sim::ExpertKey>(moe.first_key + e);
        const std::optional<sim::FormatId> format = computed ? computed(key) : sim::model_format;
        if (!format) return;
        const Matrix both = expert_weights(key, *format);
        const auto in = static_cast<std::ptrdiff_t>(layer.expert.columns_in()) * d;
        const Matrix out = feed_forward(layer.expert, {both.begin(), both.begin() + in},
                                        {both.begin() + in, both.end()}, row);
        add(out, std::exp(logits[e] - largest) / total, t);
      });
    }
    ++ordinal;
  }
  return hidden;
}

}  // namespace pregate::runtime
