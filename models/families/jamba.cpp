// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Jamba: Mamba-1 with attention in one layer of eight, experts in every second one.
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

Mixer read_mamba_one(TableReader& config, int d_model) {
  Mixer mamba;
  mamba.kind = MixerKind::mamba;
  mamba.heads = product(config, "mamba_expand", config.integer_or("mamba_expand", 1, 64, 2), d_model);
  mamba.head_dim = 1;
  mamba.state_dim = dimension(config, "mamba_d_state");
  mamba.conv_kernel = dimension_or(config, "mamba_d_conv", 4);
  const Node* rank = config.find("mamba_dt_rank");
  const bool derived = rank == nullptr || (rank->kind == Node::Kind::text && rank->text == "auto");
  mamba.step_rank = derived ? (d_model + 15) / 16 : dimension(config, "mamba_dt_rank");
  mamba.qkv_bias = config.boolean_or("mamba_conv_bias", true);
  mamba.output_bias = config.boolean_or("mamba_proj_bias", false);
  return mamba;
}

/// Which of so many layers, each `period`-th from `offset` on.
struct Every {
  std::int64_t period = 1, offset = 0;

  Every(TableReader& config, const char* period_key, const char* offset_key) {
    period = config.integer(period_key, 1, most_layers);
    offset = config.integer(offset_key, 0, most_layers);
    if (offset >= period) {
      throw InputError(config.where(offset_key), "is not below " + std::string(period_key),
                       "offsets are those of the first such layer");
    }
  }
  [[nodiscard]] bool holds(int layer) const { return layer % period == offset; }
};

void read_jamba(TableReader& config, ModelSpec& model) {
  model.family = "jamba";
  const int layers = read_decoder(config, model);
  Mixer attention = read_grouped_query(config, model.d_model);
  attention.window = dimension_or(config, "sliding_window", 0);
  const Mixer mamba = read_mamba_one(config, model.d_model);
  const FeedForward experts = moe_layer(read_gated_experts(config, "num_experts", "intermediate_size"));
  const FeedForward dense = dense_layer(experts.moe.ffn_dim);
  const Every attends(config, "attn_layer_period", "attn_layer_offset");
  const Every routes(config, "expert_layer_period", "expert_layer_offset");
  for (int i = 0; i < layers; ++i)
    model.stacks[0].add_layer(attends.holds(i) ? attention : mamba, routes.holds(i) ? experts : dense);
}

}  // namespace

Family jamba() { return {{"jamba"}, read_jamba, {"use_mamba_kernels", "num_logits_to_keep"}}; }

}  // namespace pregate::families
