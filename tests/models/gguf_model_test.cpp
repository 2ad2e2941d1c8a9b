// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Models out of .gguf files: the files are written here, with the tensors and keys that llama.cpp's converter
// writes for each kind of layer, and a hole for the data.
#include "models/files/gguf_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/catalog.hpp"
#include "tests/models/error_of.hpp"
#include "tests/models/gguf_writer.hpp"
#include "tests/runtime/scratch_folder.hpp"

namespace pregate {
namespace {

using test::error_of;
using test::GgufWriter;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::uint32_t f32 = 0, q4_k = 12, q6_k = 14, q8_0 = 8;

/// A file of a model 256 wide with 1024 words.
class Model {
 public:
  explicit Model(const std::string& architecture) : architecture_(architecture), file_(architecture) {
    set("embedding_length", 256);
    add("token_embd.weight", {256, 1024}, q8_0);
    add("output.weight", {256, 1024}, q6_k);
    add("output_norm.weight", {256}, f32);
  }
  Model& set(const std::string& key, std::uint32_t value) {
    file_.number(architecture_ + "." + key, value);
    return *this;
  }
  Model& list(const std::string& key, const std::vector<std::int32_t>& values) {
    file_.numbers(architecture_ + "." + key, values);
    return *this;
  }
  Model& add(const std::string& name, const std::vector<std::uint64_t>& dims, std::uint32_t type) {
    std::uint64_t values = 1;
    for (const std::uint64_t size : dims) values *= size;
    const GgmlType& of = *ggml_type(type);
    file_.tensor(name, dims, type,
                 values / static_cast<std::uint64_t>(of.values) * static_cast<std::uint64_t>(of.bytes));
    return *this;
  }
  Model& in(int layer, const std::string& name, const std::vector<std::uint64_t>& dims,
            std::uint32_t type = q8_0) {
    return add("blk." + std::to_string(layer) + "." + name, dims, dims.size() == 1 ? f32 : type);
  }
  /// 4 heads of 64, 2 of them for keys.
  Model& attention(int layer) {
    return in(layer, "attn_norm.weight", {256})
        .in(layer, "attn_q.weight", {256, 256})
        .in(layer, "attn_k.weight", {256, 128})
        .in(layer, "attn_v.weight", {256, 128})
        .in(layer, "attn_output.weight", {256, 256});
  }
  /// 8 experts 512 wide.
  Model& experts(int layer, std::uint32_t down = q4_k) {
    return in(layer, "ffn_norm.weight", {256})
        .in(layer, "ffn_gate_inp.weight", {256, 8}, f32)
        .in(layer, "ffn_gate_exps.weight", {256, 512, 8}, q4_k)
        .in(layer, "ffn_up_exps.weight", {256, 512, 8}, q4_k)
        .in(layer, "ffn_down_exps.weight", {512, 256, 8}, down);
  }
  Model& usual() {
    return set("attention.head_count", 4)
        .set("attention.head_count_kv", 2)
        .set("attention.key_length", 64)
        .set("attention.value_length", 64)
        .set("expert_count", 8)
        .set("expert_used_count", 2);
  }
  std::string write(const test::ScratchFolder& folder) const { return file_.write(folder.path("m.gguf")); }

 private:
  std::string architecture_;
  GgufWriter file_;
};

class GgufModel : public testing::Test {
 protected:
  ModelSpec load(const Model& model) { return load_model(model.write(folder_)); }
  std::string refused(const Model& model) {
    return error_of([&] { load(model); });
  }
  test::ScratchFolder folder_;
};

// An expert of layer 0 is three matrices of 256 x 512 = 512 blocks of q4_k, 144 bytes each: 221,184. In layer
// 1 down is q6_k (210 bytes): 2 x 73,728 + 107,520 = 254,976. Attention is 196,608 values in q8_0 (34 bytes
// for 32) and a norm of 1024 bytes: 209,920. The router is 8192 bytes, the norm before it 1024.
TEST_F(GgufModel, BytesAreThoseOfTheFileByLayerAndExpert) {
  const ModelSpec model = load(
      Model("qwen3moe").usual().set("block_count", 2).attention(0).experts(0).attention(1).experts(1, q6_k));
  ASSERT_EQ(model.stacks.size(), 1U);
  const std::vector<LayerProfile> layers = model.profile(model.stacks[0]);
  ASSERT_EQ(layers.size(), 2U);
  EXPECT_EQ(layers[0].expert.count, 221'184);
  EXPECT_EQ(layers[1].expert.count, 254'976);
  EXPECT_EQ(layers[0].attention_weights.count, 209'920);
  EXPECT_EQ(layers[0].ffn_weights.count, 9'216);
  EXPECT_EQ(layers[0].experts, 8);
  EXPECT_EQ(layers[0].top_k, 2);
  EXPECT_EQ(layers[0].expert_format, "q4_k");
  EXPECT_EQ(layers[1].expert_format, "q4_k/q6_k");
  EXPECT_EQ(model.all_expert_bytes().count, 8 * (221'184 + 254'976));
  EXPECT_EQ(model.head_bytes().count, 1024 * 210);
  // f16 by default: 2 heads of 64 for keys and for values in 2 layers.
  EXPECT_EQ(model.kv_bytes_per_token().count, 2 * 2 * 2 * 64 * 2);
  EXPECT_EQ(model.vocabulary, 1024);
  EXPECT_FALSE(model.tied_embeddings);
}

// The pattern of gpt-oss stands in llama.cpp's code: layer 0 has the window, layer 1 has none.
TEST_F(GgufModel, WindowsAreOfTheLayersThatHaveThem) {
  Model gpt_oss("gpt-oss");
  gpt_oss.usual().set("block_count", 2).set("attention.sliding_window", 128);
  const ModelSpec model = load(gpt_oss.attention(0).experts(0).attention(1).experts(1));
  EXPECT_EQ(model.stacks[0].mixer_of(0).window, 128);
  EXPECT_EQ(model.stacks[0].mixer_of(1).window, 0);
  Model listed("some-moe");
  listed.usual()
      .set("block_count", 2)
      .set("attention.sliding_window", 64)
      .list("attention.sliding_window_pattern", {0, 1});
  const ModelSpec other = load(listed.attention(0).experts(0).attention(1).experts(1));
  EXPECT_EQ(other.stacks[0].mixer_of(0).window, 0);
  EXPECT_EQ(other.stacks[0].mixer_of(1).window, 64);
  Model silent("some-moe");
  silent.usual().set("block_count", 1).set("attention.sliding_window", 64);
  EXPECT_THAT(refused(silent.attention(0).experts(0)), HasSubstr("sliding_window_pattern"));
}

// Latent attention of 4 heads: cache of 128 + 64 values a token in f16. A dense layer first, shared experts
// after it, and a layer of multi-token prediction that is not run.
TEST_F(GgufModel, LatentAttentionSharedExpertsAndPredictionLayers) {
  Model file("deepseek2");
  file.set("attention.head_count", 4)
      .set("attention.head_count_kv", 1)
      .set("attention.kv_lora_rank", 128)
      .set("attention.q_lora_rank", 64)
      .set("attention.key_length", 192)
      .set("attention.value_length", 128)
      .set("attention.key_length_mla", 96)
      .set("attention.value_length_mla", 32)
      .set("rope.dimension_count", 64)
      .set("expert_count", 8)
      .set("expert_used_count", 2)
      .set("block_count", 3)
      .set("nextn_predict_layers", 1);
  for (int layer = 0; layer < 3; ++layer) {
    file.in(layer, "attn_q_a.weight", {256, 64})
        .in(layer, "attn_q_b.weight", {64, 384})
        .in(layer, "attn_kv_a_mqa.weight", {256, 192})
        .in(layer, "attn_k_b.weight", {32, 128, 4})
        .in(layer, "attn_v_b.weight", {128, 32, 4})
        .in(layer, "attn_output.weight", {128, 256});
  }
  file.in(0, "ffn_gate.weight", {256, 1024})
      .in(0, "ffn_up.weight", {256, 1024})
      .in(0, "ffn_down.weight", {1024, 256});
  for (const int layer : {1, 2}) {
    file.experts(layer)
        .in(layer, "exp_probs_b.bias", {8})
        .in(layer, "ffn_gate_shexp.weight", {256, 512})
        .in(layer, "ffn_up_shexp.weight", {256, 512})
        .in(layer, "ffn_down_shexp.weight", {512, 256});
  }
  const ModelSpec model = load(file);
  const Stack& stack = model.stacks[0];
  ASSERT_EQ(stack.layers.size(), 2U);
  EXPECT_EQ(stack.mixer_of(0).qk_nope_head_dim, 32);
  EXPECT_EQ(stack.feed_forward_of(0).ffn_dim, 1024);
  EXPECT_EQ(stack.feed_forward_of(1).moe.shared_ffn_dim, 512);
  EXPECT_TRUE(stack.feed_forward_of(1).moe.router_bias);
  EXPECT_EQ(model.kv_bytes_per_token().count, 2 * 192 * 2);
  EXPECT_THAT(model.left_out, testing::ElementsAre(HasSubstr("multi-token prediction")));
}

// Qwen3-Next: linear attention in layer 0 (4 value heads of 32, 2 key heads of 16), gated attention in
// layer 1.
TEST_F(GgufModel, LinearAttentionKeepsAStateInsteadOfACache) {
  Model file("qwen3next");
  file.usual()
      .set("block_count", 2)
      .set("ssm.time_step_rank", 4)
      .set("ssm.group_count", 2)
      .set("ssm.state_size", 16)
      .set("ssm.inner_size", 128)
      .set("ssm.conv_kernel", 4);
  file.in(0, "attn_qkv.weight", {256, 192})
      .in(0, "attn_gate.weight", {256, 128})
      .in(0, "ssm_ba.weight", {256, 8})
      .in(0, "ssm_conv1d.weight", {4, 192}, f32)
      .in(0, "ssm_out.weight", {128, 256})
      .experts(0);
  file.in(1, "attn_q.weight", {256, 512})
      .in(1, "attn_k.weight", {256, 128})
      .in(1, "attn_v.weight", {256, 128})
      .in(1, "attn_output.weight", {256, 256})
      .experts(1);
  const ModelSpec model = load(file);
  EXPECT_EQ(model.stacks[0].mixer_of(0).kind, MixerKind::gated_delta_net);
  EXPECT_TRUE(model.stacks[0].mixer_of(1).output_gate);
  EXPECT_EQ(model.kv_bytes_per_token().count, 2 * 2 * 64 * 2);  // of layer 1 alone
  EXPECT_GT(model.profile(model.stacks[0])[0].state.count, 0);
}

// Nemotron-H: a layer is a mixer or a feed-forward. Mamba-2 of 4 heads of 64, 2 groups, a state of 16: the
// input projection has 2 x 256 + 2 x 2 x 16 + 4 columns.
TEST_F(GgufModel, LayersThatAreHalves) {
  Model file("nemotron_h_moe");
  file.usual()
      .set("block_count", 3)
      .set("ssm.time_step_rank", 4)
      .set("ssm.group_count", 2)
      .set("ssm.state_size", 16)
      .set("ssm.inner_size", 256)
      .set("ssm.conv_kernel", 4);
  file.in(0, "ssm_in.weight", {256, 580})
      .in(0, "ssm_conv1d.weight", {4, 320}, f32)
      .in(0, "ssm_out.weight", {256, 256});
  file.experts(1).attention(2);
  const ModelSpec model = load(file);
  const Stack& stack = model.stacks[0];
  EXPECT_EQ(stack.mixer_of(0).kind, MixerKind::mamba2);
  EXPECT_EQ(stack.feed_forward_of(0).kind, FeedForward::Kind::none);
  EXPECT_EQ(stack.mixer_of(1).kind, MixerKind::none);
  EXPECT_EQ(stack.feed_forward_of(2).kind, FeedForward::Kind::none);
}

// Jamba: Mamba-1 of 512 channels with a state of 16 and steps of rank 16; its projection x makes 16 + 2 x 16.
TEST_F(GgufModel, MambaOneAndAttention) {
  Model file("jamba");
  file.usual()
      .set("block_count", 2)
      .set("ssm.time_step_rank", 16)
      .set("ssm.state_size", 16)
      .set("ssm.inner_size", 512)
      .set("ssm.conv_kernel", 4);
  file.in(0, "ssm_in.weight", {256, 1024})
      .in(0, "ssm_conv1d.weight", {4, 512}, f32)
      .in(0, "ssm_conv1d.bias", {512}, f32)
      .in(0, "ssm_x.weight", {512, 48})
      .in(0, "ssm_dt.weight", {16, 512}, f32)
      .in(0, "ssm_out.weight", {512, 256});
  file.experts(0).attention(1).experts(1);
  const ModelSpec model = load(file);
  const Mixer mixer = model.stacks[0].mixer_of(0);
  EXPECT_EQ(mixer.kind, MixerKind::mamba);
  EXPECT_EQ(mixer.heads, 512);
  EXPECT_EQ(mixer.step_rank, 16);
  EXPECT_TRUE(mixer.qkv_bias);
  EXPECT_EQ(model.stacks[0].mixer_of(1).kind, MixerKind::grouped_query);
}

TEST_F(GgufModel, ShortConvolutions) {
  Model file("lfm2moe");
  file.usual().set("block_count", 2).set("shortconv.l_cache", 3);
  file.in(0, "shortconv.in_proj.weight", {256, 768})
      .in(0, "shortconv.conv.weight", {3, 256}, f32)
      .in(0, "shortconv.out_proj.weight", {256, 256});
  file.experts(0).attention(1).experts(1);
  const ModelSpec model = load(file);
  const Mixer mixer = model.stacks[0].mixer_of(0);
  EXPECT_EQ(mixer.kind, MixerKind::short_convolution);
  EXPECT_EQ(mixer.conv_kernel, 3);
  EXPECT_EQ(mixer.heads * mixer.head_dim, 256);
}

TEST_F(GgufModel, WhatCannotBePricedIsNamed) {
  const auto usual = [] { return Model("qwen3moe").usual().set("block_count", 1).attention(0); };
  EXPECT_THAT(refused(Model("qwen3moe")
                          .set("block_count", 1)
                          .set("attention.head_count", 4)
                          .set("expert_count", 8)
                          .attention(0)
                          .experts(0)),
              HasSubstr("qwen3moe.expert_used_count"));
  EXPECT_THAT(refused(Model("qwen3moe").usual().attention(0).experts(0)), HasSubstr("qwen3moe.block_count"));
  EXPECT_THAT(
      refused(usual().set("expert_group_count", 1).in(0, "ffn_down_exps.weight", {512, 256, 7}, q4_k)),
      HasSubstr("7 experts, but expert_count is 8"));
  EXPECT_THAT(refused(Model("x").usual().set("block_count", 2).attention(0).experts(0)),
              HasSubstr("no tensors of layer 1"));
  EXPECT_THAT(
      refused(Model("x").usual().set("block_count", 1).in(0, "time_mix_key.weight", {256, 768}).experts(0)),
      HasSubstr("time_mix_key.weight"));
  EXPECT_THAT(refused(Model("x")
                          .usual()
                          .set("block_count", 1)
                          .in(0, "attn_q.weight", {256, 320})
                          .in(0, "attn_k.weight", {256, 128})
                          .experts(0)),
              HasSubstr("attn_q has 320 columns"));
  // A large matrix that no rule knows.
  EXPECT_THAT(refused(usual().experts(0).in(0, "unknown.weight", {256, 8192})),
              HasSubstr("parameters, its tensors"));
  EXPECT_THAT(error_of([&] { load_model(folder_.write("x.gguf", std::string("GGUF\3\0\0\0", 8))); }),
              AllOf(HasSubstr("x.gguf"), HasSubstr("ends inside its header")));
  // By content, whatever it is called.
  const std::string path = usual().experts(0).write(folder_);
  std::filesystem::rename(path, folder_.path("blob"));
  EXPECT_EQ(load_model(folder_.path("blob")).stacks[0].layers.size(), 1U);
  // Another format for the experts takes the place of the file's.
  EXPECT_EQ(
      load_model(folder_.path("blob"), {.weights = "bf16", .dense_weights = {}}).all_expert_bytes().count,
      8 * 3 * 256 * 512 * 2);
}

}  // namespace
}  // namespace pregate
