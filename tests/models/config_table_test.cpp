// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The [config] table of a TOML description: fields of a config.json, read by the family's own reader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/catalog.hpp"
#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

const std::string with_config = R"(
description = "Qwen3-30B-A3B"
source = "its config.json"
[published]
parameters = 30.5e9
active = 3.3e9
source = "model card"
[weights]
experts = "q4_k"
dense = "bf16"
kv_cache = "bf16"
[config]
model_type = "qwen3_moe"
vocab_size = 151936
hidden_size = 2048
num_hidden_layers = 48
num_attention_heads = 32
num_key_value_heads = 4
head_dim = 128
num_experts = 128
num_experts_per_tok = 8
moe_intermediate_size = 768
intermediate_size = 6144
mlp_only_layers = []
rope_theta = 1000000.0
)";

TEST(ConfigTable, IsReadAsTheFamilyReadsAConfigJson) {
  const ModelSpec model = parse_model_toml(with_config, "my.toml");
  const ModelSpec spelled_out = load_model("qwen3-30b-a3b");
  EXPECT_EQ(model.name, "my");
  EXPECT_EQ(model.family, "qwen3_moe");
  EXPECT_EQ(model.parameter_count(), spelled_out.parameter_count());
  EXPECT_EQ(model.kv_bytes_per_token().count, spelled_out.kv_bytes_per_token().count);
  EXPECT_EQ(model.expert_format.name, "q4_k");
  EXPECT_EQ(model.published_active, 3.3e9);
}

TEST(ConfigTable, ItsKeysCanBeSet) {
  const Override fewer[] = {{"model.config.num_experts_per_tok", "4"}};
  EXPECT_EQ(parse_model_toml(with_config, "my.toml", fewer).stacks[0].first_moe().top_k, 4);
  const Override free_of_cost[] = {{"model.config.rope_theta", "5"}};
  EXPECT_THAT(error_of([&] { parse_model_toml(with_config, "my.toml", free_of_cost); }),
              AllOf(HasSubstr("--set model.config.rope_theta"), HasSubstr("no field 'rope_theta'")));
}

TEST(ConfigTable, IsStrict) {
  const auto refused = [](const std::string& more) {
    return error_of([&] { parse_model_toml(with_config + more, "my.toml"); });
  };
  EXPECT_THAT(refused("num_expert = 128\n"), AllOf(HasSubstr("my.toml:"), HasSubstr("config.num_expert")));
  EXPECT_THAT(refused("linear_conv_kernel_dim = 4\n"), HasSubstr("config.linear_conv_kernel_dim"));
  EXPECT_THAT(refused("torch_dtype = \"bfloat16\"\n"), HasSubstr("config.torch_dtype"));
  EXPECT_THAT(refused("[decoder]\nlayers = 3\n"), HasSubstr("decoder"));
  const auto instead = [](const std::string& type) {
    std::string text = with_config;
    text.replace(text.find("qwen3_moe"), 9, type);
    return error_of([&] { parse_model_toml(text, "my.toml"); });
  };
  EXPECT_THAT(instead("qwen9_moe"), AllOf(HasSubstr("my.toml"), HasSubstr("'qwen9_moe' is not a family")));
}

}  // namespace
}  // namespace pregate
