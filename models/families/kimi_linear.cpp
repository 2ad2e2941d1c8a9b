// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Kimi-Linear: delta attention with a decay a channel, and latent attention in some layers.
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

/// Whether each layer is linear. Both lists count layers from 1 and together name each layer once.
std::vector<bool> read_linear_layers(TableReader& table, int layers) {
  std::vector<int> kinds(static_cast<std::size_t>(layers), 0);
  const auto mark = [&](const char* key, int kind) {
    for (const int number : layer_numbers(table, key, layers)) {
      int& known = number < 1 ? kinds.front() : kinds[static_cast<std::size_t>(number - 1)];
      if (number < 1 || known != 0)
        throw InputError(table.where(key), "names layer " + std::to_string(number) +
                                               (number < 1 ? "; layers count from 1" : " a second time"));
      known = kind;
    }
  };
  mark("kda_layers", 1);
  mark("full_attn_layers", 2);
  std::vector<bool> linear;
  for (const int kind : kinds) {
    if (kind == 0)
      throw InputError(table.where(), "kda_layers and full_attn_layers leave out layer " +
                                          std::to_string(linear.size() + 1));
    linear.push_back(kind == 1);
  }
  return linear;
}

void read_kimi_linear(TableReader& config, ModelSpec& model) {
  model.family = "kimi_linear";
  const int layers = read_decoder(config, model);
  const Mixer latent = read_latent(config);
  TableReader table = config.table("linear_attn_config");
  Mixer linear;
  linear.kind = MixerKind::kimi_delta;
  linear.heads = dimension(table, "num_heads");
  linear.key_heads = linear.heads;
  linear.head_dim = dimension(table, "head_dim");
  linear.conv_kernel = dimension(table, "short_conv_kernel_size");
  const std::vector<bool> is_linear = read_linear_layers(table, layers);
  table.find("gate_lower_bound");  // a clamp
  table.finish();
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  MoeBlock moe{.experts = dimension(config, "num_experts"),
               .top_k = dimension(config, "num_experts_per_token"),
               .ffn_dim = dimension(config, "moe_intermediate_size"),
               .gated = true,
               .router_bias = true};
  const auto shared = config.integer_or("num_shared_experts", 0, 1024, 0);
  moe.shared_ffn_dim = product(config, "num_shared_experts", shared, moe.ffn_dim);
  const std::vector<bool> sparse = sparse_layers_of_deepseek(config, layers, 0);
  for (std::size_t i = 0; i < is_linear.size(); ++i)
    model.stacks[0].add_layer(is_linear[i] ? linear : latent, sparse[i] ? moe_layer(moe) : dense);
  leave_out_prediction(config, model, "num_nextn_predict_layers");
}

}  // namespace

Family kimi_linear() {
  return {{"kimi_linear"},
          read_kimi_linear,
          // widths of heads are those of the latent keys; without rotation they are cached all the same
          {"head_dim", "num_key_value_heads", "mla_use_nope", "qk_head_dim"}};
}

}  // namespace pregate::families
