// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Qwen, DeepSeek, Kimi, GLM, MiniMax, Llama-4.
#include "tests/models/published_models.hpp"

namespace pregate::test {
namespace {

const char* const qwen3_next =
    R"({"model_type":"qwen3_next","decoder_sparse_step":1,"full_attention_interval":4,
  "head_dim":256,"hidden_size":2048,"intermediate_size":5120,"linear_conv_kernel_dim":4,"linear_key_head_dim":128,
  "linear_num_key_heads":16,"linear_num_value_heads":32,"linear_value_head_dim":128,"mlp_only_layers":[],
  "moe_intermediate_size":512,"norm_topk_prob":true,"num_attention_heads":16,"num_experts":512,
  "num_experts_per_tok":10,"num_hidden_layers":48,"num_key_value_heads":2,"partial_rotary_factor":0.25,
  "shared_expert_intermediate_size":512,"tie_word_embeddings":false,"torch_dtype":"bfloat16",
  "use_sliding_window":false,"vocab_size":151936})";

std::string qwen35_397b() {
  const std::string four = R"("linear_attention","linear_attention","linear_attention","full_attention")";
  return R"({"model_type":"qwen3_5_moe","tie_word_embeddings":false,"vision_config":{"depth":27},"text_config":{
    "model_type":"qwen3_5_moe_text","attention_bias":false,"attn_output_gate":true,"dtype":"bfloat16",
    "full_attention_interval":4,"head_dim":256,"hidden_size":4096,"linear_conv_kernel_dim":4,
    "linear_key_head_dim":128,"linear_num_key_heads":16,"linear_num_value_heads":64,"linear_value_head_dim":128,
    "mlp_only_layers":[],"moe_intermediate_size":1024,"mtp_num_hidden_layers":1,
    "mtp_use_dedicated_embeddings":false,"num_attention_heads":32,"num_experts":512,"num_experts_per_tok":10,
    "num_hidden_layers":60,"num_key_value_heads":2,"shared_expert_intermediate_size":1024,"vocab_size":248320,
    "layer_types":[)" +
         repeated(four, 15) + "]}}";
}

const char* const qwen38_flash_next = R"({"model_type":"qwen4_exp","image_token_id":248056,"text_config":{
  "model_type":"qwen4_exp_text","attention_bias":false,"dtype":"bfloat16","full_attention_interval":4,"hc_count":4,
  "hc_lowrank":320,"head_dim":256,"heads_per_ngram":8,"hidden_size":2560,"indexer_budget":2048,
  "indexer_compress_ratio":4,"indexer_head_dim":128,"indexer_kv_heads":1,"indexer_n_heads":4,
  "linear_conv_kernel_dim":4,"linear_key_head_dim":128,"linear_num_key_heads":16,"linear_num_value_heads":48,
  "linear_value_head_dim":128,"make_ngram_vocab_size_divisible_by":128,"moe_intermediate_size":640,"ngram_size":3,
  "ngram_vocab_size_base":20000000,"num_attention_heads":24,"num_experts":512,"num_experts_per_tok":10,
  "num_hidden_layers":48,"num_key_value_heads":2,"output_gate_type":"sigmoid","ple_conv_kernel_size":4,
  "ple_embed_dim":2560,"ple_layer_ids":[2],"shared_expert_intermediate_size":640,"split_ngram_parts":128,
  "tie_word_embeddings":false,"vocab_size":248320}})";

const char* const qwen3_coder_480b =
    R"({"model_type":"qwen3_moe","attention_bias":false,"decoder_sparse_step":1,
  "head_dim":128,"hidden_size":6144,"intermediate_size":8192,"max_window_layers":62,"mlp_only_layers":[],
  "moe_intermediate_size":2560,"norm_topk_prob":true,"num_attention_heads":96,"num_experts":160,
  "num_experts_per_tok":8,"num_hidden_layers":62,"num_key_value_heads":8,"qkv_bias":false,
  "router_aux_loss_coef":0.0,"shared_expert_intermediate_size":0,"sliding_window":null,"torch_dtype":"bfloat16",
  "use_qk_norm":true,"use_sliding_window":false,"vocab_size":151936})";

const char* const qwen3_omni = R"({"model_type":"qwen3_omni_moe","enable_audio_output":true,
  "talker_config":{"text_config":{"num_hidden_layers":20}},"code2wav_config":{"hidden_size":1024},"thinker_config":{
  "model_type":"qwen3_omni_moe_thinker","audio_config":{"d_model":1280},"vision_config":{"depth":27},
  "text_config":{"model_type":"qwen3_omni_moe_text","dtype":"bfloat16","decoder_sparse_step":1,"head_dim":128,
  "hidden_size":2048,"intermediate_size":768,"mlp_only_layers":[],"moe_intermediate_size":768,
  "num_attention_heads":32,"num_experts":128,"num_experts_per_tok":8,"num_hidden_layers":48,
  "num_key_value_heads":4,"shared_expert_intermediate_size":0,"sliding_window":null,"use_qk_norm":true,
  "use_sliding_window":false,"vocab_size":152064}}})";

std::string deepseek_v4_pro() {
  return R"({"model_type":"deepseek_v4","attention_bias":false,"expert_dtype":"fp4","hc_mult":4,
    "hc_sinkhorn_iters":20,"head_dim":512,"hidden_size":7168,"index_head_dim":128,"index_n_heads":64,
    "index_topk":1024,"moe_intermediate_size":3072,"n_routed_experts":384,"n_shared_experts":1,
    "num_attention_heads":128,"num_experts_per_tok":6,"num_hash_layers":3,"num_hidden_layers":61,
    "num_key_value_heads":1,"num_nextn_predict_layers":1,"o_groups":16,"o_lora_rank":1024,"q_lora_rank":1536,
    "qk_rope_head_dim":64,"sliding_window":128,"tie_word_embeddings":false,"torch_dtype":"bfloat16",
    "vocab_size":129280,"compress_ratios":[128,)" +
         repeated("128,4", 30) + ",0]}";
}

const char* const deepseek_vl2 = R"({"model_type":"deepseek_vl_v2","projector_config":{"n_embed":2560},
  "vision_config":{"layers":27},"language_config":{"model_type":"deepseek_v2","first_k_dense_replace":1,
  "hidden_size":2560,"intermediate_size":12288,"kv_lora_rank":512,"lm_head":true,"moe_intermediate_size":1536,
  "n_group":1,"n_routed_experts":72,"n_shared_experts":2,"norm_topk_prob":true,"num_attention_heads":32,
  "num_experts_per_tok":6,"num_hidden_layers":30,"num_key_value_heads":32,"q_lora_rank":null,
  "qk_nope_head_dim":128,"qk_rope_head_dim":64,"rm_head":false,"routed_scaling_factor":2.0,
  "scoring_func":"sigmoid","topk_group":1,"topk_method":"noaux_tc","torch_dtype":"bfloat16","use_mla":true,
  "v_head_dim":128,"vocab_size":129280}})";

const char* const kimi_linear_48b = R"({"model_type":"kimi_linear","first_k_dense_replace":1,"head_dim":72,
  "hidden_size":2304,"intermediate_size":9216,"kv_lora_rank":512,"linear_attn_config":{
  "full_attn_layers":[4,8,12,16,20,24,27],"head_dim":128,
  "kda_layers":[1,2,3,5,6,7,9,10,11,13,14,15,17,18,19,21,22,23,25,26],"num_heads":32,"short_conv_kernel_size":4},
  "mla_use_nope":true,"model_max_length":1048576,"moe_intermediate_size":1024,"moe_layer_freq":1,
  "moe_renormalize":true,"moe_router_activation_func":"sigmoid","num_attention_heads":32,"num_expert_group":1,
  "num_experts":256,"num_experts_per_token":8,"num_hidden_layers":27,"num_key_value_heads":32,
  "num_nextn_predict_layers":0,"num_shared_experts":1,"q_lora_rank":null,"qk_nope_head_dim":128,
  "qk_rope_head_dim":64,"routed_scaling_factor":2.446,"tie_word_embeddings":false,"topk_group":1,
  "torch_dtype":"bfloat16","use_grouped_topk":true,"v_head_dim":128,"vocab_size":163840})";

const char* const glm_45 = R"({"model_type":"glm4_moe","attention_bias":true,"first_k_dense_replace":3,
  "head_dim":128,"hidden_size":5120,"intermediate_size":12288,"moe_intermediate_size":1536,"n_group":1,
  "n_routed_experts":160,"n_shared_experts":1,"norm_topk_prob":true,"num_attention_heads":96,
  "num_experts_per_tok":8,"num_hidden_layers":92,"num_key_value_heads":8,"num_nextn_predict_layers":1,
  "partial_rotary_factor":0.5,"tie_word_embeddings":false,"torch_dtype":"bfloat16","use_qk_norm":true,
  "vocab_size":151552})";

const char* const glm_45v = R"({"model_type":"glm4v_moe","image_token_id":151363,"vision_config":{"depth":24},
  "text_config":{"model_type":"glm4v_moe_text","attention_bias":true,"dtype":"bfloat16","first_k_dense_replace":1,
  "head_dim":128,"hidden_size":4096,"image_token_id":151363,"intermediate_size":10944,
  "moe_intermediate_size":1408,"n_group":1,"n_routed_experts":128,"n_shared_experts":1,"norm_topk_prob":true,
  "num_attention_heads":96,"num_experts_per_tok":8,"num_hidden_layers":46,"num_key_value_heads":8,
  "num_local_experts":128,"partial_rotary_factor":0.5,"rope_scaling":{"mrope_section":[8,12,12]},
  "routed_scaling_factor":1.0,"use_qk_norm":false,"vocab_size":151552}})";

const char* const glm_47_flash = R"({"model_type":"glm4_moe_lite","first_k_dense_replace":1,"head_dim":64,
  "hidden_size":2048,"intermediate_size":10240,"kv_lora_rank":512,"moe_intermediate_size":1536,
  "n_routed_experts":64,"n_shared_experts":1,"num_attention_heads":20,"num_experts_per_tok":4,
  "num_hidden_layers":47,"num_key_value_heads":20,"num_nextn_predict_layers":1,"partial_rotary_factor":1.0,
  "q_lora_rank":768,"qk_nope_head_dim":192,"qk_rope_head_dim":64,"routed_scaling_factor":1.8,
  "tie_word_embeddings":false,"topk_method":"noaux_tc","torch_dtype":"bfloat16","v_head_dim":256,
  "vocab_size":154880})";

std::string minimax_m1() {
  return R"({"model_type":"minimax_m1","head_dim":128,"hidden_size":6144,"intermediate_size":9216,
    "layernorm_full_attention_alpha":3.5565588200778455,"layernorm_full_attention_beta":1.0,
    "layernorm_linear_attention_alpha":3.5565588200778455,"layernorm_linear_attention_beta":1.0,
    "layernorm_mlp_alpha":3.5565588200778455,"layernorm_mlp_beta":1.0,"num_attention_heads":64,
    "num_experts_per_tok":2,"num_hidden_layers":80,"num_key_value_heads":8,"num_local_experts":32,
    "postnorm":true,"rotary_dim":64,"router_aux_loss_coef":0.001,"shared_intermediate_size":0,
    "shared_moe_mode":"sigmoid","sliding_window":null,"tie_word_embeddings":false,"torch_dtype":"bfloat16",
    "vocab_size":200064,"attn_type_list":[)" +
         repeated("0,0,0,0,0,0,0,1", 10) + "]}";
}

const char* const llama4_maverick = R"({"model_type":"llama4","boi_token_index":200080,"vision_config":{
  "hidden_size":1408},"torch_dtype":"bfloat16","text_config":{"model_type":"llama4_text","attention_bias":false,
  "attention_chunk_size":8192,"for_llm_compressor":false,"head_dim":128,"hidden_size":5120,
  "interleave_moe_layer_step":2,"intermediate_size":8192,"intermediate_size_mlp":16384,"no_rope_layers":[],
  "num_attention_heads":40,"num_experts_per_tok":1,"num_hidden_layers":48,"num_key_value_heads":8,
  "num_local_experts":128,"torch_dtype":"bfloat16","use_qk_norm":false,"vocab_size":202048}})";

// Llama-4's vision encoder with adapter and projector: 34 layers of width 1408 and MLP 5632.
constexpr double llama4_vision = 871'932'416;
// SigLIP-SO400M and the projector.
constexpr double vl2_vision = 0.43e9;

const char* const card = "model card";
const char* const tensors = "elements of the checkpoint's tensors; active: model card";

}  // namespace

std::vector<PublishedModel> published_models_with_recent_attention() {
  using enum Tables;
  const double one_digit = 1e9;
  return {
      {"Qwen3-30B-A3B", "Qwen--Qwen3-30B-A3B.json", 30'532'122'624, 0, 3.3e9, both, tensors, 0, 0, true},
      {"Qwen3-30B-A3B-FP8", "Qwen--Qwen3-30B-A3B-FP8.json", 30.5e9, 0, 3.3e9, both, card},
      {"Qwen3-VL-30B-A3B", "Qwen--Qwen3-VL-30B-A3B-Instruct.json", 30.5e9, 0, 3.3e9, both,
       "its language model is Qwen3-30B-A3B"},
      {"Qwen3-235B-A22B", "nvidia--Qwen3-235B-A22B-NVFP4.json", 235e9, 0, 22e9, both, card},
      {"Qwen3-Coder-480B-A35B", qwen3_coder_480b, 480e9, 0, 35e9, both, card},
      {"Qwen3-Omni-30B-A3B", qwen3_omni, 30.5e9, 0, 3.3e9, both,
       "its thinker is a 30B-A3B (technical report)"},
      {"Qwen3-Next-80B-A3B", qwen3_next, 80e9, 0, 3e9, none, card, 0, one_digit},
      {"Qwen3.5-35B-A3B", "Qwen--Qwen3.5-35B-A3B.json", 35e9, 0, 3e9, output, card},
      {"Qwen3.5-122B-A10B", "Qwen--Qwen3.5-122B-A10B.json", 122e9, 0, 10e9, both, card},
      {"Qwen3.5-397B-A17B", qwen35_397b(), 397e9, 0, 17e9, both, card},
      {"Qwen3.8-Flash-Next", qwen38_flash_next, 125e9, 0, 6e9, none,
       "125B-A6B, and 51B of n-gram embeddings, which are left out here"},
      {"DeepSeek-V3", "deepseek-ai--DeepSeek-V3.json", 671e9, 0, 37e9, output, "arXiv:2412.19437"},
      {"DeepSeek-V3.1", "nvidia--DeepSeek-V3.1-NVFP4.json", 671e9, 0, 37e9, output, card},
      {"DeepSeek-V3.2", "deepseek-ai--DeepSeek-V3.2.json", 671e9, 0, 37e9, output, card},
      {"DeepSeek-V4-Flash", "deepseek-ai--DeepSeek-V4-Flash.json", 284e9, 0, 13e9, output, card},
      {"DeepSeek-V4-Pro", deepseek_v4_pro(), 1.6e12, 0, 49e9, output, card, 0.1e12},
      {"DeepSeek-VL2-Tiny", "ome-deepseek_vl2_tiny.json", 3.37e9, vl2_vision, 0.57e9, output,
       "arXiv:2412.10302, table 1: active parameters of the language model"},
      {"DeepSeek-VL2", deepseek_vl2, 27.5e9, vl2_vision, 4.1e9, output, "arXiv:2412.10302, table 1"},
      // The card rounds to 1T; the report says 1.04T, which would hold a prediction layer.
      {"Kimi-K2", "moonshotai--Kimi-K2-Instruct.json", 1'026'408'232'448, 0, 32e9, output, tensors, 0, 0,
       true},
      {"Kimi-K2.5", "moonshotai--Kimi-K2.5.json", 1'026'408'232'448, 0, 32e9, output,
       "its language model is that of Kimi-K2", 0, 0, true},
      {"Kimi-Linear-48B-A3B", kimi_linear_48b, 49'122'681'728, 0, 3e9, output,
       "total_parameters of the checkpoint's index; active: arXiv:2510.26692", 0, one_digit, true},
      {"GLM-4.5-Air", "frag-GLM-4.5-Air.json", 106e9, 0, 12e9, none, "arXiv:2508.06471, table 1"},
      {"GLM-4.5V", glm_45v, 106e9, 0, 12e9, none, "it is built on GLM-4.5-Air"},
      {"GLM-4.5", glm_45, 355e9, 0, 32e9, none, "arXiv:2508.06471, table 1"},
      {"GLM-4.7-Flash", glm_47_flash, 30e9, 0, 3e9, none, card, 0, one_digit},
      {"GLM-5", "zai-org--GLM-5.json", 744e9, 0, 40e9, none, card},
      {"GLM-5-FP8", "zai-org--GLM-5-FP8.json", 744e9, 0, 40e9, none, card},
      {"GLM-5.2", "zai-org--GLM-5.2.json", 744e9, 0, 40e9, none, card},
      {"MiniMax-M2.5", "MiniMaxAI--MiniMax-M2.5.json", 228'689'764'864, 0, 10e9, none, tensors, 0, 0, true},
      {"MiniMax-M1", minimax_m1(), 456e9, 0, 45.9e9, none, "arXiv:2506.13585"},
      {"Llama-4-Scout", "meta-llama--Llama-4-Scout-17B-16E-Instruct.json", 108'641'793'536, llama4_vision,
       17e9, both, tensors, 0, 0, true},
      {"Llama-4-Maverick", llama4_maverick, 401'583'781'376, llama4_vision, 17e9, both, tensors, 0, 0, true},
      {"Mixtral-8x7B", "mistralai--Mixtral-8x7B-v0.1.json", 46.7e9, 0, 12.9e9, both, "arXiv:2401.04088"},
  };
}

}  // namespace pregate::test
