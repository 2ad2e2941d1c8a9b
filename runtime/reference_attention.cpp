// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/reference_attention.hpp"

#include <algorithm>
#include <cmath>

namespace pregate::runtime {

void ReferenceAttention::begin(const trace::Step& step) {
  if (step.first_of_request) remembered_.clear();
  tokens_.clear();
  const auto add = [&](int sequence, int position, int tokens) {
    for (int i = 0; i < tokens; ++i) tokens_.push_back({sequence, position + i});
  };
  for (int i = 0; i < static_cast<int>(step.parts.size()); ++i) {
    const trace::SequencePart& part = step.parts[static_cast<std::size_t>(i)];
    add(part.number < 0 ? i : part.number, part.position, part.tokens);
  }
  if (!step.parts.empty()) return;
  for (int i = 0; i < step.sequences; ++i) add(i, step.position, step.tokens / step.sequences);
}

ReferenceAttention::Matrix ReferenceAttention::attend(int layer, const CachedAttention& shape,
                                                      const Matrix& queries, const Matrix& keys,
                                                      const Matrix& values) {
  const auto row = [](const Matrix& rows, std::size_t token, int width) {
    const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(token) * width;
    return Matrix(begin, begin + width);
  };
  for (std::size_t t = 0; t < tokens_.size(); ++t) {
    remembered_[{layer, tokens_[t].sequence, tokens_[t].position}] = {row(keys, t, shape.key_width()),
                                                                      row(values, t, shape.value_width())};
  }
  // Of a token that no pass computed.
  const Remembered nothing{Matrix(static_cast<std::size_t>(shape.key_width())),
                           Matrix(static_cast<std::size_t>(shape.value_width()))};
  Matrix result;
  for (std::size_t t = 0; t < tokens_.size(); ++t) {
    for (int head = 0; head < shape.heads; ++head) {
      const int kv_head = head / (shape.heads / shape.kv_heads), position = tokens_[t].position;
      const int first = shape.window > 0 ? std::max(0, position + 1 - shape.window) : 0;
      const auto at = [](int number, int width) {
        return static_cast<std::size_t>(number) * static_cast<std::size_t>(width);
      };
      const std::size_t query_at =
                            t * static_cast<std::size_t>(shape.query_width()) + at(head, shape.head_dim),
                        key_at = at(kv_head, shape.head_dim), value_at = at(kv_head, shape.value_dim);
      Matrix sums(static_cast<std::size_t>(shape.value_dim));
      double total = 0;
      for (int other = first; other <= position; ++other) {
        const auto found = remembered_.find({layer, tokens_[t].sequence, other});
        const Remembered& seen = found == remembered_.end() ? nothing : found->second;
        double score = 0;
        for (int i = 0; i < shape.head_dim; ++i) {
          score += queries[query_at + static_cast<std::size_t>(i)] *
                   seen.key[key_at + static_cast<std::size_t>(i)];
        }
        const double weight = std::exp(score / std::sqrt(shape.head_dim));
        total += weight;
        for (int i = 0; i < shape.value_dim; ++i) {
          sums[static_cast<std::size_t>(i)] += weight * seen.value[value_at + static_cast<std::size_t>(i)];
        }
      }
      for (const double sum : sums) result.push_back(sum / total);
    }
  }
  return result;
}

}  // namespace pregate::runtime
