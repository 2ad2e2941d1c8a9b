// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/host/cpu_feed_forward.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "kernels/reference.hpp"
#include "runtime/with_element.hpp"

namespace pregate::runtime {

namespace {

/// Sixteen sums side by side, so that the compiler may use vectors without reordering any of them.
template <class Element>
float dot(const Element* weights, const float* row, std::size_t count) {
  constexpr std::size_t lanes = 16;
  std::array<float, lanes> sums{};
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane)
      sums[lane] += kernels::to_float(weights[i + lane]) * row[i + lane];
  }
  float sum = 0;
  for (; i < count; ++i) sum += kernels::to_float(weights[i]) * row[i];
  for (const float lane : sums) sum += lane;
  return sum;
}

/// A matrix as it is stored, row by row.
template <class Element>
struct PlainRows {
  const Element* first;
  std::size_t inner;
  const Element* row(std::size_t index, std::vector<float>&) const { return first + index * inner; }
};
struct BlockRows {
  const std::uint8_t* first;
  std::size_t inner;
  kernels::BlockFormat format;
  const float* row(std::size_t index, std::vector<float>& unpacked) const {
    const std::size_t blocks = inner / static_cast<std::size_t>(kernels::block_values(format));
    unpacked.resize(inner);
    kernels::reference::dequantize<float>(
        {.blocks = first + index * blocks * static_cast<std::size_t>(kernels::block_bytes(format)),
         .values = unpacked.data(),
         .count = static_cast<std::int32_t>(blocks),
         .format = format});
    return unpacked.data();
  }
};

/// output[r][c] = sum over i of rows[r][i] * weights[c][i], columns begin .. end - 1.
template <class Weights>
void multiply_columns(const Weights& weights, const std::vector<float>& rows, std::size_t columns,
                      std::vector<float>& output, int begin, int end) {
  const std::size_t inner = weights.inner, count = rows.size() / inner;
  std::vector<float> unpacked;
  for (auto c = static_cast<std::size_t>(begin); c < static_cast<std::size_t>(end); ++c) {
    const auto* const row = weights.row(c, unpacked);
    for (std::size_t r = 0; r < count; ++r)
      output[r * columns + c] = dot(row, rows.data() + r * inner, inner);
  }
}

void activate(const FeedForward& shape, const std::vector<float>& mid, std::vector<float>& activated) {
  const auto inner = static_cast<std::size_t>(shape.inner);
  const auto columns = static_cast<std::size_t>(shape.columns_in());
  for (std::size_t at = 0; at < activated.size(); ++at) {
    const std::size_t row = at / inner, i = at % inner;
    const float x = mid[row * columns + i];
    activated[at] = shape.gated ? x / (1 + std::exp(-x)) * mid[row * columns + inner + i] : std::max(x, 0.0F);
  }
}

}  // namespace

template <class Weights>
void CpuFeedForward::compute_from(const FeedForward& shape, int d_model, const Weights& in,
                                  const Weights& out, const std::vector<float>& rows,
                                  std::vector<float>& output) {
  const auto d = static_cast<std::size_t>(d_model), columns = static_cast<std::size_t>(shape.columns_in());
  const std::size_t count = rows.size() / d;
  mid_.resize(count * columns);
  activated_.resize(count * static_cast<std::size_t>(shape.inner));
  output.resize(count * d);
  team_.share(shape.columns_in(),
              [&](int begin, int end) { multiply_columns(in, rows, columns, mid_, begin, end); });
  activate(shape, mid_, activated_);
  team_.share(d_model, [&](int begin, int end) { multiply_columns(out, activated_, d, output, begin, end); });
}

void CpuFeedForward::compute(const FeedForward& shape, const ModelShape& model,
                             std::span<const std::byte> weights, const std::vector<float>& rows,
                             std::vector<float>& output) {
  const std::int64_t d = model.d_model;
  const Bytes in = model.experts.stored(shape.columns_in() * d),
              all = in + model.experts.stored(d * shape.inner);
  if (static_cast<std::int64_t>(weights.size()) < all.count)
    throw std::invalid_argument("an expert's weights are too short");
  const std::byte* const second = weights.data() + in.count;
  const auto width = static_cast<std::size_t>(d), inner = static_cast<std::size_t>(shape.inner);
  if (model.experts.blocks) {
    const auto rows_at = [&](const std::byte* first, std::size_t length) {
      return BlockRows{reinterpret_cast<const std::uint8_t*>(first), length, *model.experts.blocks};
    };
    compute_from(shape, model.d_model, rows_at(weights.data(), width), rows_at(second, inner), rows, output);
    return;
  }
  with_element(model.type, [&](auto element) {
    using Element = decltype(element);
    const auto rows_at = [&](const std::byte* first, std::size_t length) {
      return PlainRows<Element>{reinterpret_cast<const Element*>(first), length};
    };
    compute_from(shape, model.d_model, rows_at(weights.data(), width), rows_at(second, inner), rows, output);
  });
}

}  // namespace pregate::runtime
