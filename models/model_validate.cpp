// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/error.hpp"
#include "models/model.hpp"

namespace pregate {
namespace {

constexpr int widest = 1 << 20;  ///< of any dimension
constexpr double most_parameters = 1e15;

/// An upper bound on the dense parameters of a layer, in floating point: it tells descriptions apart whose
/// exact count would not fit 64 bits.
double dense_estimate(const Mixer& m, const FeedForward& f, double d_model) {
  const double head = static_cast<double>(m.head_dim) + m.value_dim() + m.qk_nope_head_dim +
                      m.qk_rope_head_dim + m.state_dim + m.step_rank;
  const double width = (static_cast<double>(m.heads) + m.kv_heads + m.key_heads + m.groups) * head;
  const double ranks = static_cast<double>(m.q_lora_rank) + 2.0 * m.kv_lora_rank +
                       static_cast<double>(m.output_groups) * m.output_lora_rank;
  const double index = static_cast<double>(m.indexer.heads) * m.indexer.head_dim;
  const double feed_forward = static_cast<double>(f.ffn_dim) + f.moe.shared_ffn_dim + f.moe.experts +
                              f.moe.latent_dim + m.norms + f.norms;
  const double streams = static_cast<double>(m.residual_streams);
  return 8 * d_model * (width + head + m.compress_ratio) +
         4 * streams * d_model * (m.residual_rank + (streams + 2) * streams) +
         (d_model + width) * (ranks + index) + width * (m.conv_kernel + m.compress_ratio) +
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

  void optional(const std::string& key, std::int64_t value, std::int64_t most = 65'536) const {
    between(key, value, 0, most);
  }

  void mixer(const std::string& key, const Mixer& m) const {
    if (m.kind == MixerKind::none) return;
    between(key + ".heads", m.heads, 1, 65'536);
    optional(key + ".window", m.window, 1 << 30);
    optional(key + ".q_lora_rank", m.q_lora_rank, widest);
    optional(key + ".v_head_dim", m.v_head_dim);
    optional(key + ".indexer.heads", m.indexer.heads);
    optional(key + ".indexer.head_dim", m.indexer.head_dim);
    optional(key + ".indexer.top_k", m.indexer.top_k, 1 << 30);
    optional(key + ".compress_ratio", m.compress_ratio);
    optional(key + ".residual_streams", m.residual_streams);
    optional(key + ".residual_rank", m.residual_rank, widest);
    optional(key + ".output_groups", m.output_groups);
    optional(key + ".output_lora_rank", m.output_lora_rank, widest);
    optional(key + ".conv_kernel", m.conv_kernel);
    between(key + ".norms", m.norms, 0, 16);
    between(key + ".state_bits", m.state_bits, 1, 64);
    if (m.kind == MixerKind::multi_head_latent) {
      between(key + ".kv_lora_rank", m.kv_lora_rank, 1, widest);
      between(key + ".qk_nope_head_dim", m.qk_nope_head_dim, 1, 65'536);
      optional(key + ".qk_rope_head_dim", m.qk_rope_head_dim);
      between(key + ".v_head_dim", m.v_head_dim, 1, 65'536);
      return;
    }
    between(key + ".head_dim", m.head_dim, 1, 65'536);
    if (m.kind == MixerKind::grouped_query) {
      between(key + ".kv_heads", m.kv_heads, 1, m.heads);
      if (m.heads % m.kv_heads != 0) {
        throw InputError(where, key + ": " + std::to_string(m.kv_heads) + " kv_heads do not divide " +
                                    std::to_string(m.heads) + " heads");
      }
    } else if (m.kind == MixerKind::mamba2) {
      between(key + ".groups", m.groups, 1, 65'536);
      between(key + ".state_dim", m.state_dim, 1, 65'536);
    } else if (m.kind == MixerKind::mamba) {
      between(key + ".state_dim", m.state_dim, 1, 65'536);
      between(key + ".step_rank", m.step_rank, 1, 65'536);
    } else if (m.kind == MixerKind::short_convolution) {
      between(key + ".conv_kernel", m.conv_kernel, 1, 65'536);
    } else if (m.kind == MixerKind::gated_delta_net || m.kind == MixerKind::kimi_delta) {
      between(key + ".key_heads", m.key_heads, 1, 65'536);
    }
  }

  void experts(const std::string& key, const MoeBlock& moe) const {
    between(key + ".experts", moe.experts, 1, 65'536);
    between(key + ".top_k", moe.top_k, 1, moe.experts);
    between(key + ".ffn_dim", moe.ffn_dim, 1, widest);
    optional(key + ".shared_ffn_dim", moe.shared_ffn_dim, widest);
    optional(key + ".latent_dim", moe.latent_dim, widest);
    if (moe.shared_gate && moe.shared_ffn_dim == 0)
      throw InputError(where, key + ".shared_gate needs shared experts", "set shared_ffn_dim");
  }

  void stack(const Stack& stack) const {
    between(stack.name + ".layers", static_cast<std::int64_t>(stack.layers.size()), 1, 10'000);
    for (const Mixer& each : stack.mixers) mixer(stack.name + ".attention", each);
    for (const FeedForward& each : stack.feed_forwards) {
      between(stack.name + ".norms", each.norms, 0, 16);
      if (each.kind == FeedForward::Kind::dense)
        between(stack.name + ".dense_ffn_dim", each.ffn_dim, 1, widest);
      if (each.kind == FeedForward::Kind::moe) experts(stack.name + ".moe", each.moe);
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
    for (const Layer& layer : stack.layers) {
      const Mixer& mixer = stack.mixers[static_cast<std::size_t>(layer.mixer)];
      const FeedForward& feed_forward = stack.feed_forwards[static_cast<std::size_t>(layer.feed_forward)];
      if (stack.cross_attention && mixer.kind != MixerKind::grouped_query)
        throw InputError(where, stack.name + ": only grouped-query attention may attend to an encoder");
      dense += dense_estimate(mixer, feed_forward, model.d_model);
      if (feed_forward.kind != FeedForward::Kind::moe) continue;
      const MoeBlock& moe = feed_forward.moe;
      experts += 3.0 * moe.experts * std::max(model.d_model, moe.latent_dim) * moe.ffn_dim;
    }
  }
  if (experts <= 0)
    throw InputError(where, "no layer of this model is a mixture of experts", "set decoder.moe");
  if (experts > most_parameters || dense > most_parameters)
    throw InputError(where, "more than 10^15 parameters");
  for (const double published : {model.published_parameters, model.published_active}) {
    if (!(published >= 0 && published <= most_parameters))
      throw InputError(where, "published.parameters or published.active is not a count of parameters");
  }
}

}  // namespace pregate
