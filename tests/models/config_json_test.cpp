// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "models/catalog.hpp"
#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

/// Every number that is derived from a description, as text.
std::string derived(const ModelSpec& model) {
  std::ostringstream out;
  out.precision(17);
  out << model.family << " parameters " << model.parameter_count() << " active "
      << model.active_parameter_count() << " dense " << model.dense_bytes().count << " head "
      << model.head_bytes().count << " kv " << model.kv_bytes_per_token().count << " flop "
      << model.flop_per_token(4096) << ' ' << model.expert_format.name << ' ' << model.expert_format.compute
      << ' ' << model.dense_format.name << ' ' << model.kv_format.name << '\n';
  for (const Stack& stack : model.stacks) {
    out << stack.name << '\n';
    for (const LayerProfile& l : model.profile(stack)) {
      out << l.layer << ' ' << l.moe << ' ' << l.experts << ' ' << l.top_k << ' ' << l.attention_weights.count
          << ' ' << l.cross_kv_weights.count << ' ' << l.attention_flop_per_token << ' '
          << l.cached(4096).count << ' ' << l.cached_per_token().count << ' ' << l.cross_kv_per_token.count
          << ' ' << l.ffn_weights.count << ' ' << l.ffn_flop_per_token << ' ' << l.expert.count << ' '
          << l.expert_flop_per_token << ' ' << l.expert_gemm_columns_in << '\n';
    }
  }
  return out.str();
}

struct Row {
  const char* catalogue;
  const char* config;
};

// The files that the models' authors publish, what is of no concern here left out.
const Row rows[] = {
    {"switch-base-8", R"({"architectures":["SwitchTransformersForConditionalGeneration"],
      "model_type":"switch_transformers","d_ff":3072,"d_kv":64,"d_model":768,"dense_act_fn":"relu","dropout_rate":0.1,
      "eos_token_id":1,"expert_capacity":64,"feed_forward_proj":"relu","is_encoder_decoder":true,"is_gated_act":false,
      "num_decoder_layers":12,"num_experts":8,"num_heads":12,"num_layers":12,"num_sparse_decoder_layers":6,
      "num_sparse_encoder_layers":6,"relative_attention_max_distance":128,"relative_attention_num_buckets":32,
      "router_bias":false,"router_dtype":"float32","torch_dtype":"float32","vocab_size":32128})"},
    {"switch-large-128", R"({"model_type":"switch_transformers","d_ff":4096,"d_kv":64,"d_model":1024,
      "encoder_sparse_step":2,"decoder_sparse_step":2,"num_decoder_layers":24,"num_experts":128,"num_heads":16,
      "num_layers":24,"num_sparse_decoder_layers":12,"num_sparse_encoder_layers":12,
      "relative_attention_num_buckets":32,"tie_word_embeddings":true,"torch_dtype":"float32","vocab_size":32128})"},
    {"nllb-moe-54b", R"({"architectures":["NllbMoeForConditionalGeneration"],"model_type":"nllb-moe",
      "d_model":2048,"encoder_layers":24,"decoder_layers":24,"encoder_attention_heads":16,"decoder_attention_heads":16,
      "encoder_ffn_dim":8192,"decoder_ffn_dim":8192,"encoder_sparse_step":4,"decoder_sparse_step":4,"num_experts":128,
      "expert_capacity":64,"router_bias":false,"scale_embedding":true,"torch_dtype":"float32","vocab_size":256206})"},
    {"mixtral-8x7b", R"({"architectures":["MixtralForCausalLM"],"model_type":"mixtral","hidden_size":4096,
      "intermediate_size":14336,"num_attention_heads":32,"num_experts_per_tok":2,"num_hidden_layers":32,
      "num_key_value_heads":8,"num_local_experts":8,"rope_theta":1000000.0,"sliding_window":null,
      "tie_word_embeddings":false,"torch_dtype":"bfloat16","vocab_size":32000})"},
    {"mixtral-8x22b", R"({"model_type":"mixtral","hidden_size":6144,"intermediate_size":16384,
      "num_attention_heads":48,"num_experts_per_tok":2,"num_hidden_layers":56,"num_key_value_heads":8,
      "num_local_experts":8,"sliding_window":null,"tie_word_embeddings":false,"torch_dtype":"bfloat16",
      "vocab_size":32000})"},
    {"qwen1.5-moe-a2.7b",
     R"({"architectures":["Qwen2MoeForCausalLM"],"model_type":"qwen2_moe","hidden_size":2048,
      "intermediate_size":5632,"max_window_layers":21,"num_attention_heads":16,"num_hidden_layers":24,
      "num_key_value_heads":16,"sliding_window":32768,"tie_word_embeddings":false,"torch_dtype":"bfloat16",
      "use_sliding_window":false,"vocab_size":151936,"decoder_sparse_step":1,"moe_intermediate_size":1408,
      "shared_expert_intermediate_size":5632,"num_experts_per_tok":4,"num_experts":60,"norm_topk_prob":false})"},
    {"qwen3-30b-a3b",
     R"({"architectures":["Qwen3MoeForCausalLM"],"model_type":"qwen3_moe","attention_bias":false,
      "decoder_sparse_step":1,"head_dim":128,"hidden_size":2048,"intermediate_size":6144,"max_window_layers":48,
      "mlp_only_layers":[],"moe_intermediate_size":768,"norm_topk_prob":true,"num_attention_heads":32,
      "num_experts":128,"num_experts_per_tok":8,"num_hidden_layers":48,"num_key_value_heads":4,"sliding_window":null,
      "tie_word_embeddings":false,"torch_dtype":"bfloat16","use_sliding_window":false,"vocab_size":151936})"},
    {"qwen3-235b-a22b",
     R"({"model_type":"qwen3_moe","decoder_sparse_step":1,"head_dim":128,"hidden_size":4096,
      "intermediate_size":12288,"mlp_only_layers":[],"moe_intermediate_size":1536,"num_attention_heads":64,
      "num_experts":128,"num_experts_per_tok":8,"num_hidden_layers":94,"num_key_value_heads":4,
      "tie_word_embeddings":false,"dtype":"bfloat16","vocab_size":151936})"},
    {"deepseek-v2-lite", R"({"architectures":["DeepseekV2ForCausalLM"],"model_type":"deepseek_v2",
      "first_k_dense_replace":1,"hidden_size":2048,"intermediate_size":10944,"kv_lora_rank":512,
      "moe_intermediate_size":1408,"moe_layer_freq":1,"n_routed_experts":64,"n_shared_experts":2,
      "num_attention_heads":16,"num_experts_per_tok":6,"num_hidden_layers":27,"num_key_value_heads":16,
      "q_lora_rank":null,"qk_nope_head_dim":128,"qk_rope_head_dim":64,"tie_word_embeddings":false,
      "topk_method":"greedy","torch_dtype":"bfloat16","v_head_dim":128,"vocab_size":102400})"},
    {"deepseek-v3", R"({"architectures":["DeepseekV3ForCausalLM"],"model_type":"deepseek_v3",
      "first_k_dense_replace":3,"hidden_size":7168,"intermediate_size":18432,"kv_lora_rank":512,
      "moe_intermediate_size":2048,"moe_layer_freq":1,"n_group":8,"n_routed_experts":256,"n_shared_experts":1,
      "num_attention_heads":128,"num_experts_per_tok":8,"num_hidden_layers":61,"num_key_value_heads":128,
      "num_nextn_predict_layers":1,"q_lora_rank":1536,"qk_nope_head_dim":128,"qk_rope_head_dim":64,
      "quantization_config":{"activation_scheme":"dynamic","fmt":"e4m3","quant_method":"fp8",
      "weight_block_size":[128,128]},"tie_word_embeddings":false,"topk_method":"noaux_tc","torch_dtype":"bfloat16",
      "v_head_dim":128,"vocab_size":129280})"},
    {"olmoe-1b-7b", R"({"architectures":["OlmoeForCausalLM"],"model_type":"olmoe","attention_bias":false,
      "clip_qkv":null,"hidden_size":2048,"intermediate_size":1024,"num_attention_heads":16,"num_experts":64,
      "num_experts_per_tok":8,"num_hidden_layers":16,"num_key_value_heads":16,"tie_word_embeddings":false,
      "torch_dtype":"bfloat16","vocab_size":50304})"},
    {"phi-3.5-moe", R"({"architectures":["PhiMoEForCausalLM"],"model_type":"phimoe","attention_bias":true,
      "hidden_size":4096,"intermediate_size":6400,"lm_head_bias":true,"num_attention_heads":32,
      "num_experts_per_tok":2,"num_hidden_layers":32,"num_key_value_heads":8,"num_local_experts":16,
      "sliding_window":131072,"tie_word_embeddings":false,"torch_dtype":"bfloat16","vocab_size":32064})"},
    {"gpt-oss-20b", R"({"architectures":["GptOssForCausalLM"],"model_type":"gpt_oss","attention_bias":true,
      "experts_per_token":4,"head_dim":64,"hidden_size":2880,"intermediate_size":2880,
      "layer_types":["sliding_attention","full_attention","sliding_attention","full_attention","sliding_attention",
      "full_attention","sliding_attention","full_attention","sliding_attention","full_attention","sliding_attention",
      "full_attention","sliding_attention","full_attention","sliding_attention","full_attention","sliding_attention",
      "full_attention","sliding_attention","full_attention","sliding_attention","full_attention","sliding_attention",
      "full_attention"],"num_attention_heads":64,"num_experts_per_tok":4,"num_hidden_layers":24,
      "num_key_value_heads":8,"num_local_experts":32,"quantization_config":{"modules_to_not_convert":
      ["model.layers.*.self_attn","model.layers.*.mlp.router","model.embed_tokens","lm_head"],"quant_method":"mxfp4"},
      "sliding_window":128,"tie_word_embeddings":false,"torch_dtype":"bfloat16","vocab_size":201088})"},
    {"gpt-oss-120b", R"({"model_type":"gpt_oss","attention_bias":true,"head_dim":64,"hidden_size":2880,
      "intermediate_size":2880,"num_attention_heads":64,"num_experts_per_tok":4,"num_hidden_layers":36,
      "num_key_value_heads":8,"num_local_experts":128,"quantization_config":{"quant_method":"mxfp4"},
      "sliding_window":128,"tie_word_embeddings":false,"torch_dtype":"bfloat16","vocab_size":201088})"},
};

std::string config_of(const std::string& catalogue) {
  for (const Row& row : rows) {
    if (row.catalogue == catalogue) return row.config;
  }
  ADD_FAILURE() << catalogue;
  return {};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// The classes of transformers have defaults of their own, 8 heads of keys in Mixtral's: without the field a
// file does not say how large its cache is, and as many as there are query heads would be four times that.
TEST(ConfigJson, HeadsOfKeysAreSaid) {
  const std::string mixtral = config_of("mixtral-8x7b");
  const auto with = [&](const std::string& value) {
    return replaced(mixtral, "\"num_key_value_heads\":8,", value);
  };
  EXPECT_THAT(error_of([&] { parse_model_config_json(with(""), "config.json"); }),
              HasSubstr("'num_key_value_heads' is missing"));
  const ModelSpec null = parse_model_config_json(with("\"num_key_value_heads\":null,"), "config.json");
  EXPECT_EQ(null.stacks[0].mixers[0].kv_heads, 32);
  const std::string no_width = replaced(config_of("gpt-oss-20b"), "\"head_dim\":64,", "");
  EXPECT_THAT(error_of([&] { parse_model_config_json(no_width, "config.json"); }), HasSubstr("head_dim"));
  const std::string no_rope = replaced(config_of("deepseek-v2-lite"), "\"qk_rope_head_dim\":64,", "");
  EXPECT_THAT(error_of([&] { parse_model_config_json(no_rope, "config.json"); }),
              HasSubstr("qk_rope_head_dim"));
}

TEST(ConfigJson, DerivesWhatTheCatalogueDerives) {
  for (const Row& row : rows) {
    EXPECT_EQ(derived(parse_model_config_json(row.config, "config.json")), derived(load_model(row.catalogue)))
        << row.catalogue;
  }
}

TEST(ConfigJson, WeightFormatsAreOptions) {
  const ModelSpec model = parse_model_config_json(config_of("qwen3-30b-a3b"), "config.json",
                                                  {.weights = "q4_k", .dense_weights = "q8_0"});
  EXPECT_EQ(model.expert_format.name, "q4_k");
  EXPECT_EQ(model.dense_format.name, "q8_0");
  EXPECT_EQ(model.kv_format.name, "bf16");
  const ModelSpec v3 = parse_model_config_json(config_of("deepseek-v3"), "config.json",
                                               {.weights = "int4", .dense_weights = ""});
  EXPECT_EQ(v3.expert_format.name, "int4");

  const std::string without = replaced(config_of("mixtral-8x7b"), R"("torch_dtype":"bfloat16",)", "");
  EXPECT_THAT(error_of([&] { parse_model_config_json(without, "config.json"); }),
              AllOf(HasSubstr("torch_dtype"), HasSubstr("--weights")));
  // --weights is about the routed experts alone.
  EXPECT_THAT(error_of([&] {
                parse_model_config_json(without, "config.json", {.weights = "int4", .dense_weights = ""});
              }),
              HasSubstr("--dense-weights bf16"));
  const ModelSpec chosen =
      parse_model_config_json(without, "config.json", {.weights = "int4", .dense_weights = "bf16"});
  EXPECT_EQ(chosen.expert_format.name, "int4");
  EXPECT_EQ(chosen.dense_format.name, "bf16");
  EXPECT_EQ(chosen.kv_format.name, "bf16");
}

TEST(ConfigJson, QwenLayersThatAreDense) {
  const ModelSpec model = parse_model_config_json(
      replaced(config_of("qwen3-30b-a3b"), R"("mlp_only_layers":[])", R"("mlp_only_layers":[0,47])"),
      "config.json");
  const auto layers = model.profile(model.stacks[0]);
  EXPECT_FALSE(layers[0].moe);
  EXPECT_TRUE(layers[1].moe);
  EXPECT_FALSE(layers[47].moe);
  EXPECT_EQ(layers[0].ffn_weights.count, (3 * 2048 * 6144 + 2048) * 2);
}

TEST(ConfigJson, WhatIsMissingIsNamed) {
  const auto refused = [](const std::string& text) {
    return error_of([&] { parse_model_config_json(text, "config.json"); });
  };
  EXPECT_THAT(refused("{}"),
              AllOf(HasSubstr("config.json"), HasSubstr("'model_type' is missing"), HasSubstr("mixtral")));
  EXPECT_THAT(refused(R"({"model_type":"llama","hidden_size":4096})"),
              AllOf(HasSubstr("'llama' is not a family"), HasSubstr("docs/models.md")));
  // Read as a sibling, a model would lose what only its own family's reader knows: none is proposed.
  EXPECT_THAT(refused(R"({"model_type":"qwen3_moes"})"), Not(HasSubstr("qwen3_moe'?")));
  EXPECT_THAT(refused(replaced(config_of("mixtral-8x7b"), R"("num_local_experts":8,)", "")),
              HasSubstr("the key 'num_local_experts' is missing"));
  EXPECT_THAT(refused(replaced(config_of("gpt-oss-120b"), R"("sliding_window":128,)", "")),
              HasSubstr("the key 'sliding_window' is missing"));
  EXPECT_THAT(
      refused(replaced(config_of("gpt-oss-20b"), R"("quant_method":"mxfp4")", R"("quant_method":"hqq")")),
      AllOf(HasSubstr("unknown quant_method 'hqq'"), HasSubstr("--weights")));
  EXPECT_THAT(refused(replaced(config_of("qwen1.5-moe-a2.7b"), R"("use_sliding_window":false)",
                               R"("use_sliding_window":true)")),
              HasSubstr("not described"));
}

TEST(ConfigJson, HostileTextIsRefused) {
  const auto refused = [](const std::string& text) {
    return error_of([&] { parse_model_config_json(text, "config.json"); });
  };
  EXPECT_THAT(refused(""), HasSubstr("config.json: not valid JSON"));
  EXPECT_THAT(refused("[1,2"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refused("[1,2]"), HasSubstr("not a table"));
  EXPECT_THAT(refused("\xff\xfe{}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refused(R"({"model_type":3})"), HasSubstr("model_type: must be text"));
  const std::string mixtral = config_of("mixtral-8x7b");
  const auto with_experts = [&](const char* value) {
    return refused(
        replaced(mixtral, R"("num_local_experts":8)", std::string(R"("num_local_experts":)") + value));
  };
  EXPECT_THAT(with_experts("-8"), HasSubstr("out of range"));
  EXPECT_THAT(with_experts("0"), HasSubstr("out of range"));
  EXPECT_THAT(with_experts("1e999"), HasSubstr("not valid JSON"));
  EXPECT_THAT(with_experts("NaN"), HasSubstr("must be a whole number"));
  EXPECT_THAT(with_experts("-Infinity"), HasSubstr("must be a whole number"));
  EXPECT_THAT(with_experts("18446744073709551615"), HasSubstr("must be a whole number"));
  EXPECT_THAT(with_experts("\"8\""), HasSubstr("must be a whole number"));
  EXPECT_THAT(with_experts("1"), HasSubstr("decoder.moe.top_k is 2"));
  EXPECT_THAT(refused(replaced(config_of("gpt-oss-20b"), R"(["sliding_attention",)", "[3,")),
              HasSubstr("layer_types"));
  EXPECT_THAT(
      refused(replaced(config_of("qwen3-30b-a3b"), R"("mlp_only_layers":[])", R"("mlp_only_layers":["a"])")),
      HasSubstr("mlp_only_layers"));
  // Truncated at every byte: never a model, never another exception.
  for (std::size_t length = 0; length < mixtral.size(); ++length) refused(mixtral.substr(0, length));
}

// A wrapper of a multimodal model: the language model is read, what stands before it is said to be left out.
TEST(ConfigJson, WrappersAreOpened) {
  const std::string inner = config_of("qwen3-30b-a3b");
  const std::string wrapped =
      R"({"model_type":"qwen3_vl_moe","vision_config":{"depth":27,"hidden_size":1152},)"
      R"("tie_word_embeddings":false,"image_token_id":7,"use_unified_chunks":true,)"
      R"("text_config":)" +
      inner + "}";
  const ModelSpec model = parse_model_config_json(wrapped, "config.json");
  EXPECT_EQ(derived(model), derived(parse_model_config_json(inner, "config.json")));
  ASSERT_EQ(model.left_out.size(), 1U);
  EXPECT_THAT(model.left_out[0], HasSubstr("vision encoder"));
}

// A key that may cost refuses the file, unless it is switched off or known to be free.
TEST(ConfigJson, NothingThatMayCostIsIgnored) {
  const auto text = [](const std::string& member) {
    return replaced(config_of("qwen3-30b-a3b"), R"("hidden_size")", member + R"(,"hidden_size")");
  };
  const auto with = [&](const std::string& member) {
    return error_of([&] { parse_model_config_json(text(member), "config.json"); });
  };
  const auto loads = [&](const std::string& member) {
    EXPECT_NO_THROW(parse_model_config_json(text(member), "config.json")) << member;
  };
  EXPECT_THAT(with(R"("full_attention_interval":4)"), HasSubstr("full_attention_interval"));
  EXPECT_THAT(with(R"("shared_expert_intermediate_size":512)"), HasSubstr("shared_expert_intermediate_size"));
  loads(R"("shared_expert_intermediate_size":0)");
  loads(R"("some_new_feature":false)");
  loads(R"("rope_scaling":{"type":"yarn"})");
  // Python writes what JSON does not know; where it does not matter it may stand.
  loads(R"("time_step_limit":[0.0,Infinity,-Infinity,NaN])");
  EXPECT_THAT(with(R"("decoder_layers":Infinity)"), HasSubstr("decoder_layers"));
}

}  // namespace
}  // namespace pregate
