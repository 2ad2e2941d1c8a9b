// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/error.hpp"
#include "models/model.hpp"

namespace pregate {
namespace {

constexpr int widest = 1 << 20;  ///< of any dimension
constexpr double most_parameters = 1e15;

/// An upper bound on the dense parameters of a layer, in floating point: it tells descriptions apart whose
/// exact count would not fit 64 bits.
double dense_estimate(const Stack& stack, double d_model) {
  const Attention& a = stack.attention;
  const double width =
      static_cast<double>(a.heads) * (a.head_dim + a.qk_nope_head_dim + a.qk_rope_head_dim + a.v_head_dim);
  const double feed_forward =
      static_cast<double>(stack.dense_ffn_dim) + stack.moe.shared_ffn_dim + stack.moe.experts;
  return 8 * d_model * width + (d_model + width) * (a.q_lora_rank + 2.0 * a.kv_lora_rank) +
         4 * d_model * feed_forward;
}

struct Checker {
  const std::string& where;

  void between(const std::string& key, std::int64_t value, std::int64_t least, std::int64_t most) const {
    if (value >= least && value <= most) return;
    throw InputError(where, key + " is " + std::to_string(value),
                     "it must be from " + std::to_string(least) + " to " + std::to_string(most));
  }

  void format(const char* key, const WeightFormat& format) const {
    if (!(format.bits_per_parameter >= 1 && format.bits_per_parameter <= 64)) {
      throw InputError(where, std::string(key) + ": no weight format is chosen", "e.g. bf16");
    }
  }

  void attention(const std::string& key, const Attention& attention) const {
    between(key + ".heads", attention.heads, 1, 65'536);
    if (attention.kind == AttentionKind::multi_head_latent) {
      between(key + ".q_lora_rank", attention.q_lora_rank, 0, widest);
      between(key + ".kv_lora_rank", attention.kv_lora_rank, 1, widest);
      between(key + ".qk_nope_head_dim", attention.qk_nope_head_dim, 1, 65'536);
      between(key + ".qk_rope_head_dim", attention.qk_rope_head_dim, 0, 65'536);
      between(key + ".v_head_dim", attention.v_head_dim, 1, 65'536);
      return;
    }
    between(key + ".head_dim", attention.head_dim, 1, 65'536);
    between(key + ".kv_heads", attention.kv_heads, 1, attention.heads);
    if (attention.heads % attention.kv_heads != 0) {
      throw InputError(where, key + ": " + std::to_string(attention.kv_heads) + " kv_heads do not divide " +
                                  std::to_string(attention.heads) + " heads");
    }
  }

  void stack(const Stack& stack) const {
    between(stack.name + ".layers", static_cast<std::int64_t>(stack.layers.size()), 1, 10'000);
    attention(stack.name + ".attention", stack.attention);
    bool any_moe = false;
    bool any_dense = false;
    for (const Layer& layer : stack.layers) {
      (layer.moe ? any_moe : any_dense) = true;
      between(stack.name + ".sliding_window", layer.sliding_window, 0, 1 << 30);
    }
    if (any_dense) between(stack.name + ".dense_ffn_dim", stack.dense_ffn_dim, 1, widest);
    if (!any_moe) return;
    const std::string key = stack.name + ".moe";
    between(key + ".experts", stack.moe.experts, 1, 65'536);
    between(key + ".top_k", stack.moe.top_k, 1, stack.moe.experts);
    between(key + ".ffn_dim", stack.moe.ffn_dim, 1, widest);
    between(key + ".shared_ffn_dim", stack.moe.shared_ffn_dim, 0, widest);
    if (stack.moe.shared_gate && stack.moe.shared_ffn_dim == 0) {
      throw InputError(where, key + ".shared_gate needs shared experts", "set shared_ffn_dim");
    }
  }
};

}  // namespace

void validate(const ModelSpec& model, const std::string& where) {
  const Checker check{where};
  check.between("d_model", model.d_model, 1, widest);
  check.between("vocabulary", model.vocabulary, 1, 100'000'000);
  check.between("learned_positions", model.learned_positions, 0, 100'000'000);
  check.between("relative_position_buckets", model.relative_position_buckets, 0, widest);
  check.format("weights.experts", model.expert_format);
  check.format("weights.dense", model.dense_format);
  check.format("weights.kv_cache", model.kv_format);
  const bool named =
      !model.stacks.empty() && model.stacks.back().name == "decoder" &&
      (model.stacks.size() == 1 || (model.stacks.size() == 2 && model.stacks[0].name == "encoder"));
  if (!named) throw InputError(where, "a model has a decoder, or an encoder and then a decoder");
  double experts = 0;
  double dense = 2.0 * static_cast<double>(model.vocabulary) * model.d_model;
  for (const Stack& stack : model.stacks) {
    check.stack(stack);
    if (stack.cross_attention && (model.stacks.size() == 1 || stack.name == "encoder")) {
      throw InputError(where, stack.name + ".cross_attention has no encoder to look at");
    }
    if (stack.cross_attention && stack.attention.kind == AttentionKind::multi_head_latent) {
      throw InputError(where, stack.name + ": cross-attention with latent attention is not described");
    }
    dense += static_cast<double>(stack.layers.size()) * dense_estimate(stack, model.d_model);
    const double moe = static_cast<double>(moe_layers(stack).size());
    experts += moe * stack.moe.experts * 3.0 * model.d_model * stack.moe.ffn_dim;
  }
  if (experts <= 0)
    throw InputError(where, "no layer of this model is a mixture of experts", "set decoder.moe");
  if (experts > most_parameters || dense > most_parameters)
    throw InputError(where, "more than 10^15 parameters");
  if (!(model.published_parameters >= 0 && model.published_parameters <= most_parameters)) {
    throw InputError(where, "published.parameters is not a count of parameters");
  }
}

}  // namespace pregate
