// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "models/catalog.hpp"
#include "models/families/family.hpp"
#include "tests/models/error_of.hpp"
#include "tests/models/published_models.hpp"
#include "tests/support/shared_data.hpp"

namespace pregate {
namespace {

using test::error_of;
using test::published_models_with_recent_attention;
using test::PublishedModel;
using test::Tables;
using testing::HasSubstr;

// How weights are stored is not asked here.
const ModelOptions any_format{.weights = "bf16", .dense_weights = "bf16"};

bool is_shared(const PublishedModel& row) { return row.config.ends_with(".json"); }

ModelSpec load(const PublishedModel& row) {
  if (is_shared(row)) return load_model((test::shared_data() / "configs" / row.config).string(), any_format);
  return parse_model_config_json(row.config, row.name, any_format);
}

PublishedModel published(const std::string& name) {
  for (const PublishedModel& row : published_models_with_recent_attention()) {
    if (row.name == name) return row;
  }
  ADD_FAILURE() << name;
  return {};
}

// Totals within 1 %, active parameters within 3 %, or what the digits that the authors state allow.
void expect_published(const PublishedModel& row) {
  const ModelSpec model = load(row);
  const double table = static_cast<double>(model.vocabulary) * model.d_model;
  const double tables = model.tied_embeddings ? 1 : 2;
  const double total = static_cast<double>(model.parameter_count()) + row.apart;
  double active = static_cast<double>(model.active_parameter_count());
  if (row.tables == Tables::output) active -= (tables - 1) * table;
  if (row.tables == Tables::none) active -= tables * table;
  EXPECT_NEAR(total, row.total, row.exact ? 0.5 : std::max(0.01 * row.total, row.total_unit / 2)) << row.name;
  EXPECT_NEAR(active, row.active, std::max(0.03 * row.active, row.active_unit / 2)) << row.name;
}

TEST(Families, SizesAreThoseThatTheAuthorsPublish) {
  for (const PublishedModel& row : published_models_with_recent_attention()) {
    if (!is_shared(row)) expect_published(row);
  }
}

TEST(Families, SizesOfSharedConfigurationsAreThoseThatTheAuthorsPublish) {
  PREGATE_NEEDS_SHARED_DATA();
  for (const PublishedModel& row : published_models_with_recent_attention()) {
    if (is_shared(row)) expect_published(row);
  }
}

LayerProfile layer_of(const PublishedModel& row, int layer) {
  const ModelSpec model = load(row);
  return model.profile(model.stacks[0])[static_cast<std::size_t>(layer)];
}

// Bytes in bf16 that one layer of each kind keeps, by hand.
TEST(Families, EachKindOfLayerKeepsWhatItShould) {
  // Softmax attention, 2 key-value heads of 256: 2 x 2 x 256 x 2 B.
  const LayerProfile full = layer_of(published("Qwen3-Next-80B-A3B"), 3);
  EXPECT_EQ(full.mixer, MixerKind::grouped_query);
  EXPECT_EQ(full.cached(1000).count, 1000 * 2048);
  // A gated delta net: 32 heads of 128 x 128 in fp32, and 3 inputs of its convolution over
  // 2 x 16 x 128 + 32 x 128 = 8192 channels; nothing a token.
  const LayerProfile delta = layer_of(published("Qwen3-Next-80B-A3B"), 0);
  EXPECT_EQ(delta.mixer, MixerKind::gated_delta_net);
  EXPECT_EQ(delta.cached(0).count, 2'097'152 + 49'152);
  EXPECT_EQ(delta.cached(1'000'000).count, 2'097'152 + 49'152);
  // Kimi's: 32 heads of 128 x 128 in fp32, 3 inputs of 3 x 32 x 128 channels; its latent layers 512 + 64.
  EXPECT_EQ(layer_of(published("Kimi-Linear-48B-A3B"), 0).cached(5000).count, 2'097'152 + 73'728);
  const LayerProfile latent = layer_of(published("Kimi-Linear-48B-A3B"), 3);
  EXPECT_EQ(latent.mixer, MixerKind::multi_head_latent);
  EXPECT_EQ(latent.cached(1000).count, 1000 * 1152);
  // Lightning attention: 64 heads of 128 x 128 in fp32.
  EXPECT_EQ(layer_of(published("MiniMax-M1"), 6).cached(5000).count, 4'194'304);
  EXPECT_EQ(layer_of(published("MiniMax-M1"), 7).cached(1000).count, 1000 * 2 * 8 * 128 * 2);
  // Chunks of 8192 tokens, and every fourth layer without: 2 x 8 x 128 x 2 B a token.
  EXPECT_EQ(layer_of(published("Llama-4-Maverick"), 2).cached(20'000).count, 8192 * 4096);
  EXPECT_EQ(layer_of(published("Llama-4-Maverick"), 3).cached(20'000).count, 20'000 * 4096);
  // An index key of 128 for every 4 tokens beside 2 x 2 x 256; 2048 tokens are read.
  const LayerProfile blocks = layer_of(published("Qwen3.8-Flash-Next"), 3);
  EXPECT_EQ(blocks.cached(1000).count, 1000 * 2048 + 250 * 256);
  EXPECT_EQ(blocks.cache[0].reads_at_most, 2048);
}

TEST(Families, SparseLatentLayersKeepIndexKeysWhereTheyChoose) {
  PREGATE_NEEDS_SHARED_DATA();
  // (512 + 64) x 2 B; with an index key of 128 x 2 B where the layer chooses for itself.
  EXPECT_EQ(layer_of(published("DeepSeek-V3"), 5).cached(1000).count, 1'152'000);
  EXPECT_EQ(layer_of(published("DeepSeek-V3.2"), 5).cached(1000).count, 1'408'000);
  EXPECT_EQ(layer_of(published("GLM-5.2"), 6).cached(1000).count, 1'408'000);  // full
  const LayerProfile shared = layer_of(published("GLM-5.2"), 5);
  EXPECT_EQ(shared.cached(1000).count, 1'152'000);
  EXPECT_EQ(shared.cache[0].reads_at_most, 2048);
}

// 30 layers keep an entry of 512 and an index key of 128 for every 4 tokens, 31 an entry of 512 for every
// 128, all 61 a window of 128: 9.62 GiB, as is published for 1M tokens in bf16.
TEST(Families, CompressedLayersKeepRunsOfTokens) {
  const ModelSpec model = load(published("DeepSeek-V4-Pro"));
  const std::int64_t tokens = 1 << 20;
  EXPECT_EQ(model.kv_bytes(tokens).count,
            30 * (tokens / 4) * (512 + 128) * 2 + 31 * (tokens / 128) * 512 * 2 + 61 * 128 * 512 * 2);
  EXPECT_NEAR(static_cast<double>(model.kv_bytes(tokens).count) / (1 << 30), 9.62, 0.005);
}

// An entry of the catalogue says the same in the same fields.
TEST(Families, TheCatalogueSaysWhatTheConfigurationsSay) {
  const std::pair<const char*, const char*> entries[] = {
      {"qwen3.6-35b-a3b", "Qwen3.5-35B-A3B"},  // of the same shape
      {"qwen3.5-122b-a10b", "Qwen3.5-122B-A10B"},
      {"qwen3-next-80b-a3b", "Qwen3-Next-80B-A3B"},
      {"qwen3.8-flash-next", "Qwen3.8-Flash-Next"},
      {"glm-4.5-air", "GLM-4.5-Air"},
      {"glm-5", "GLM-5"},
      {"glm-5.2", "GLM-5.2"},
      {"kimi-k2", "Kimi-K2"},
      {"kimi-linear-48b-a3b", "Kimi-Linear-48B-A3B"},
      {"deepseek-v3.2", "DeepSeek-V3.2"},
      {"deepseek-v4-flash", "DeepSeek-V4-Flash"},
      {"minimax-m2.5", "MiniMax-M2.5"},
      {"llama-4-scout", "Llama-4-Scout"},
  };
  const bool shared_data = std::filesystem::exists(test::shared_data());
  for (const auto& [catalogue, name] : entries) {
    const ModelSpec entry = load_model(catalogue, any_format);
    const PublishedModel row = published(name);
    if (is_shared(row) && !shared_data) continue;
    const ModelSpec model = load(row);
    EXPECT_EQ(entry.parameter_count(), model.parameter_count()) << catalogue;
    EXPECT_EQ(entry.active_parameter_count(), model.active_parameter_count()) << catalogue;
    EXPECT_EQ(entry.kv_bytes(100'000).count, model.kv_bytes(100'000).count) << catalogue;
    EXPECT_EQ(entry.flop_per_token(100'000), model.flop_per_token(100'000)) << catalogue;
  }
}

std::string renamed(std::string config, const std::string& type) {
  const std::string key = R"("model_type":")";
  // The innermost table's own name is the one that counts: "..._text", "kimi_linear".
  std::size_t at = config.find(key);
  for (const char* inner : {R"("text_config":)", R"("language_config":)"}) {
    const std::size_t table = config.rfind(inner);
    if (table != std::string::npos) at = config.find(key, table);
  }
  const std::size_t begin = at + key.size();
  return config.replace(begin, config.find('"', begin) - begin, type);
}

// A config.json under another family's name is refused, or means the same: never another cost unnoticed.
TEST(Families, AnotherModelTypeIsRefusedOrMeansTheSame) {
  for (const PublishedModel& row : published_models_with_recent_attention()) {
    if (is_shared(row)) continue;
    const ModelSpec own = load(row);
    // One name a family: the others of it are read by the same code.
    for (const families::Family& family : families::all()) {
      const std::string type(family.model_types.front());
      try {
        const ModelSpec other = parse_model_config_json(renamed(row.config, type), row.name, any_format);
        EXPECT_NEAR(static_cast<double>(other.parameter_count()) / static_cast<double>(own.parameter_count()),
                    1, 1e-4)
            << row.name << " as " << type;
        EXPECT_EQ(other.kv_bytes(100'000).count, own.kv_bytes(100'000).count) << row.name << " as " << type;
      } catch (const InputError&) {
      }
    }
  }
}

TEST(Families, LinearAttentionUnderTheNameOfQwen3IsRefusedByTheKeyThatSaysSo) {
  const std::string as_qwen3 = renamed(published("Qwen3.5-397B-A17B").config, "qwen3_moe");
  const auto refusal = [](const std::string& text) {
    return error_of([&] { parse_model_config_json(text, "config.json", any_format); });
  };
  EXPECT_THAT(refusal(as_qwen3), HasSubstr("config.json: layer_types: names 'linear_attention'"));
  const std::string next = renamed(published("Qwen3-Next-80B-A3B").config, "qwen3_moe");
  EXPECT_THAT(refusal(next), HasSubstr("full_attention_interval: is not known in a qwen2_moe model"));
}

TEST(Families, TheFileThatWasReadWrongIsRefused) {
  PREGATE_NEEDS_SHARED_DATA();
  const auto path = test::shared_data() / "failing" / "07-linear-attention-ignored.config.json";
  EXPECT_THAT(error_of([&] { load_model(path.string(), any_format); }), HasSubstr("layer_types"));
}

TEST(Families, WhatIsLeftOutIsSaid) {
  EXPECT_THAT(load(published("Qwen3.8-Flash-Next")).left_out,
              testing::Contains(HasSubstr("a table of 5.12e+10 parameters")));
  EXPECT_THAT(load(published("DeepSeek-V4-Pro")).left_out,
              testing::ElementsAre(HasSubstr("3 hash layers"), HasSubstr("1 multi-token-prediction layer ")));
  PublishedModel drafting = published("DeepSeek-V4-Pro");
  drafting.config.replace(0, 1, R"({"dspark_block_size":5,"dspark_target_layer_ids":[40,41,42],)");
  EXPECT_THAT(load(drafting).left_out, testing::Contains(HasSubstr("the drafting module")));
  EXPECT_THAT(load(published("Qwen3-Omni-30B-A3B")).left_out,
              testing::IsSupersetOf({"the talker (talker_config)", "the vocoder (code2wav_config)",
                                     "the audio encoder (audio_config)"}));
}

TEST(Families, ListsThatContradictTheLayersAreRefused) {
  const auto refusal = [](const std::string& name, const std::string& from, const std::string& to) {
    std::string text = published(name).config;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    return error_of([&] { parse_model_config_json(text, "config.json", any_format); });
  };
  EXPECT_THAT(refusal("Kimi-Linear-48B-A3B", "[1,2,3,5", "[1,2,3,4"),
              HasSubstr("names layer 4 a second time"));
  EXPECT_THAT(refusal("Kimi-Linear-48B-A3B", "[1,2,3,5", "[0,2,3,5"), HasSubstr("layers count from 1"));
  EXPECT_THAT(refusal("Kimi-Linear-48B-A3B", "[1,2,3,5", "[2,3,5"), HasSubstr("leave out layer 1"));
  EXPECT_THAT(
      refusal("Kimi-Linear-48B-A3B", R"("num_heads":32)", R"("num_heads":32,"use_full_rank_gate":true)"),
      HasSubstr("linear_attn_config.use_full_rank_gate"));
  EXPECT_THAT(refusal("DeepSeek-V4-Pro", "[128,128", "[128,64"), HasSubstr("0, 4 and 128"));
  EXPECT_THAT(refusal("DeepSeek-V4-Pro", "[128,128,4,", "["), HasSubstr("compress_ratios"));
  EXPECT_THAT(refusal("MiniMax-M1", "[0,0", "[0,2"), HasSubstr("0 and 1 alone"));
  EXPECT_THAT(refusal("MiniMax-M1", "[0,0", "[0"), HasSubstr("79 entries for 80 layers"));
  EXPECT_THAT(refusal("GLM-4.5V", R"("num_local_experts":128)", R"("num_local_experts":64)"),
              HasSubstr("differs from n_routed_experts"));
}

}  // namespace
}  // namespace pregate
