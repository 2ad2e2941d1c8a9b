// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/formats/packing.hpp"

#include <gtest/gtest.h>

#include "models/formats/file_mix.hpp"
#include "models/model.hpp"

namespace pregate {
namespace {

Packing alone(const std::string& format) {
  const std::vector<PackedPart> parts = packed_parts(format);
  EXPECT_EQ(parts.size(), 1U) << format;
  EXPECT_EQ(parts.front().share, 1) << format;
  return parts.front().packing;
}

TEST(Packing, IsThatOfTheType) {
  for (const char* format : {"fp32", "fp16", "bf16"}) EXPECT_EQ(alone(format), Packing::whole) << format;
  for (const char* format : {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "mxfp4", "nvfp4", "q2_0"})
    EXPECT_EQ(alone(format), Packing::blocks) << format;
  for (const char* format : {"q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_xs", "tq2_0"})
    EXPECT_EQ(alone(format), Packing::super_blocks) << format;
  for (const char* format : {"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s"})
    EXPECT_EQ(alone(format), Packing::codebook_8) << format;
  for (const char* format : {"iq3_xxs", "iq3_s"}) EXPECT_EQ(alone(format), Packing::codebook_4) << format;
  for (const char* format : {"fp8", "int4", "awq", "nf4", "hqq2", "vq3"})
    EXPECT_EQ(alone(format), Packing::other) << format;
}

TEST(Packing, OfAMixtureIsItsParts) {
  EXPECT_EQ(alone("q4_k_m"), Packing::super_blocks) << "q4_k and q6_k";
  EXPECT_GT(packed_parts("iq3_m").size(), 1U) << "q4_k in down";
  for (const std::string& format : weight_format_names()) {
    double sum = 0;
    for (const auto& [packing, share] : packed_parts(format)) {
      EXPECT_GT(share, 0) << format;
      sum += share;
      EXPECT_EQ(packing == Packing::other, file_mix(format) == nullptr && packing == Packing::other)
          << format;
    }
    EXPECT_NEAR(sum, 1, 1e-12) << format;
  }
}

}  // namespace
}  // namespace pregate
