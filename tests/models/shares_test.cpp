// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/shares.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "models/catalog.hpp"
#include "models/error.hpp"

namespace pregate {
namespace {

// Heads, widths and vocabulary divide; what a GPU holds of the weights that are matrices is half.
TEST(Shares, TensorParallelGpusHaveAPartOfEverything) {
  const ModelSpec whole = load_model("gpt-oss-120b");
  const ModelSpec half = tensor_share(whole, 2);
  const Mixer& mixer = half.stacks.front().mixer_of(0);
  EXPECT_EQ(mixer.heads, whole.stacks.front().mixer_of(0).heads / 2);
  EXPECT_EQ(mixer.kv_heads, whole.stacks.front().mixer_of(0).kv_heads / 2);
  const MoeBlock &moe = half.stacks.front().first_moe(), &before = whole.stacks.front().first_moe();
  EXPECT_EQ(moe.experts, before.experts);
  EXPECT_EQ(moe.top_k, before.top_k);
  EXPECT_EQ(moe.ffn_dim, before.ffn_dim / 2);
  EXPECT_EQ(half.vocabulary, (whole.vocabulary + 1) / 2);
  EXPECT_EQ(tensor_share(whole, 1).vocabulary, whole.vocabulary);
}

// Four key heads on eight GPUs: each has one, two GPUs the same.
TEST(Shares, KeyHeadsFewerThanGpusAreCopied) {
  const ModelSpec share = tensor_share(load_model("qwen3-235b-a22b"), 8);
  EXPECT_EQ(share.stacks.front().mixer_of(0).heads, 8);
  EXPECT_EQ(share.stacks.front().mixer_of(0).kv_heads, 1);
}

// The latent is every head's: each GPU keeps it whole, so the cache does not shrink.
TEST(Shares, LatentsAreHeldByEveryGpu) {
  const ModelSpec whole = load_model("deepseek-v3");
  const ModelSpec share = tensor_share(whole, 8);
  const Mixer &mixer = share.stacks.front().mixer_of(0), &before = whole.stacks.front().mixer_of(0);
  EXPECT_EQ(mixer.heads, before.heads / 8);
  EXPECT_EQ(mixer.kv_lora_rank, before.kv_lora_rank);
  EXPECT_EQ(share.profile(share.stacks.front()).front().cached_per_token(),
            whole.profile(whole.stacks.front()).front().cached_per_token());
}

// Columns of every expert, or whole experts.
TEST(Shares, ExpertsAreSplitOrWhole) {
  const ModelSpec whole = load_model("qwen3-30b-a3b");
  EXPECT_EQ(tensor_share(whole, 2).all_expert_bytes().count * 2, whole.all_expert_bytes().count);
  EXPECT_EQ(tensor_share(whole, 8, false).all_expert_bytes(), whole.all_expert_bytes());
}

// Stages of layers hold everything once; a table that is embedding and projection is at both ends. The norm
// at the end, which every part counts, is below a ten-thousandth.
TEST(Shares, StagesAddUpToTheModel) {
  for (const char* name : {"qwen3-30b-a3b", "gpt-oss-20b", "deepseek-v3", "olmoe-1b-7b", "gemma-4-26b-a4b"}) {
    const ModelSpec whole = load_model(name);
    const int layers = static_cast<int>(whole.stacks.front().layers.size());
    Bytes dense, experts;
    for (const auto& [first, end] : {std::pair{0, 1}, {1, layers / 3}, {layers / 3, layers}}) {
      const ModelSpec share = layer_share(whole, first, end);
      EXPECT_EQ(static_cast<int>(share.stacks.front().layers.size()), end - first);
      dense += share.dense_bytes();
      experts += share.all_expert_bytes();
    }
    EXPECT_EQ(experts, whole.all_expert_bytes()) << name;
    const Bytes twice = whole.tied_embeddings ? whole.head_bytes() : Bytes{};
    const auto expected = static_cast<double>((whole.dense_bytes() + twice).count);
    EXPECT_NEAR(static_cast<double>(dense.count), expected, 1e-4 * expected) << name;
  }
  EXPECT_THROW(layer_share(load_model("switch-base-8"), 0, 2), InputError);
}

TEST(Shares, WhatDoesNotDivideIsRefused) {
  const auto refusal = [](const char* model, int gpus) {
    try {
      tensor_share(load_model(model), gpus);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refusal("gpt-oss-120b", 3), testing::HasSubstr("heads, 64, do not divide"));
}

}  // namespace
}  // namespace pregate
