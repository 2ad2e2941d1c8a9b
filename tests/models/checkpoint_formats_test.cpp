// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/formats/checkpoint_formats.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::HasSubstr;

CheckpointFormats read(const std::string& text, const std::string& beside = {}) {
  const Node root = parse_json_document(text, "config.json");
  if (beside.empty()) return read_checkpoint_formats(root, nullptr);
  const Node other = parse_json_document(beside, "hf_quant_config.json");
  return read_checkpoint_formats(root, &other);
}

std::string of(const CheckpointFormats& formats, const std::string& module) {
  const std::string names[] = {module};
  return formats.of(names).name;
}

TEST(CheckpointFormats, BlockScaledFp8LeavesOutWhatItNames) {
  const CheckpointFormats formats =
      read(R"({"torch_dtype":"bfloat16","quantization_config":{"quant_method":"fp8",
      "weight_block_size":[128,128],"modules_to_not_convert":["lm_head","model.layers.0.mlp.gate","layers.2.self_attn",
      "e_score_correction_bias"]}})");
  EXPECT_EQ(of(formats, "layers.0.mlp.gate"), "bf16");
  EXPECT_EQ(of(formats, "layers.0.mlp.gate_proj"), "fp8_block128");
  EXPECT_EQ(of(formats, "layers.1.mlp.gate"), "fp8_block128");
  EXPECT_EQ(of(formats, "layers.2.self_attn.q_proj"), "bf16");
  EXPECT_EQ(of(formats, "layers.20.self_attn.q_proj"), "fp8_block128");
  EXPECT_TRUE(formats.notes.empty());
}

// Kimi-K2.5: only the routed experts are 4-bit, by expressions; 4 + 16 / 32 bits.
TEST(CheckpointFormats, CompressedTensorsByExpressions) {
  const CheckpointFormats formats = read(R"({"text_config":{"dtype":"bfloat16","quantization_config":{
      "quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{"group_0":{"targets":["Linear"],
      "weights":{"num_bits":4,"type":"int","group_size":32,"strategy":"group","symmetric":true}}},
      "ignore":["lm_head","re:.*self_attn.*","re:.*shared_experts.*","re:.*mlp\\.(gate|up|gate_up|down)_proj.*"],
      "kv_cache_scheme":{"num_bits":8,"type":"float"}}}})");
  EXPECT_EQ(of(formats, "layers.3.mlp.experts.0.gate_proj"), "int4");
  EXPECT_DOUBLE_EQ(formats.schemes[0].format.bits_per_parameter, 4.5);
  EXPECT_EQ(of(formats, "layers.3.self_attn.o_proj"), "bf16");
  EXPECT_EQ(of(formats, "layers.3.mlp.shared_experts.up_proj"), "bf16");
  EXPECT_EQ(of(formats, "layers.0.mlp.gate_proj"), "bf16");
  EXPECT_EQ(formats.kv.name, "fp8");
}

TEST(CheckpointFormats, NvFp4FromTheFileBesideTheConfig) {
  const CheckpointFormats formats = read(R"({"torch_dtype":"bfloat16"})", R"({"producer":{"name":"modelopt"},
      "quantization":{"quant_algo":"NVFP4","kv_cache_quant_algo":"FP8","group_size":16,
      "exclude_modules":["lm_head","model.layers.*.mlp.gate","*self_attn.q_a*"]}})");
  EXPECT_EQ(of(formats, "layers.3.mlp.experts.0.up_proj"), "nvfp4");
  EXPECT_EQ(of(formats, "layers.11.mlp.gate"), "bf16");
  EXPECT_EQ(of(formats, "layers.3.self_attn.q_a_proj"), "bf16");
  EXPECT_EQ(of(formats, "layers.3.self_attn.o_proj"), "nvfp4");
  EXPECT_EQ(formats.kv.name, "fp8");
  const CheckpointFormats mixed =
      read(R"({"dtype":"bfloat16"})", R"({"quantization":{"quant_algo":"MIXED_PRECISION",
      "quantized_layers":{"model.layers.1.mlp.experts":{"quant_algo":"NVFP4"},"model.layers.1.self_attn.o_proj":
      {"quant_algo":"FP8"}}}})");
  EXPECT_EQ(of(mixed, "layers.1.mlp.experts.0.up_proj"), "nvfp4");
  EXPECT_EQ(of(mixed, "layers.1.self_attn.o_proj"), "fp8");
  EXPECT_EQ(of(mixed, "layers.2.self_attn.o_proj"), "bf16");
}

// Optimum's GPTQ may quantise some modules of a layer alone; the experts that it leaves out are not 4-bit.
TEST(CheckpointFormats, GptqOfSomeModulesOfALayer) {
  const CheckpointFormats attention = read(R"({"torch_dtype":"bfloat16","quantization_config":{
      "quant_method":"gptq","bits":4,"group_size":128,
      "modules_in_block_to_quantize":[["self_attn.k_proj","self_attn.q_proj"],["self_attn.o_proj"]]}})");
  EXPECT_EQ(of(attention, "layers.3.self_attn.q_proj"), "gptq");
  EXPECT_EQ(of(attention, "layers.3.self_attn.v_proj"), "bf16");
  EXPECT_EQ(of(attention, "layers.3.block_sparse_moe.experts.0.w1"), "bf16");
  const CheckpointFormats experts = read(R"({"torch_dtype":"bfloat16","quantization_config":{
      "quant_method":"gptq","bits":4,"group_size":128,
      "modules_in_block_to_quantize":["block_sparse_moe.experts.0.w1","block_sparse_moe.experts.1.w1"]}})");
  EXPECT_EQ(of(experts, "layers.3.block_sparse_moe.experts.0.w1"), "gptq");
  EXPECT_EQ(of(experts, "layers.3.self_attn.q_proj"), "bf16");
  for (const char* none : {"null", "[]"}) {
    const CheckpointFormats all = read(R"({"torch_dtype":"bfloat16","quantization_config":{"quant_method":
        "gptq","bits":4,"group_size":128,"modules_in_block_to_quantize":)" +
                                       std::string(none) + "}}");
    EXPECT_EQ(of(all, "layers.3.block_sparse_moe.experts.0.w1"), "gptq");
  }
  EXPECT_THAT(error_of([] {
                read(R"({"torch_dtype":"bfloat16","quantization_config":{"quant_method":"gptq","bits":4,
                    "modules_in_block_to_quantize":[[3]]}})");
              }),
              HasSubstr("lists of modules"));
}

// Files for vLLM list parts of names that begin or end with a dot: the first layer, and no tenth.
TEST(CheckpointFormats, PartsOfNamesMayEndWithADot) {
  const CheckpointFormats formats =
      read(R"({"torch_dtype":"bfloat16","quantization_config":{"quant_method":"awq",
      "bits":4,"group_size":128,"modules_to_not_convert":["model.layers.1.",".shared_expert."]}})");
  EXPECT_EQ(of(formats, "layers.1.mlp.experts.0.up_proj"), "bf16");
  EXPECT_EQ(of(formats, "layers.10.mlp.experts.0.up_proj"), "awq");
  EXPECT_EQ(of(formats, "layers.2.mlp.shared_expert.up_proj"), "bf16");
  EXPECT_THAT(error_of([] {
                ModulePatterns patterns;
                patterns.add(".", "here");
              }),
              HasSubstr("without a name"));
}

TEST(CheckpointFormats, EveryOtherMethodSaysItsBits) {
  const auto bits = [](const std::string& config) {
    const CheckpointFormats formats =
        read(R"({"torch_dtype":"float16","quantization_config":)" + config + "}");
    return formats.schemes.at(0).format.bits_per_parameter;
  };
  EXPECT_DOUBLE_EQ(bits(R"({"quant_method":"awq","bits":4,"group_size":128,"zero_point":true})"),
                   4 + 20.0 / 128);
  EXPECT_DOUBLE_EQ(bits(R"({"quant_method":"gptq","bits":4,"group_size":128,"sym":true})"), 4 + 20.0 / 128);
  EXPECT_DOUBLE_EQ(bits(R"({"quant_method":"gptq","bits":8,"group_size":-1})"), 8);
  EXPECT_DOUBLE_EQ(bits(R"({"quant_method":"auto-round","bits":4,"group_size":64})"), 4 + 20.0 / 64);
  EXPECT_DOUBLE_EQ(bits(R"({"quant_method":"bitsandbytes","load_in_4bit":true})"), 4.5);
  EXPECT_DOUBLE_EQ(bits(R"({"quant_method":"modelopt","quant_algo":"FP8"})"), 8);
  EXPECT_DOUBLE_EQ(
      bits(R"({"quant_method":"quark","global_quant_config":{"weight":{"dtype":"fp4","group_size":32}}})"),
      4.25);
  // The experts alone, and nothing else of the file is known: gpt-oss is bf16 then.
  const CheckpointFormats gpt_oss = read(R"({"quantization_config":{"quant_method":"mxfp4"}})");
  EXPECT_EQ(gpt_oss.experts->name, "mxfp4");
  EXPECT_EQ(gpt_oss.wide->name, "bf16");
  EXPECT_EQ(gpt_oss.notes.size(), 1U);
  EXPECT_EQ(of(gpt_oss, "layers.0.self_attn.q_proj"), "bf16");
  EXPECT_FALSE(read("{}").wide);
}

TEST(CheckpointFormats, WhatIsNotKnownIsRefusedByName) {
  const auto refused = [](const std::string& config) {
    return error_of([&] { read(R"({"torch_dtype":"float16","quantization_config":)" + config + "}"); });
  };
  EXPECT_THAT(refused(R"({"quant_method":"hqq"})"), HasSubstr("unknown quant_method 'hqq'"));
  EXPECT_THAT(refused(R"({"quant_method":"fp8","weight_block_size":[128]})"), HasSubstr("two sizes"));
  EXPECT_THAT(refused(R"({"quant_method":"awq","bits":40})"), HasSubstr("bits"));
  EXPECT_THAT(refused(R"({"quant_method":"modelopt","quant_algo":"FP3"})"), HasSubstr("'FP3'"));
  EXPECT_THAT(refused(R"({"quant_method":"fp8","modules_to_not_convert":[3]})"),
              HasSubstr("list of modules"));
  EXPECT_THAT(refused(R"({"quant_method":"fp8","modules_to_not_convert":["re:(?!a)b"]})"),
              HasSubstr("looks ahead"));
  EXPECT_THAT(error_of([] { read(R"({"torch_dtype":"int3"})"); }), HasSubstr("'int3'"));
  EXPECT_THAT(error_of([] { read("{}", "{}"); }), HasSubstr("quantization"));
}

// The classic bomb of backtracking matchers takes no time.
TEST(CheckpointFormats, AnExpressionCannotStallTheReader) {
  std::string bomb = "re:";
  for (int i = 0; i < 30; ++i) bomb += "(a*)*";
  ModulePatterns patterns;
  patterns.add(bomb + "Z", "x");
  EXPECT_FALSE(patterns.matches("layers.0." + std::string(400, 'a')));
  EXPECT_THAT(error_of([&] { patterns.add("re:" + std::string(600, '('), "x"); }), HasSubstr("512"));
  EXPECT_THAT(error_of([&] { patterns.add("re:" + std::string(500, '('), "x"); }),
              HasSubstr("nested too deeply"));
  EXPECT_THAT(error_of([&] { patterns.add("re:a{2}", "x"); }), HasSubstr("'{'"));
  std::int64_t steps = 0;
  EXPECT_TRUE(
      NameRegex("^model\\.layers\\.[0-2]\\..*(q|k)_proj$", "x").matches("model.layers.1.attn.k_proj", steps));
  EXPECT_FALSE(NameRegex("model\\.layers\\.[^0-2]\\.", "x").matches("model.layers.1.attn", steps));
  EXPECT_TRUE(NameRegex("a|", "x").matches("b", steps));
}

}  // namespace
}  // namespace pregate
