// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// ERNIE 4.5 with experts, and the text part of its vision models: those route text and pictures to experts of
// their own, and say both in lists, text first.
#include "models/error.hpp"
#include "models/families/by_layer.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

/// A whole number, or the first of a list, which is about text.
std::int64_t of_text(TableReader& config, const char* key, std::int64_t least, std::int64_t fallback) {
  const Node* value = config.find(key);
  if (value == nullptr) return fallback;
  if (value->kind != Node::Kind::array) return config.integer(key, least, widest);
  if (value->items.empty() || value->items[0].kind != Node::Kind::integer ||
      value->items[0].integer < least || value->items[0].integer > widest) {
    throw InputError(config.where(key), "must be a whole number, or a list of two: for text, for pictures");
  }
  return value->items[0].integer;
}

void leave_out_pictures(TableReader& config, ModelSpec& model) {
  const Node* counts = config.find("moe_num_experts");
  if (counts == nullptr || counts->kind != Node::Kind::array || counts->items.size() < 2) return;
  if (counts->items[1].kind == Node::Kind::integer && counts->items[1].integer > 0) {
    model.left_out.push_back(std::to_string(counts->items[1].integer) +
                             " experts a layer that only tokens of pictures use (moe_num_experts)");
  }
}

void read_ernie4_5_moe(TableReader& config, ModelSpec& model) {
  model.family = "ernie4_5_moe";
  const int layers = read_decoder(config, model, true);
  Mixer attention = read_grouped_query(config, model.d_model);
  const bool bias = config.boolean_or("use_bias", false);
  attention.qkv_bias = bias;
  attention.output_bias = bias;
  FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  dense.bias = bias;
  MoeBlock moe{.experts = static_cast<int>(of_text(config, "moe_num_experts", 1, 0)),
               .top_k = static_cast<int>(of_text(config, "moe_k", 1, 0)),
               .ffn_dim = config.has("moe_intermediate_size")
                              ? static_cast<int>(of_text(config, "moe_intermediate_size", 1, 0))
                              : dimension(config, "moe_intermediate_size"),  // missing: says so
               .gated = true,
               .expert_bias = bias,
               // e_score_correction_bias
               .router_bias = config.boolean_or("moe_use_aux_free", true)};
  const auto shared = config.integer_or("moe_num_shared_experts", 0, 1024, 0);
  moe.shared_ffn_dim = product(config, "moe_num_shared_experts", shared, moe.ffn_dim);
  leave_out_pictures(config, model);
  const auto first = of_text(config, "moe_layer_start_index", 0, 0);
  auto last = of_text(config, "moe_layer_end_index", -1, -1);
  if (last < 0) last = layers - 1;
  const auto step = config.integer_or("moe_layer_interval", 1, most_layers, 1);
  const std::vector<bool> sparse = sparse_layers(config, layers);
  for (int i = 0; i < layers; ++i) {
    const bool in_range = (i + 1) % step == 0 && i >= first && i <= last;
    const bool is_sparse = sparse.empty() ? in_range : sparse[static_cast<std::size_t>(i)];
    model.stacks[0].add_layer(attention, is_sparse ? moe_layer(moe) : dense);
  }
  leave_out_prediction(config, model, "num_nextn_predict_layers");
}

}  // namespace

Family ernie4_5_moe() {
  return {
      {"ernie4_5_moe", "ernie4_5_moe_vl", "ernie4_5_vl_moe", "ernie4_5_vl_moe_text", "ernie4_5_moe_vl_text"},
      read_ernie4_5_moe,
      {"moe_capacity", "moe_gate", "moe_gate_act", "moe_norm_min", "moe_norm_gate_logits", "moe_group",
       "moe_group_experts", "moe_use_hard_gate", "moe_multimodal_dispatch_use_allgather",
       "moe_dense_experts_token_type_id", "moe_reverse_token_drop", "moe_all_to_all_dropout",
       "moe_fuse_experts", "moe_use_size_all2all", "use_moe", "multi_token_pred_lambda",
       "weight_share_add_bias", "scale_qk_coeff", "sinkhorn_2gate", "sinkhorn_temp",
       "moe_orthogonal_loss_lambda", "moe_z_loss_lambda", "moe_aux_loss_lambda", "compression_ratio",
       "freq_allocation", "rope_3d", "micro_batch_size", "use_recompute", "use_sparse_head_and_loss_fn",
       "use_mem_eff_attn", "use_var_len_flash_attn", "tensor_parallel_degree", "tensor_parallel_output",
       "sequence_parallel", "fuse_linear", "fuse_ln", "fuse_rms_norm", "fuse_rope", "fuse_swiglu",
       "fuse_gate_detach_matmul", "fuse_softmax_mask", "fuse_attn_ffn", "use_fast_ln", "max_sequence_length",
       "token_balance_loss", "token_balance_seqlen", "loss_subbatch_seqlen", "cachekv_quant", "num_acc_steps",
       "enable_random_position_ids", "use_bias_add",
       // of pictures
       "im_patch_id", "pixel_hidden_size", "spatial_conv_size", "temporal_conv_size", "use_temporal_conv",
       "modality_detach", "mm_vocab_size", "max_text_id", "image_start_token_id", "image_end_token_id",
       "video_start_token_id", "video_end_token_id", "text_use_token_type_ids", "trigger_data_prob",
       "add_image_preprocess"}};
}

}  // namespace pregate::families
