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
