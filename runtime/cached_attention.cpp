// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cached_attention.hpp"

#include <string>

#include "kernels/arguments.hpp"
#include "models/error.hpp"

namespace pregate::runtime {

namespace {

/// What it has that is not executed; empty: all of it is. Small things beside the scores (biases, norms of
/// queries and keys, sinks, rotary positions) are left out as all weights are synthetic.
std::string not_executed(const Mixer& mixer) {
  if (mixer.kind != MixerKind::grouped_query) return std::string("mixes tokens by ") + to_string(mixer.kind);
  if (mixer.indexer.heads > 0) return "chooses what it attends to by an indexer";
  if (mixer.q_lora_rank > 0) return "has queries of low rank";
  if (mixer.output_gate || mixer.head_gate) return "gates what attention gives";
  if (mixer.value_is_key) return "takes keys for values";
  if (mixer.residual_streams > 0) return "has several residual streams";
  if (mixer.kv_heads < 1 || mixer.heads % mixer.kv_heads != 0)
    return "has " + std::to_string(mixer.heads) + " heads for " + std::to_string(mixer.kv_heads) +
           " of keys and values";
  if (mixer.head_dim > kernels::max_head_dim || mixer.value_dim() > kernels::max_head_dim)
    return "has heads of more than " + std::to_string(kernels::max_head_dim) + " elements";
  return {};
}

}  // namespace

void check_attention_over_cache(const ModelSpec& model) {
  const std::string hint = "leave --attention out, or choose another model";
  const auto refuse = [&](const std::string& why) { throw InputError("model " + model.name, why, hint); };
  if (model.stacks.size() != 1 || model.stacks.front().name != "decoder" ||
      model.stacks.front().cross_attention) {
    refuse("attention over a KV cache is executed of decoders alone, and it has an encoder");
  }
  const Stack& stack = model.stacks.front();
  for (int layer = 0; layer < static_cast<int>(stack.layers.size()); ++layer) {
    const Mixer& mixer = stack.mixer_of(layer);
    if (mixer.kind == MixerKind::none) continue;
    const std::string why = not_executed(mixer);
    if (!why.empty())
      refuse("layer " + std::to_string(layer) + " " + why +
             ", which the runtime does not run over a KV cache");
  }
}

CachedAttention cached_attention(const Mixer& mixer) {
  if (mixer.kind == MixerKind::none) return {};
  return {mixer.heads, mixer.kv_heads, mixer.head_dim, mixer.value_dim(), mixer.window};
}

}  // namespace pregate::runtime
