// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/host/cpu_feed_forward.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

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

/// output[r][c] = sum over i of rows[r][i] * weights[c][i], columns begin .. end - 1.
template <class Element>
void multiply_columns(const Element* weights, const std::vector<float>& rows, std::size_t inner,
                      std::size_t columns, std::vector<float>& output, int begin, int end) {
  const std::size_t count = rows.size() / inner;
  for (auto c = static_cast<std::size_t>(begin); c < static_cast<std::size_t>(end); ++c) {
    for (std::size_t r = 0; r < count; ++r)
      output[r * columns + c] = dot(weights + c * inner, rows.data() + r * inner, inner);
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

void CpuFeedForward::compute(const FeedForward& shape, int d_model, ElementType type,
                             std::span<const std::byte> weights, const std::vector<float>& rows,
                             std::vector<float>& output) {
  const auto d = static_cast<std::size_t>(d_model), inner = static_cast<std::size_t>(shape.inner);
  const auto columns = static_cast<std::size_t>(shape.columns_in());
  const std::size_t count = rows.size() / d;
  mid_.resize(count * columns);
  activated_.resize(count * inner);
  output.resize(count * d);
  with_element(type, [&](auto element) {
    using Element = decltype(element);
    if (weights.size() < (columns * d + d * inner) * sizeof(Element))
      throw std::invalid_argument("an expert's weights are too short");
    const auto* const in = reinterpret_cast<const Element*>(weights.data());
    const Element* const out = in + columns * d;
    team_.share(shape.columns_in(),
                [&](int begin, int end) { multiply_columns(in, rows, d, columns, mid_, begin, end); });
    activate(shape, mid_, activated_);
    team_.share(d_model,
                [&](int begin, int end) { multiply_columns(out, activated_, inner, d, output, begin, end); });
  });
}

}  // namespace pregate::runtime
