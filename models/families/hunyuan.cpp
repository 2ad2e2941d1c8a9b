// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Hunyuan-A13B: experts, top-k and widths by layer. Files of the authors' own class say more than the class
// of transformers reads; theirs is followed.
#include "models/error.hpp"
#include "models/families/by_layer.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

void refuse_hunyuan_parts(TableReader& config) {
  if (config.boolean_or("use_cla", false)) {
    throw InputError(config.where("use_cla"), "keys and values shared across layers are not described",
                     "describe the model in TOML (docs/models.md)");
  }
  if (config.boolean_or("use_mla", false)) {
    throw InputError(config.where("use_mla"), "latent attention of this family is not described",
                     "describe the model in TOML (docs/models.md)");
  }
}

/// `values` of a layer, which must be there.
int of_layer(const std::vector<int>& values, int layer, int fallback) {
  return values.empty() ? fallback : values[static_cast<std::size_t>(layer)];
}

void read_hunyuan(TableReader& config, ModelSpec& model) {
  model.family = "hunyuan_v1_moe";
  refuse_hunyuan_parts(config);
  // The published model ties them, and files quoted from it leave the field out.
  const int layers = read_decoder(config, model, true);
  Mixer attention = read_grouped_query(config, model.d_model);
  attention.head_dim = dimension_or(config, "attention_head_dim", attention.head_dim);
  read_attention_bias(config, attention, false);
  attention.qk_norm = config.boolean_or("use_qk_norm", true);
  FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  const bool bias = config.boolean_or("mlp_bias", false);
  dense.bias = bias;
  const std::vector<int> experts = number_by_layer(config, "num_experts", layers);
  const char* top_k_key = config.has("moe_topk") ? "moe_topk" : "num_experts_per_tok";
  const std::vector<int> top_k = number_by_layer(config, top_k_key, layers);
  const std::vector<int> widths = number_by_layer(config, "moe_intermediate_size", layers);
  const std::vector<int> shared = number_by_layer(config, "num_shared_expert", layers);
  if (experts.empty() || top_k.empty())
    throw InputError(config.where(), "num_experts or moe_topk is missing", "both say how tokens are routed");
  const bool has_shared = config.boolean_or("use_mixed_mlp_moe", true);
  const int first = dimension_or(config, "moe_layer_num_skipped", 0);
  for (int i = 0; i < layers; ++i) {
    MoeBlock moe{.experts = of_layer(experts, i, 0),
                 .top_k = of_layer(top_k, i, 0),
                 .ffn_dim = of_layer(widths, i, dense.ffn_dim),
                 .gated = true,
                 .expert_bias = bias};
    // The shared expert is as wide as intermediate_size says, not as moe_intermediate_size.
    if (has_shared)
      moe.shared_ffn_dim = product(config, "num_shared_expert", of_layer(shared, i, 1), dense.ffn_dim);
    model.stacks[0].add_layer(attention, i >= first && moe.experts > 1 ? moe_layer(moe) : dense);
  }
}

}  // namespace

Family hunyuan_moe() {
  return {{"hunyuan_v1_moe"},
          read_hunyuan,
          {// without use_cla and use_mla these are not looked at
           "cla_share_factor", "kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim",
           "v_head_dim",
           // of training, of a classification head, of a vision tower that the text model lacks
           "class_num", "dense_list", "eod_token_id", "group_limited_greedy", "im_end_id", "im_newline_id",
           "im_start_id", "mask_init_id", "moe_drop_tokens", "moe_random_routing_dropped_token",
           "num_media_embeds", "org_vocab_size", "pad_id", "pool_type", "position_embedding_xdrope",
           "text_end_id", "text_start_id", "use_rotary_pos_emb", "video_end_id", "video_start_id",
           "vit_input_resolution", "vit_mapping_type", "vit_norm_type", "vit_patch", "vit_path",
           "vit_remove_prenorm", "vit_token", "vit_type", "vit_used_rms_norm", "vit_add_patchemb_bias",
           "vit_linear_projection", "xdrope_section", "anyres_pooling_size", "anyres_vit_max_image_size",
           "max_image_size"}};
}

}  // namespace pregate::families
