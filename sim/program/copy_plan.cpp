// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/program/copy_plan.hpp"

#include <cmath>

namespace pregate::sim {

namespace {

Bytes mean_expert(const ModelSpec& model) {
  double experts = 0;
  for (const Stack& stack : model.stacks) {
    for (const int layer : moe_layers(stack)) experts += stack.feed_forward_of(layer).moe.experts;
  }
  return {std::llround(static_cast<double>(model.all_expert_bytes().count) / experts)};
}

}  // namespace

Bytes share_of_expert(Bytes expert, double share) {
  return {std::llround(std::ceil(static_cast<double>(expert.count) * share - 1e-6))};
}

CopyPlan copy_plan(const ModelSpec& model, Bytes chunk, double share) {
  Bytes expert = mean_expert(model);
  if (share < 1) expert = share_of_expert(expert, share);
  if (chunk.count <= 0 || chunk >= expert) return {1, expert, expert};
  const auto chunks = static_cast<int>((expert.count + chunk.count - 1) / chunk.count);
  return {chunks, chunk, expert - chunk * (chunks - 1)};
}

}  // namespace pregate::sim
