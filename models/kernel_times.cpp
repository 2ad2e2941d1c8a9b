// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/kernel_times.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace pregate {

namespace {

std::int64_t whole(double value) { return std::llround(value); }

/// One row of the table, one token count: linear in the activated experts; in proportion to them beyond the
/// ends.
double row_seconds(std::span<const ExpertKernelPoint> row, double activated) {
  const auto seconds = [](const ExpertKernelPoint& point) { return point.time.seconds(); };
  if (activated <= row.front().activated_experts) {
    return seconds(row.front()) * activated / row.front().activated_experts;
  }
  if (activated >= row.back().activated_experts) {
    return seconds(row.back()) * activated / row.back().activated_experts;
  }
  std::size_t above = 1;
  while (row[above].activated_experts < activated) ++above;
  const ExpertKernelPoint& a = row[above - 1];
  const ExpertKernelPoint& b = row[above];
  const double share = (activated - a.activated_experts) / (b.activated_experts - a.activated_experts);
  return std::lerp(seconds(a), seconds(b), share);
}

}  // namespace

std::vector<std::string> kernel_operations() {
  return {"attention", "dense-layer", "gate", "experts", "head"};
}

KernelKey kernel_key(const std::string& operation, const ModelSpec& model, const LayerProfile& layer) {
  KernelKey key{operation, model.dense_format.name, {}};
  if (operation == "attention") {
    key.work = {model.d_model, whole(layer.attention_flop_per_token)};
  } else if (operation == "dense-layer") {
    key.work = {model.d_model, whole(layer.attention_flop_per_token), whole(layer.ffn_flop_per_token)};
  } else if (operation == "gate") {
    key.work = {model.d_model, layer.experts};
  } else if (operation == "experts") {
    key.precision = model.expert_format.name;
    key.work = {layer.expert.count, whole(layer.expert_flop_per_token), whole(layer.ffn_flop_per_token)};
  } else if (operation == "head") {
    key.work = {model.d_model, model.vocabulary};
  } else {
    throw std::invalid_argument("no kernel operation " + operation);
  }
  return key;
}

const KernelTimes* find_kernel_times(std::span<const KernelTimes> all, const KernelKey& key) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const KernelTimes& times) { return times.key == key; });
  return found == all.end() ? nullptr : &*found;
}

bool has_expert_times(std::span<const KernelTimes> all, const ModelSpec& model) {
  for (const Stack& stack : model.stacks) {
    for (const LayerProfile& layer : model.profile(stack)) {
      if (layer.moe && find_kernel_times(all, kernel_key("experts", model, layer)) == nullptr) return false;
    }
  }
  return true;
}

Picoseconds kernel_time(std::span<const KernelPoint> points, int tokens) {
  const auto above = std::lower_bound(points.begin(), points.end(), tokens,
                                      [](const KernelPoint& point, int n) { return point.tokens < n; });
  if (above == points.begin()) return above->time;
  if (above == points.end() && points.size() == 1) {
    return from_seconds(points[0].time.seconds() * tokens / points[0].tokens);
  }
  const KernelPoint& b = above == points.end() ? points.back() : *above;
  const KernelPoint& a = *(&b - 1);
  const double share = static_cast<double>(tokens - a.tokens) / (b.tokens - a.tokens);
  const double time = std::lerp(a.time.seconds(), b.time.seconds(), share);
  // Noise may make the last slope negative; more work never takes less time.
  return above == points.end() ? std::max(b.time, from_seconds(time)) : from_seconds(time);
}

Picoseconds kernel_time(std::span<const ExpertKernelPoint> points, int tokens, int activated) {
  std::span<const ExpertKernelPoint> below, above;
  for (std::size_t begin = 0; begin < points.size();) {
    std::size_t end = begin;
    while (end < points.size() && points[end].tokens == points[begin].tokens) ++end;
    const auto row = points.subspan(begin, end - begin);
    if (row.front().tokens <= tokens) below = row;
    if (row.front().tokens >= tokens && above.empty()) above = row;
    begin = end;
  }
  if (below.empty()) return from_seconds(row_seconds(above, activated));
  const double low = row_seconds(below, activated);
  if (above.empty()) return from_seconds(low * tokens / below.front().tokens);
  if (above.front().tokens == below.front().tokens) return from_seconds(low);
  const double share = static_cast<double>(tokens - below.front().tokens) /
                       static_cast<double>(above.front().tokens - below.front().tokens);
  return from_seconds(std::lerp(low, row_seconds(above, activated), share));
}

}  // namespace pregate
