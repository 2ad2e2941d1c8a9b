// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Families whose layers differ within a model: sliding windows with heads of their own, Mamba-2, experts
// beside a dense feed-forward. Totals are held against what the authors publish; caches and states against
// sums done by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "models/catalog.hpp"
#include "tests/models/error_of.hpp"
#include "tests/support/shared_data.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

ModelSpec parse(const std::string& fields) {
  return parse_model_config_json(R"({"torch_dtype": "bfloat16", )" + fields + "}", "config.json");
}

/// `count` times the text, between commas.
std::string times(int count, const std::string& text) {
  std::string list = text;
  for (int i = 1; i < count; ++i) list += ", " + text;
  return list;
}

const std::string sliding = R"("sliding_attention")", full = R"("full_attention")";

std::string gemma4() {
  return R"("model_type": "gemma4", "vision_config": {"model_type": "gemma4_vision"}, "audio_config": null,
    "text_config": {"model_type": "gemma4_text", "vocab_size": 262144, "hidden_size": 2816, "num_hidden_layers": 30,
      "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256, "global_head_dim": 512,
      "num_global_key_value_heads": 2, "attention_k_eq_v": true, "sliding_window": 1024, "layer_types": [)" +
         times(5, times(5, sliding) + ", " + full) +
         R"(], "intermediate_size": 2112, "enable_moe_block": true,
      "num_experts": 128, "top_k_experts": 8, "moe_intermediate_size": 704, "hidden_size_per_layer_input": 0,
      "final_logit_softcapping": 30.0, "use_double_wide_mlp": false, "vocab_size_per_layer_input": 262144,
      "num_kv_shared_layers": 0, "use_bidirectional_attention": "vision"})";
}

std::string nemotron(const std::string& rest) {
  return R"("model_type": "nemotron_h", "vocab_size": 131072, "num_attention_heads": 32, "num_key_value_heads": 2,
    "head_dim": 128, "mamba_head_dim": 64, "n_groups": 8, "ssm_state_size": 128, "conv_kernel": 4,
    "use_conv_bias": true, "mamba_ssm_cache_dtype": "float32", "mlp_hidden_act": "relu2", "expand": 2,
    "time_step_limit": [0.0, Infinity], "n_shared_experts": 1, )" +
         rest;
}

const std::string nano = R"("hidden_size": 2688, "num_hidden_layers": 52,
  "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME", "mamba_num_heads": 64,
  "n_routed_experts": 128, "num_experts_per_tok": 6, "moe_intermediate_size": 1856, "intermediate_size": 1856,
  "moe_shared_expert_intermediate_size": 3712)";
const std::string super = R"("hidden_size": 4096, "num_hidden_layers": 88, "hybrid_override_pattern":
  "MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*EMEMEMEME", "mamba_num_heads": 128,
  "n_routed_experts": 512, "num_experts_per_tok": 22, "moe_intermediate_size": 2688, "moe_latent_size": 1024,
  "moe_shared_expert_intermediate_size": 5376, "num_nextn_predict_layers": 1, "mtp_hybrid_override_pattern": "*E")";

const std::string mimo = R"("model_type": "mimo_v2_flash", "vocab_size": 152576, "hidden_size": 4096,
  "num_hidden_layers": 48, "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 192, "v_head_dim": 128,
  "swa_num_attention_heads": 64, "swa_num_key_value_heads": 8, "swa_head_dim": 192, "swa_v_head_dim": 128,
  "sliding_window": 128, "sliding_window_size": 128, "add_swa_attention_sink_bias": true, "intermediate_size": 16384,
  "n_routed_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": null)";

std::string step3p5() {
  return R"("model_type": "step3p5", "vocab_size": 128896, "hidden_size": 4096, "num_hidden_layers": 45,
    "num_attention_heads": 64, "num_attention_groups": 8, "head_dim": 128, "attention_other_setting":
    {"attention_type": "sliding_attention", "num_attention_heads": 96, "num_attention_groups": 8, "head_dim": 128},
    "sliding_window": 512, "layer_types": [)" +
         times(12, full + ", " + times(3, sliding)) +  // 45 and 3 of multi-token prediction
         R"(], "intermediate_size": 11264, "moe_num_experts": 288, "moe_top_k": 8, "moe_intermediate_size": 1280,
    "share_expert_dim": 1280, "num_nextn_predict_layers": 3, "moe_layers_enum": "3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,)" +
         R"(25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44", "use_moe_router_bias": true)";
}

const std::string step3 = R"("model_type": "step3_vl", "vision_config": {"width": 1792}, "text_config":
  {"model_type": "step3_text", "vocab_size": 128815, "hidden_size": 7168, "num_hidden_layers": 61,
   "num_attention_heads": 64, "num_attention_groups": 1, "head_dim": 256, "share_q_dim": 2048,
   "intermediate_size": 18432, "moe_num_experts": 48, "moe_top_k": 3, "moe_intermediate_size": 5120,
   "share_expert_dim": 5120})";

const std::string granite4 = R"("model_type": "granitemoehybrid", "vocab_size": 100352, "hidden_size": 4096,
  "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8, "num_local_experts": 72,
  "num_experts_per_tok": 10, "intermediate_size": 768, "shared_intermediate_size": 1536, "mamba_n_heads": 128,
  "mamba_d_head": "auto", "mamba_n_groups": 1, "mamba_d_state": 128, "mamba_d_conv": 4, "mamba_expand": 2,
  "tie_word_embeddings": true, "logits_scaling": 16, "layer_types": [)";

std::string granite4_small() {
  const std::string mamba = R"("mamba")", attention = R"("attention")";
  return granite4 + times(4, times(5, mamba) + ", " + attention + ", " + times(4, mamba)) + "]";
}

const std::string laguna = R"("model_type": "laguna", "vocab_size": 100352, "hidden_size": 2048,
  "num_hidden_layers": 40, "num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128, "sliding_window": 512,
  "intermediate_size": 8192, "num_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 512,
  "shared_expert_intermediate_size": 512, "gating": "per-head", "layer_types": [)" +
                           times(10, full + ", " + times(3, sliding)) +
                           R"(], "num_attention_heads_per_layer": [)" + times(10, "48, 64, 64, 64") + "]";

const std::string ernie = R"("model_type": "ernie4_5_moe", "vocab_size": 103424, "hidden_size": 8192,
  "num_hidden_layers": 54, "num_attention_heads": 64, "num_key_value_heads": 8, "intermediate_size": 28672,
  "moe_num_experts": 64, "moe_k": 8, "moe_intermediate_size": 3584, "moe_layer_start_index": 3,
  "moe_layer_end_index": 53, "moe_layer_interval": 1, "moe_use_aux_free": true, "tie_word_embeddings": false)";

const std::string hunyuan = R"("model_type": "hunyuan_v1_moe", "vocab_size": 128167, "hidden_size": 4096,
  "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "attention_head_dim": 128,
  "intermediate_size": 3072, "num_experts": 64, "use_qk_norm": true, "use_cla": false, "cla_share_factor": 2,
  "moe_topk": [)" + times(32, "8") +
                            R"(], "num_shared_expert": [)" + times(32, "1") + "]";

const std::string dbrx = R"("model_type": "dbrx", "vocab_size": 100352, "d_model": 6144, "n_layers": 40,
  "n_heads": 48, "max_seq_len": 32768, "attn_config": {"kv_n_heads": 8, "clip_qkv": 8, "rope_theta": 500000, "dtype": "bfloat16"},
  "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4, "moe_loss_weight": 0.05})";

const std::string jamba = R"("model_type": "jamba", "vocab_size": 65536, "hidden_size": 4096,
  "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
  "num_experts": 16, "num_experts_per_tok": 2, "attn_layer_period": 8, "attn_layer_offset": 4,
  "expert_layer_period": 2, "expert_layer_offset": 1, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2,
  "mamba_dt_rank": 256, "mamba_conv_bias": true, "mamba_proj_bias": false, "use_mamba_kernels": true,
  "num_logits_to_keep": 1, "sliding_window": null)";

std::string lfm2() {
  std::string kinds;
  for (int i = 0; i < 24; ++i) {
    const bool attends = i == 2 || i == 6 || i == 10 || i == 14 || i == 18 || i == 21;
    kinds += std::string(i == 0 ? "" : ", ") + (attends ? R"("full_attention")" : R"("conv")");
  }
  return R"("model_type": "lfm2_moe", "vocab_size": 65536, "hidden_size": 2048, "num_hidden_layers": 24,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 7168, "num_experts": 32,
    "num_experts_per_tok": 4, "moe_intermediate_size": 1792, "num_dense_layers": 2, "conv_L_cache": 3,
    "conv_bias": false, "use_expert_bias": true, "tie_embedding": true, "layer_types": [)" +
         kinds + "]";
}

const std::string trinity = R"("model_type": "afmoe", "vocab_size": 200192, "hidden_size": 2048,
  "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
  "intermediate_size": 6144, "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 1024,
  "num_shared_experts": 1, "num_dense_layers": 2, "global_attn_every_n_layers": 4, "sliding_window": 2048,
  "mup_enabled": true, "route_scale": 2.826)";

const std::string smallthinker = R"("model_type": "smallthinker", "vocab_size": 151936, "hidden_size": 2560,
  "num_hidden_layers": 52, "num_attention_heads": 28, "num_key_value_heads": 4, "head_dim": 128,
  "tie_word_embeddings": true, "moe_num_primary_experts": 64, "moe_num_active_primary_experts": 6, "moe_ffn_hidden_size": 768,
  "sliding_window_size": 4096, "sliding_window_layout": [)" +
                                 times(13, "0, 1, 1, 1") + R"(], "moe_layer_layout": [)" + times(52, "1") +
                                 "]";

struct HybridRow {
  const char* name;
  std::string config;
  double total, active;  ///< as published
  double unit;           ///< the authors round to this; 0: the digits stand
  int tables_left_out;   ///< vocabulary tables that the authors' active count leaves out
  const char* source;
};

void PrintTo(const HybridRow& row, std::ostream* out) { *out << row.name; }

class HybridFamilies : public testing::TestWithParam<HybridRow> {};

TEST_P(HybridFamilies, CountsWhatTheAuthorsPublish) {
  const HybridRow& row = GetParam();
  const ModelSpec model = parse(row.config);
  const auto total = static_cast<double>(model.parameter_count());
  EXPECT_NEAR(total, row.total, std::max(0.01 * row.total, row.unit / 2)) << row.source;
  const auto table = static_cast<double>(model.vocabulary) * model.d_model;
  const double active = static_cast<double>(model.active_parameter_count()) - row.tables_left_out * table;
  EXPECT_NEAR(active, row.active, std::max(0.03 * row.active, row.unit / 2)) << row.source;
}

INSTANTIATE_TEST_SUITE_P(
    Published, HybridFamilies,
    testing::Values(
        HybridRow{"gemma4", gemma4(), 25.2e9, 3.8e9, 0, 0, "model card of Gemma 4 26B-A4B"},
        HybridRow{"nemotron_nano", nemotron(nano), 31.6e9, 3.6e9, 0, 0,
                  "Nemotron 3 Nano report, with embeddings"},
        HybridRow{"nemotron_super", nemotron(super), 120.6e9, 12.7e9, 0, 0,
                  "Nemotron 3 Super report, with embeddings"},
        HybridRow{"mimo", mimo, 309e9, 15e9, 0, 0, "model card of MiMo-V2-Flash"},
        HybridRow{"step3p5", step3p5(), 196.81e9, 11e9, 0, 2, "model card of Step-3.5-Flash"},
        HybridRow{"step3", step3, 316e9, 38e9, 0, 0, "Step-3 report: language model, of 321B"},
        HybridRow{"granite4", granite4_small(), 32e9, 9e9, 0, 0, "model card of Granite-4.0-H-Small"},
        HybridRow{"laguna", laguna, 33e9, 3e9, 1e9, 0, "model card of Laguna XS.2"},
        HybridRow{"ernie", ernie, 300e9, 47e9, 0, 0, "model card of ERNIE-4.5-300B-A47B"},
        HybridRow{"hunyuan", hunyuan, 80e9, 13e9, 0, 0, "model card of Hunyuan-A13B"},
        HybridRow{"jamba", jamba, 52e9, 12e9, 1e9, 0, "model card of Jamba-v0.1"},
        HybridRow{"lfm2", lfm2(), 8.3e9, 1.5e9, 0.2e9, 0, "model card of LFM2-8B-A1B"},
        HybridRow{"trinity", trinity, 26e9, 3e9, 1e9, 0, "model card of Trinity Mini"},
        HybridRow{"smallthinker", smallthinker, 21e9, 3e9, 1e9, 1, "model card of SmallThinker-21B-A3B"},
        HybridRow{"dbrx", dbrx, 132e9, 36e9, 0, 0, "model card of DBRX"}),
    [](const auto& row) { return std::string(row.param.name); });

/// Cache of a sequence of 32,768 tokens, and what a token adds, over all layers.
void expect_cache(const ModelSpec& model, std::int64_t per_token, std::int64_t at_32k) {
  EXPECT_EQ(model.kv_bytes_per_token().count, per_token);
  EXPECT_EQ(model.kv_bytes(32'768).count, at_32k);
}

// Nine full layers keep 4 heads x (192 + 128) elements of 2 bytes a token; 39 sliding ones 8 x 320, of the
// last 128 tokens.
TEST(HybridLayers, ValuesNarrowerThanKeysAndAWindow) {
  expect_cache(parse(mimo), 9 * 2560 + 39 * 5120, 9 * 2560LL * 32'768 + 39 * 5120LL * 128);
}

// 25 sliding layers keep keys and values of 8 heads x 256, of 1024 tokens; five full ones of 2 heads x 512:
// values that are the projected keys are normed apart, so both are kept.
TEST(HybridLayers, FullLayersWithHeadsOfTheirOwn) {
  const ModelSpec model = parse(gemma4());
  expect_cache(model, 25 * 8192 + 5 * 4096, 25 * 8192LL * 1024 + 5 * 4096LL * 32'768);
  EXPECT_EQ(model.left_out, std::vector<std::string>{"the vision encoder (vision_config)"});
  const Stack& decoder = model.stacks[0];
  EXPECT_EQ(decoder.mixers.size(), 2u);
  EXPECT_EQ(decoder.first_moe().shared_ffn_dim, 2112);  // the dense feed-forward beside the experts
}

// 23 Mamba-2 layers keep a state of 64 heads x 64 x 128 in fp32 and three inputs of the convolution, 4096 +
// 2 x 8 x 128 wide, in bf16; six attention layers 2 x 2 x 128 elements a token; 23 layers of experts nothing.
TEST(HybridLayers, MambaKeepsAStateNotACache) {
  const ModelSpec model = parse(nemotron(nano));
  constexpr std::int64_t mamba = 64 * 64 * 128 * 4 + 3 * (4096 + 2048) * 2;
  expect_cache(model, 6 * 1024, 23 * mamba + 6 * 1024LL * 32'768);
  const auto layers = model.profile(model.stacks[0]);
  EXPECT_EQ(layers[0].state.count, mamba);
  EXPECT_FALSE(layers[0].feed_forward);
  EXPECT_EQ(layers[1].mixer, MixerKind::none);
  EXPECT_EQ(layers[1].cached(32'768).count, 0);
  // State: decay, update and read, five operations an element; convolution: four taps.
  EXPECT_EQ(layers[0].state_flop_per_token, 5.0 * 64 * 64 * 128 + 2.0 * 4 * 6144);
}

// 28 Mamba-1 layers keep 8192 channels x 16 in fp32 and three inputs of the convolution, 8192 wide, in bf16;
// four attention layers 2 x 8 x 128 elements a token. Decay 3, update 2, read 2; four taps.
TEST(HybridLayers, MambaOneHasAStateOfEachChannel) {
  const ModelSpec model = parse(jamba);
  constexpr std::int64_t mamba = 8192 * 16 * 4 + 3 * 8192 * 2;
  expect_cache(model, 4 * 4096, 28 * mamba + 4 * 4096LL * 32'768);
  const auto layers = model.profile(model.stacks[0]);
  EXPECT_EQ(layers[0].state_flop_per_token, 7.0 * 8192 * 16 + 2.0 * 4 * 8192);
  EXPECT_EQ(layers[4].mixer, MixerKind::grouped_query);
  EXPECT_EQ(layers[0].experts, 0);
  EXPECT_EQ(layers[1].experts, 16);
}

// 18 convolutions keep two inputs, 2048 wide; six attention layers 2 x 8 x 64 elements a token.
TEST(HybridLayers, AShortConvolutionKeepsItsInputs) {
  const ModelSpec model = parse(lfm2());
  expect_cache(model, 6 * 2048, 18 * 2 * 2048 * 2 + 6 * 2048LL * 32'768);
  const auto layers = model.profile(model.stacks[0]);
  EXPECT_EQ(layers[0].mixer, MixerKind::short_convolution);
  EXPECT_EQ(layers[0].attention_flop_per_token, 2.0 * 4 * 2048 * 2048);
  EXPECT_EQ(layers[0].state_flop_per_token, 2.0 * 3 * 2048);
}

// Two matrices, no gate; with a latent of 1024 both are that wide on the outside: 2 x 1024 x 2688 parameters.
TEST(HybridLayers, ExpertsOnALatent) {
  const ModelSpec model = parse(nemotron(super));
  const Stack& decoder = model.stacks[0];
  EXPECT_EQ(model.expert_bytes(decoder).count, 2LL * 1024 * 2688 * 2);
  EXPECT_EQ(decoder.first_moe().shared_ffn_dim, 5376);
  EXPECT_EQ(model.left_out,
            std::vector<std::string>{"1 multi-token-prediction layer (num_nextn_predict_layers)"});
}

// One key-value head of 256 in 61 layers. The query goes through 2048 (with a norm) on its way to 64 x 256:
// 2048 x (7168 + 16384) + 2048; keys and values 7168 x 512; output 16384 x 7168.
TEST(HybridLayers, QueryOfLowRank) {
  const ModelSpec model = parse(step3);
  expect_cache(model, 61 * 1024, 61 * 1024LL * 32'768);
  const MixerCount count = count_mixer(model.stacks[0].mixer_of(0), 7168);
  EXPECT_EQ(count.matrices, 2048LL * (7168 + 16384) + 16384LL * 7168);
  EXPECT_EQ(count.kv_matrices, 7168LL * 512);
  EXPECT_EQ(count.others, 2048);
}

// Lists that go on over layers of multi-token prediction are cut; sliding layers have 96 query heads.
TEST(HybridLayers, ListsBeyondTheLayers) {
  const ModelSpec model = parse(step3p5());
  const Stack& decoder = model.stacks[0];
  EXPECT_EQ(decoder.layers.size(), 45u);
  EXPECT_EQ(decoder.mixer_of(44).window, 0);
  EXPECT_EQ(decoder.mixer_of(43).heads, 96);
  EXPECT_TRUE(decoder.mixer_of(43).head_gate);
  EXPECT_EQ(moe_layers(decoder).front(), 3);
  EXPECT_EQ(moe_layers(decoder).size(), 42u);
}

TEST(HybridLayers, LayersWithExpertsOfTheirOwn) {
  std::string config = hunyuan;
  config.replace(config.find("\"num_experts\": 64"), 17, "\"num_experts\": [32, " + times(31, "64") + "]");
  const ModelSpec model = parse(config);
  EXPECT_EQ(model.stacks[0].feed_forward_of(0).moe.experts, 32);
  EXPECT_EQ(model.stacks[0].feed_forward_of(1).moe.experts, 64);
}

TEST(HybridLayers, ExpertsForPicturesAreLeftOut) {
  const ModelSpec model = parse(R"("model_type": "ernie4_5_moe_vl", "vocab_size": 103424, "hidden_size": 2560,
    "num_hidden_layers": 28, "num_attention_heads": 20, "num_key_value_heads": 4, "intermediate_size": 12288,
    "moe_num_experts": [64, 32], "moe_k": 6, "moe_intermediate_size": [1536, 512], "moe_num_shared_experts": 2,
    "moe_layer_start_index": [1, 1], "moe_layer_end_index": [29, 28], "vision_config": {"depth": 32})");
  EXPECT_EQ(model.stacks[0].first_moe().ffn_dim, 1536);
  EXPECT_EQ(moe_layers(model.stacks[0]).size(), 27u);
  ASSERT_EQ(model.left_out.size(), 2u);
  EXPECT_THAT(model.left_out[1], HasSubstr("32 experts a layer that only tokens of pictures use"));
}

// The files as they are published, whole.
TEST(HybridLayers, PublishedFilesLoad) {
  PREGATE_NEEDS_SHARED_DATA();
  const std::filesystem::path configs = test::shared_data() / "configs";
  const std::pair<const char*, double> rows[] = {
      {"google--gemma-4-26B-A4B", 25.2e9},
      {"nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 31.6e9},
      {"nvidia--NVIDIA-Nemotron-3-Super-120B-A12B-FP8", 120.6e9},
      {"XiaomiMiMo--MiMo-V2-Flash", 309e9},
      {"stepfun-ai--Step-3.7-Flash", 196e9},
      {"frag-granite-3.1-3b-a800m", 3.3e9},
      {"frag-Hunyuan-A13B", 80e9},
      {"llmss-Phi-mini-MoE", 7.6e9},
      {"ome-phimoe", 41.9e9},
  };
  for (const auto& [name, total] : rows) {
    const ModelSpec model = load_model((configs / (std::string(name) + ".json")).string());
    EXPECT_NEAR(static_cast<double>(model.parameter_count()), total, 0.01 * total) << name;
  }
}

struct Refused {
  const char* name;
  std::string config, from, to, message;
};

// What costs and is not described is refused by name, not left out.
TEST(HybridLayers, WhatIsNotDescribedIsRefused) {
  const std::vector<Refused> rows = {
      {"kv sharing", gemma4(), R"("num_kv_shared_layers": 0)", R"("num_kv_shared_layers": 4)",
       "num_kv_shared_layers"},
      {"embeddings by layer", gemma4(), R"("hidden_size_per_layer_input": 0)",
       R"("hidden_size_per_layer_input": 256)", "hidden_size_per_layer_input"},
      {"shared across layers", hunyuan, R"("use_cla": false)", R"("use_cla": true)", "use_cla"},
      {"pattern", nemotron(nano), "MEMEM*", "MEMEX*", "unknown letter 'X'"},
      {"pattern's length", nemotron(nano), "MEMEM*", "MEMEM*M", "the pattern of layers has 53 entries"},
      {"state type", nemotron(nano), R"("float32")", R"("float8")", "unknown type 'float8'"},
      {"nested", dbrx, R"("clip_qkv": 8)", R"("kv_lora_rank": 512)", "attn_config.kv_lora_rank"},
      {"enumerated", step3p5(), "\"3,4,5,", "\"3,4,99,", "moe_layers_enum: names layer 99"},
      {"enumerated as text", step3p5(), "\"3,4,5,", "\"3,4-5,", "must be layer numbers between commas"},
      {"other layers", step3p5(), R"("attention_type": "sliding_attention")", R"("attention_type": "linear")",
       "unknown kind of layer 'linear'"},
      {"list", hunyuan, R"("moe_topk": [8, )", R"("moe_topk": [)", "has 31 entries for 32 layers"},
      {"heads", granite4_small(), R"("mamba_n_heads": 128)", R"("mamba_n_heads": 127)", "mamba_n_heads"},
      {"gate", laguna, R"("per-head")", R"("per-layer")", "unknown gate 'per-layer'"},
      // Left out, these are what the class has by default and not what another key says.
      {"width of heads", step3, R"("head_dim": 256, )", "", "'head_dim' is missing"},
      {"rank of queries", step3, R"("share_q_dim": 2048,)", "", "'share_q_dim' is missing"},
      {"shared experts", step3, R"(5120,
   "share_expert_dim": 5120)",
       "5120", "'share_expert_dim' is missing"},
      {"width of experts", ernie, R"("moe_intermediate_size": 3584, )", "",
       "'moe_intermediate_size' is missing"},
      {"new key", mimo, R"("sliding_window_size": 128)", R"("memory_layers": 3)", "memory_layers"},
  };
  for (const Refused& row : rows) {
    std::string config = row.config;
    const auto at = config.find(row.from);
    ASSERT_NE(at, std::string::npos) << row.name;
    config.replace(at, row.from.size(), row.to);
    EXPECT_THAT(error_of([&] { parse(config); }), HasSubstr(row.message)) << row.name;
  }
}

}  // namespace
}  // namespace pregate
