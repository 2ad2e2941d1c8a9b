// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/check.hpp"
#include "kernels/reference.hpp"

namespace pregate::kernels::reference {
namespace {

constexpr auto largest = static_cast<double>(std::numeric_limits<float>::max());

double within_float(double score) {
  return std::isnan(score) ? -largest : std::clamp(score, -largest, largest);
}

/// One head of one token. The softmax is taken as the rows come: what was summed before is scaled down
/// whenever a score is above all before it, so that no exponential exceeds 1.
template <class Element>
void attend(const AttentionArgs<Element>& args, std::int64_t token, std::int32_t head) {
  const Element* const query = args.queries + (token * args.heads + head) * args.head_dim;
  const std::int32_t kv_head = head / (args.heads / args.kv_heads);
  std::array<double, max_head_dim> sums{};
  double top = -largest, total = 0;
  for (std::int32_t i = 0; i < args.counts[token]; ++i) {
    const std::int64_t row = (std::int64_t{args.firsts[token]} + i) * args.kv_heads + kv_head;
    const Element* const key = args.keys + row * args.head_dim;
    const Element* const value = args.values + row * args.value_dim;
    double product = 0;
    for (std::int32_t d = 0; d < args.head_dim; ++d)
      product += static_cast<double>(to_float(query[d])) * static_cast<double>(to_float(key[d]));
    const double score = within_float(static_cast<double>(args.scale) * product);
    if (score > top) {
      const double kept = std::exp(top - score);
      total *= kept;
      for (std::int32_t d = 0; d < args.value_dim; ++d) sums[static_cast<std::size_t>(d)] *= kept;
      top = score;
    }
    const double weight = std::exp(score - top);
    total += weight;
    for (std::int32_t d = 0; d < args.value_dim; ++d)
      sums[static_cast<std::size_t>(d)] += weight * static_cast<double>(to_float(value[d]));
  }
  Element* const output = args.output + (token * args.heads + head) * args.value_dim;
  for (std::int32_t d = 0; d < args.value_dim; ++d) {
    const double mean = total > 0 ? sums[static_cast<std::size_t>(d)] / total : 0;
    output[d] = from_float<Element>(static_cast<float>(mean));
  }
}

}  // namespace

template <class Element>
void attention(const AttentionArgs<Element>& args) {
  check(args);
  for (std::int64_t token = 0; token < args.tokens; ++token) {
    for (std::int32_t head = 0; head < args.heads; ++head) attend(args, token, head);
  }
}

template void attention(const AttentionArgs<float>&);
template void attention(const AttentionArgs<Float16>&);
template void attention(const AttentionArgs<BFloat16>&);

}  // namespace pregate::kernels::reference
