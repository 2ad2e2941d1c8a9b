// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/formats/weight_format.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "models/formats/file_mix.hpp"
#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::HasSubstr;

// Bits a weight as llama.cpp's own table names them (tools/quantize, README: "bpw"), and the published ones
// by hand: AWQ has a 16-bit scale and a 4-bit zero point for each 128 weights.
TEST(WeightFormats, HaveTheirExactBits) {
  const std::pair<const char*, double> rows[] = {
      {"q4_0", 4.5},      {"q4_1", 5.0},     {"q5_0", 5.5},     {"q5_1", 6.0},        {"q8_0", 8.5},
      {"q8_1", 9.0},      {"q2_k", 2.625},   {"q3_k", 3.4375},  {"q4_k", 4.5},        {"q5_k", 5.5},
      {"q6_k", 6.5625},   {"q8_k", 9.125},   {"iq1_s", 1.5625}, {"iq1_m", 1.75},      {"iq2_xxs", 2.0625},
      {"iq2_xs", 2.3125}, {"iq2_s", 2.5625}, {"iq3_s", 3.4375}, {"iq3_xxs", 3.0625},  {"iq4_nl", 4.5},
      {"iq4_xs", 4.25},   {"tq1_0", 1.6875}, {"tq2_0", 2.0625}, {"mxfp4", 4.25},      {"nvfp4", 4.5},
      {"q1_0", 1.125},    {"q2_0", 2.25},    {"awq", 4.15625},  {"int4_g128", 4.125}, {"f64", 64},
      {"int2_g64", 2.25}, {"hqq3", 3.3},     {"vq3", 3.01}};
  for (const auto& [name, bits] : rows)
    EXPECT_DOUBLE_EQ(weight_format(name, "").bits_per_parameter, bits) << name;
  // mixtral-offloading: 57.3 MB of an expert of 3 x 4096 x 14336.
  EXPECT_NEAR(weight_format("hqq2", "").bits_per_parameter * (3.0 * 4096 * 14336) / 8, 57.3e6, 1);
  EXPECT_EQ(weight_format("f16", "").name, "fp16");
  EXPECT_THAT(error_of([] { weight_format("q4_k_n", "--weights"); }), HasSubstr("'q4_k_m'"));
  // Names are unique, and each has bits.
  std::set<std::string> names;
  for (const DescribedFormat& described : described_formats()) {
    EXPECT_TRUE(names.insert(described.format.name).second) << described.format.name;
    EXPECT_GT(described.format.bits_per_parameter, 0.5) << described.format.name;
  }
}

std::string type(const char* mix, TensorPlace place) {
  return std::string(type_in(*file_mix(mix), place).name);
}

// By hand from llama-quant.cpp for 48 layers of 128 experts: 48 / 8 = 6, so layers 0-5 and 42-47 and every
// third from 8 on have "more bits": half of them.
// ggml's vector products (ggml/src/ggml-cuda/vecdotq.cuh) have a scale for 16 values where blocks of 256
// hold 16.
TEST(WeightFormats, HaveAScaleForSixteenOrThirtyTwoValues) {
  for (const char* name : {"q2_k", "q3_k", "q6_k", "iq2_xs", "iq2_s", "iq1_m", "nvfp4"})
    EXPECT_EQ(values_a_scale(name), 16) << name;
  for (const char* name : {"q4_0", "q8_0", "q4_k", "q5_k", "iq3_s", "iq4_xs", "mxfp4", "awq"})
    EXPECT_EQ(values_a_scale(name), 32) << name;
  EXPECT_GT(values_a_scale("q4_k_m"), 16) << "a mixture of q4_k and q6_k";
  EXPECT_LT(values_a_scale("q4_k_m"), 32);
}

TEST(WeightFormats, TakeFp4CoresWhereEveryTensorOfAnExpertDoes) {
  for (const char* name : {"mxfp4", "nvfp4", "mxfp4_moe"}) EXPECT_TRUE(takes_fp4_cores(name)) << name;
  for (const char* name : {"q4_0", "q4_k_m", "iq4_xs", "fp16", "int4", "none such"})
    EXPECT_FALSE(takes_fp4_cores(name)) << name;
}

TEST(FileMixes, FollowTheRulesOfLlamaCpp) {
  const auto down = [](const char* mix, int layer) {
    return type(mix,
                {.role = TensorRole::ffn_down, .routed = true, .layer = layer, .layers = 48, .experts = 128});
  };
  EXPECT_EQ(down("q4_k_m", 0), "q6_k");
  EXPECT_EQ(down("q4_k_m", 6), "q4_k");
  EXPECT_EQ(down("q4_k_m", 8), "q6_k");
  EXPECT_EQ(down("q4_k_m", 41), "q6_k");
  EXPECT_EQ(down("q4_k_m", 40), "q4_k");
  EXPECT_EQ(down("q3_k_m", 2), "q5_k");
  EXPECT_EQ(down("q3_k_m", 3), "q4_k");
  EXPECT_EQ(down("q2_k_mix", 20), "q3_k");
  EXPECT_EQ(down("iq2_xxs_mix", 5), "q2_k");
  EXPECT_EQ(down("iq2_xxs_mix", 6), "iq2_xxs");
  const auto of = [](const char* mix, TensorRole role) {
    return type(mix, {.role = role,
                      .layer = 20,
                      .layers = 48,
                      .attention_layer = 20,
                      .attention_layers = 48,
                      .experts = 128,
                      .query_group = 8});
  };
  EXPECT_EQ(of("q4_k_m", TensorRole::output), "q6_k");
  EXPECT_EQ(of("q4_k_m", TensorRole::embedding), "q4_k");
  EXPECT_EQ(of("q4_k_m", TensorRole::attention_v), "q6_k");
  EXPECT_EQ(of("iq4_xs_mix", TensorRole::attention_v), "q5_k");
  EXPECT_EQ(of("iq3_xxs_mix", TensorRole::attention_q), "iq2_s");
  EXPECT_EQ(of("iq2_m", TensorRole::embedding), "iq3_s");
  // Mixtral's eight experts leave room for wide keys and values.
  EXPECT_EQ(type("q4_k_m", {.role = TensorRole::attention_k, .experts = 8}), "q8_0");
  // Rows of 1408 are no whole blocks of 256, but of 32.
  EXPECT_EQ(
      type("q4_k_s", {.role = TensorRole::ffn_down, .layer = 9, .layers = 48, .experts = 60, .row = 1408}),
      "q5_0");
  EXPECT_DOUBLE_EQ(weight_format("q4_k_m", "").bits_per_parameter, (2 * 4.5 + (4.5 + 6.5625) / 2) / 3);
}

TEST(WeightFormat, FilesOfOneHoldTheProductsOfFeedForwardsAlone) {
  ASSERT_NE(described_format("nvfp4"), nullptr);
  for (const DescribedFormat& each : described_formats())
    EXPECT_EQ(each.feed_forward_only, each.format.name == "nvfp4") << each.format.name;
  EXPECT_EQ(described_format("q9_k"), nullptr);
}

}  // namespace
}  // namespace pregate
