// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "models/error.hpp"
#include "models/files/gguf_layers.hpp"

namespace pregate {
namespace {

std::string in_layer(int layer) { return "layer " + std::to_string(layer) + ": "; }

int as_width(const GgufKeys& keys, std::int64_t value, int layer) {
  if (value < 1 || value > (1 << 20))
    keys.refuse(in_layer(layer) + "has a feed-forward " + std::to_string(value) + " wide");
  return static_cast<int>(value);
}

/// Before llama.cpp stacked them, each expert had tensors of its own: "ffn_down.5.weight".
int single_experts(const GgufLayer& tensors) {
  int count = 0;
  while (count < 65'536 && tensors.has("ffn_down." + std::to_string(count))) ++count;
  return count;
}

FeedForward read_moe(const GgufKeys& keys, const GgufLayer& tensors, int layer, int d_model) {
  FeedForward feed_forward;
  feed_forward.kind = FeedForward::Kind::moe;
  MoeBlock& moe = feed_forward.moe;
  const bool stacked = tensors.has("ffn_down_exps");
  const std::string down = stacked ? "ffn_down_exps" : "ffn_down.0";
  const std::int64_t experts = stacked ? tensors.size(down, 2) : single_experts(tensors);
  const int said = keys.of_layer("expert_count", layer, 1, 1 << 16);
  if (experts != said)
    keys.refuse(in_layer(layer) + "has " + std::to_string(experts) + " experts, but expert_count is " +
                std::to_string(said));
  moe.experts = said;
  moe.top_k = keys.of_layer("expert_used_count", layer, 1, said);
  moe.ffn_dim = as_width(keys, tensors.size(down, 0), layer);
  moe.gated = tensors.has(stacked ? "ffn_gate_exps" : "ffn_gate.0") || tensors.has("ffn_gate_up_exps");
  const std::int64_t width = tensors.size(down, 1);
  if (width != d_model) moe.latent_dim = as_width(keys, width, layer);
  moe.expert_bias = tensors.find("ffn_down_exps.bias") != nullptr;
  moe.router_bias =
      tensors.find("exp_probs_b.bias") != nullptr || tensors.find("ffn_gate_inp.bias") != nullptr;
  if (tensors.has("ffn_gate_chexps") || tensors.has("ffn_down_chexps"))
    keys.refuse(in_layer(layer) + "has experts of experts (ffn_down_chexps), which are not known here");
  // A dense feed-forward beside the experts is one that every token passes (Gemma 4).
  for (const char* shared : {"ffn_down_shexp", "ffn_down"}) {
    if (tensors.has(shared)) moe.shared_ffn_dim += as_width(keys, tensors.size(shared, 0), layer);
  }
  moe.shared_gate = tensors.has("ffn_gate_inp_shexp");
  return feed_forward;
}

}  // namespace

GgufPart part_of(std::string_view name) {
  if (name.starts_with("ffn_")) {
    for (const std::string_view expert :
         {"ffn_gate_exps.", "ffn_up_exps.", "ffn_down_exps.", "ffn_gate_up_exps."}) {
      if (name.starts_with(expert)) return GgufPart::experts;
    }
    // "ffn_down.5.weight"
    const std::size_t dot = name.find('.');
    if (dot + 1 < name.size() && name[dot + 1] >= '0' && name[dot + 1] <= '9') return GgufPart::experts;
    return GgufPart::feed_forward;
  }
  if (name.starts_with("exp_probs_b") || name.find("ffw_norm") != std::string_view::npos)
    return GgufPart::feed_forward;
  return GgufPart::mixer;
}

FeedForward read_gguf_feed_forward(const GgufKeys& keys, const GgufLayer& tensors, int layer, int d_model) {
  FeedForward feed_forward;
  if (tensors.has("ffn_down_exps") || tensors.has("ffn_down.0")) {
    feed_forward = read_moe(keys, tensors, layer, d_model);
  } else if (tensors.has("ffn_down")) {
    feed_forward.ffn_dim = as_width(keys, tensors.size("ffn_down", 0), layer);
    // Phi-3 keeps gate and up in one tensor.
    feed_forward.gated =
        tensors.has("ffn_gate") || tensors.size("ffn_up", 1) == 2 * std::int64_t{feed_forward.ffn_dim};
    feed_forward.bias = tensors.find("ffn_down.bias") != nullptr;
  } else {
    feed_forward.kind = FeedForward::Kind::none;
  }
  if (tensors.has("post_ffw_norm")) feed_forward.norms = 2;
  return feed_forward;
}

}  // namespace pregate
