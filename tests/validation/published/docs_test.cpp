// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Every number of docs/validation is what the program computes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/validation/published/evaluated_once.hpp"

namespace pregate::validation {
namespace {

constexpr const char* begin_mark = "<!-- computed: begin -->\n";
constexpr const char* end_mark = "<!-- computed: end -->";

/// Compares the marked part of docs/validation/<name>.md; writes it with PREGATE_UPDATE_GOLDEN.
void check(const std::string& name) {
  const std::filesystem::path path =
      std::filesystem::path(PREGATE_SOURCE_DIR) / "docs" / "validation" / (name + ".md");
  std::ifstream file(path);
  std::stringstream whole;
  whole << file.rdbuf();
  const std::string text = whole.str();
  const std::size_t begin = text.find(begin_mark), end = text.find(end_mark);
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos) << path << " lacks its marks";
  const std::size_t from = begin + std::string(begin_mark).size();
  const std::string computed = results_markdown(evaluated(name));
  if (std::getenv("PREGATE_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << text.substr(0, from) << computed << text.substr(end);
    GTEST_SKIP() << "SKIPPED: wrote " << path;
  }
  EXPECT_EQ(text.substr(from, end - from), computed) << "if this is meant: PREGATE_UPDATE_GOLDEN=1";
}

TEST(Docs, KernelsRtx3090) { check("kernels-rtx3090"); }
TEST(Docs, KernelsRtxPro6000) { check("kernels-rtxpro6000"); }
TEST(Docs, CopiesPcie3) { check("copies-pcie3"); }
TEST(Docs, CopiesA100) { check("copies-a100"); }
TEST(Docs, CpuExpertsRtx4090) { check("cpu-experts-rtx4090"); }
TEST(Docs, KtransformersDeepseekV3) { check("ktransformers-deepseek-v3"); }
TEST(Docs, LlamacppGptOss120b) { check("llamacpp-gpt-oss-120b"); }
TEST(Docs, LlamacppAllOnGpu) { check("llamacpp-all-on-gpu"); }
TEST(Docs, LlamacppCpuFormats) { check("llamacpp-cpu-formats"); }
TEST(Docs, IkLlamacppCpuFormats) { check("ikllamacpp-cpu-formats"); }
TEST(Docs, LlamacppPromptTiles) { check("llamacpp-prompt-tiles"); }
TEST(Docs, CommunityBlind) { check("community-blind"); }
TEST(Docs, LlamacppSmallGpus) { check("llamacpp-small-gpus"); }
TEST(Docs, CommunityOthers) { check("community-others"); }
TEST(Docs, CommunityRtx2080) { check("community-rtx2080"); }
TEST(Docs, CommunityRtx4090) { check("community-rtx4090"); }
TEST(Docs, CommunityRtx3090GptOss120b) { check("community-rtx3090-gpt-oss-120b"); }
TEST(Docs, CommunityRtx3090Mixtral) { check("community-rtx3090-mixtral"); }
TEST(Docs, CommunityKtransformers) { check("community-ktransformers"); }
TEST(Docs, ImpQwen3) { check("imp-qwen3"); }
TEST(Docs, WarpKimiDrive) { check("warp-kimi-drive"); }
TEST(Docs, StreamlxDrive) { check("streamlx-drive"); }
TEST(Docs, SparkLaguna) { check("spark-laguna"); }
TEST(Docs, StrataRtx2080Ti) { check("strata-rtx2080ti"); }
TEST(Docs, KtransformersPlacement) { check("ktransformers-placement"); }
TEST(Docs, FiddlerMixtral) { check("fiddler-mixtral"); }
TEST(Docs, KlotskiRtx3090) { check("klotski-rtx3090"); }
TEST(Docs, MoeLightningT4) { check("moe-lightning-t4"); }
TEST(Docs, MixtralOffloading) { check("mixtral-offloading"); }
TEST(Docs, AdapMoEMixtral) { check("adapmoe-mixtral"); }
TEST(Docs, CollaborativeRtx4090) { check("collaborative-rtx4090"); }
TEST(Docs, EdgeMoETx2) { check("edgemoe-tx2"); }
TEST(Docs, DaopA6000) { check("daop-a6000"); }
TEST(Docs, ServingH100) { check("serving-h100"); }
TEST(Docs, ServingH100Others) { check("serving-h100-others"); }
TEST(Docs, CacheReplay) {
  PREGATE_NEEDS_SHARED_DATA();
  check("cache-replay-qwen3");
  check("cache-replay-olmoe");
  check("imp-replay-qwen3");
}
TEST(Docs, PregatedA100) {
  PREGATE_NEEDS_SHARED_DATA();
  check("pregated-a100");
}

TEST(Docs, EveryCaseHasItsPage) {
  for (const std::string& name : case_names()) {
    EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(PREGATE_SOURCE_DIR) / "docs" / "validation" /
                                        (name + ".md")))
        << name;
  }
}

}  // namespace
}  // namespace pregate::validation
