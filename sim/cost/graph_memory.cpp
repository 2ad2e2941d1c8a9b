// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/graph_memory.hpp"

#include <algorithm>
#include <cmath>

namespace pregate::sim {

std::int64_t in_cells(std::int64_t entries, int cells) { return (entries + cells - 1) / cells * cells; }

Bytes graph_buffers(const ModelSpec& model, std::int64_t tokens, std::int64_t cached) {
  constexpr double value = 4, mask = 4 + 2;
  double widest = 0;
  for (const Stack& stack : model.stacks) {
    for (const FeedForward& part : stack.feed_forwards) {
      const double routed = static_cast<double>(part.moe.top_k) * part.moe.ffn_dim;
      const double experts = std::max<double>(routed, part.moe.shared_ffn_dim) * (part.moe.gated ? 3 : 2);
      const double dense = static_cast<double>(part.ffn_dim) * (part.gated ? 3 : 2);
      widest = std::max({widest, experts, dense});
    }
  }
  const double logits = value * (static_cast<double>(model.vocabulary) + model.d_model);
  const double layer = mask * static_cast<double>(cached) + value * (model.d_model + widest);
  return {static_cast<std::int64_t>(std::ceil(static_cast<double>(tokens) * std::max(logits, layer)))};
}

Bytes cache_in_cells(const ModelSpec& model, std::int64_t context, std::int64_t pass, int cells) {
  const int decoder = model.stack_index("decoder");
  Bytes total;
  if (decoder < 0) return total;
  const std::int64_t all = in_cells(context, cells);
  for (const LayerProfile& layer : model.profile(model.stacks[static_cast<std::size_t>(decoder)])) {
    total += layer.state;
    for (const CacheCost& part : layer.cache) {
      const std::int64_t kept = part.window > 0 ? std::min(all, in_cells(part.window + pass, cells)) : all;
      total += part.per_entry * (kept / part.stride);
    }
  }
  return total;
}

}  // namespace pregate::sim
