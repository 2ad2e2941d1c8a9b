// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/files/checkpoint_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/catalog.hpp"
#include "tests/models/error_of.hpp"
#include "tests/runtime/safetensors_writer.hpp"
#include "tests/runtime/scratch_folder.hpp"

namespace pregate {
namespace {

using test::error_of;
using test::WrittenTensor;
using testing::HasSubstr;

/// Two layers of Qwen3-MoE, 8 wide, with two experts 4 wide, 2 heads of 4.
constexpr const char* config =
    R"({"model_type":"qwen3_moe","hidden_size":8,"num_hidden_layers":2,"vocab_size":16,
    "num_attention_heads":2,"num_key_value_heads":1,"head_dim":4,"num_experts":2,"num_experts_per_tok":1,
    "moe_intermediate_size":4,"intermediate_size":16,"torch_dtype":"bfloat16"})";

WrittenTensor tensor(const std::string& name, std::int64_t bytes) {
  return {name, "U8", {bytes}, std::string(static_cast<std::size_t>(bytes), '\0')};
}

std::vector<WrittenTensor> layer(int i, std::int64_t expert_bytes) {
  const std::string at = "model.layers." + std::to_string(i) + ".";
  std::vector<WrittenTensor> all{
      tensor(at + "self_attn.q_proj.weight", 64), tensor(at + "input_layernorm.weight", 16),
      tensor(at + "post_attention_layernorm.weight", 16), tensor(at + "mlp.gate.weight", 32)};
  for (int expert = 0; expert < 2; ++expert) {
    const std::string of = at + "mlp.experts." + std::to_string(expert) + ".";
    all.push_back(tensor(of + "gate_proj.weight", expert_bytes));
    all.push_back(tensor(of + "gate_proj.weight_scale", 8));
  }
  return all;
}

class CheckpointFolderTest : public testing::Test {
 protected:
  CheckpointFolderTest() {
    std::filesystem::create_directories(folder_.path("m"));
    write("config.json", config);
    std::vector<WrittenTensor> first = layer(0, 40), second = layer(1, 50);
    first.push_back(tensor("model.embed_tokens.weight", 256));
    second.push_back(tensor("lm_head.weight", 300));
    second.push_back(tensor("model.layers.2.eh_proj.weight", 1000));
    second.push_back(tensor("model.visual.patch_embed.weight", 77));
    write("model-00001-of-00002.safetensors", test::safetensors_file(first));
    write("model-00002-of-00002.safetensors", test::safetensors_file(second));
    std::string map;
    for (const WrittenTensor& one : first)
      map += "\"" + one.name + "\":\"model-00001-of-00002.safetensors\",";
    for (const WrittenTensor& one : second)
      map += "\"" + one.name + "\":\"model-00002-of-00002.safetensors\",";
    map.pop_back();
    index_ = R"({"metadata":{"total_size":1},"weight_map":{)" + map + "}}";
  }
  void write(const std::string& name, const std::string& text) { folder_.write("m/" + name, text); }
  [[nodiscard]] std::string path() const { return folder_.path("m"); }

  test::ScratchFolder folder_;
  std::string index_;
};

// Expert: 40 + 8 bytes in layer 0, 50 + 8 in layer 1. Mixer 64 + 16, router and norm 32 + 16.
TEST_F(CheckpointFolderTest, BytesAreThoseOfTheHeaders) {
  for (const bool indexed : {false, true}) {
    if (indexed) write("model.safetensors.index.json", index_);
    const ModelSpec model = load_model(path());
    const std::vector<LayerProfile> layers = model.profile(model.stacks[0]);
    EXPECT_EQ(layers[0].expert.count, 48);
    EXPECT_EQ(layers[1].expert.count, 58);
    EXPECT_EQ(layers[0].attention_weights.count, 80);
    EXPECT_EQ(layers[0].ffn_weights.count, 48);
    EXPECT_EQ(model.head_bytes().count, 300);
    EXPECT_THAT(model.left_out,
                testing::UnorderedElementsAre(HasSubstr("images"), HasSubstr("multi-token prediction")));
  }
  // Without weights the config's formats hold: 3 x 8 x 4 in bf16.
  for (const char* name : {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                           "model.safetensors.index.json"})
    std::filesystem::remove(path() + "/" + name);
  const ModelSpec model = load_model(path());
  EXPECT_EQ(model.expert_bytes(model.stacks[0]).count, 192);
}

TEST_F(CheckpointFolderTest, WhatIsMissingOrForeignIsNamed) {
  const auto refused = [&] { return error_of([&] { load_model(path()); }); };
  std::filesystem::remove(path() + "/model-00002-of-00002.safetensors");
  EXPECT_THAT(refused(), HasSubstr("1 of 2 .safetensors files"));
  write("model.safetensors.index.json", index_);
  EXPECT_THAT(refused(), HasSubstr("lacks model-00002-of-00002.safetensors"));
  write("model-00002-of-00002.safetensors", test::safetensors_file(layer(1, 50)));
  EXPECT_THAT(refused(), HasSubstr("tensors, not the"));
  write("model.safetensors.index.json", R"({"weight_map":{"a":"../../etc/x.safetensors"}})");
  EXPECT_THAT(refused(), HasSubstr("no .safetensors file of this folder"));
  write("model.safetensors.index.json", R"({"weight_map":{"a":["b"]}})");
  EXPECT_THAT(refused(), HasSubstr("weight_map"));
  write("model.safetensors.index.json", "{\"weight_map\":");
  EXPECT_THAT(refused(), HasSubstr("is not JSON"));
  std::filesystem::remove(path() + "/model.safetensors.index.json");
  // Layer 1 without experts.
  std::vector<WrittenTensor> broken = layer(1, 50);
  broken.resize(4);
  write("model-00002-of-00002.safetensors", test::safetensors_file(broken));
  EXPECT_THAT(refused(), HasSubstr("layer 1 are not those of 2 experts"));
  std::filesystem::remove(path() + "/config.json");
  EXPECT_THAT(refused(), HasSubstr("without a config.json"));
}

TEST_F(CheckpointFolderTest, TheFileBesideTheConfigSaysTheFormats) {
  for (const char* name : {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"})
    std::filesystem::remove(path() + "/" + name);
  write("hf_quant_config.json",
        R"({"quantization":{"quant_algo":"NVFP4","kv_cache_quant_algo":"FP8","exclude_modules":
      ["lm_head","model.layers.0.self_attn*"]}})");
  for (const std::string& named : {path(), path() + "/config.json"}) {
    const ModelSpec model = load_model(named);
    EXPECT_EQ(model.expert_format.name, "nvfp4");
    EXPECT_EQ(model.kv_format.name, "fp8");
    EXPECT_EQ(model.formats_of(model.stacks[0].layers[0]).attention.name, "bf16");
    EXPECT_EQ(model.formats_of(model.stacks[0].layers[1]).attention.name, "nvfp4");
    EXPECT_EQ(model.formats_of(model.stacks[0].layers[1]).router.name, "bf16");
    EXPECT_EQ(model.head_format.name, "bf16");
    EXPECT_EQ(model.expert_bytes(model.stacks[0]).count, 54);  // 3 x 8 x 4 x 4.5 / 8
  }
  // Attention is left out everywhere: the rest goes by the wide format, the experts do not.
  write("hf_quant_config.json", R"({"quantization":{"quant_algo":"FP8","exclude_modules":["*self_attn*"]}})");
  const ModelSpec wide = load_model(path());
  EXPECT_EQ(wide.expert_format.name, "fp8");
  EXPECT_EQ(wide.dense_format.name, "bf16");
}

}  // namespace
}  // namespace pregate
