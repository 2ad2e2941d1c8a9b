// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// execute, calibrate and validate on the host device, as their users run them.
#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using ::testing::HasSubstr;

class OnDevice : public ProgramTest {
 protected:
  OnDevice() {
    write("small.toml",
          "description = \"small\"\nsource = \"test\"\nfamily = \"mixtral\"\nd_model = 64\nvocabulary = 100\n"
          "[weights]\nexperts = \"fp32\"\ndense = \"fp32\"\nkv_cache = \"fp32\"\n[decoder]\nlayers = 2\n"
          "[decoder.attention]\nheads = 4\nkv_heads = 4\nhead_dim = 16\n"
          "[decoder.moe]\nexperts = 8\ntop_k = 2\nffn_dim = 128\ngated = true\n");
    std::string layers;
    for (const char* layer : {"0", "1"})
      layers += std::string("  { stack = 0, layer = ") + layer +
                ", experts = 8, top_k = 2, popularity_skew = 0.5, temporal_repeat = 0.2, cross_layer = 0.0, "
                "active_share = 1.0 },\n";
    write(
        "profile.toml",
        "name = \"small\"\nsource = \"test\"\nmodel = \"small\"\nstacks = [\"decoder\"]\nencoder_tokens = 0\n"
        "prefill_tokens = 3\ndecode_steps = 6\nsequences = 1\nlayers = [\n" +
            layers + "]\n");
    succeed({"trace", "generate", "--profile", "./profile.toml", "--requests", "2", "-o", "small.db"});
  }
  Words small(Words words) const {
    for (const char* word : {"--device", "host", "--trace", "small.db", "--model", "./small.toml"})
      words.emplace_back(word);
    return words;
  }
};

TEST_F(OnDevice, ExecuteCalibrateValidate) {
  const std::string text =
      succeed(small({"execute", "--policy", "gpu-only,on-demand,pre-gated", "--json", "m.json"}));
  EXPECT_THAT(text, HasSubstr("All figures are measured."));
  EXPECT_THAT(text, HasSubstr("measured on host device, "));
  const auto json = nlohmann::json::parse(read("m.json"));
  ASSERT_EQ(json["results"].size(), 3U);
  for (const auto& result : json["results"]) {
    EXPECT_EQ(result["evidence"], "measured");
    EXPECT_GT(result["tokens_per_s"].get<double>(), 0);
  }
  EXPECT_THAT(json["config"]["device"].get<std::string>(), HasSubstr("host device"));

  // The measured schedule and the simulated one are the same file, but for the times and prices.
  succeed(small({"execute", "--policy", "pre-gated", "--schedule", "e.json", "--timeline", "t.json"}));
  const auto executed = nlohmann::json::parse(read("e.json"));
  EXPECT_FALSE(executed["operations"].empty());
  EXPECT_THAT(read("t.json"), HasSubstr("(measured)"));

  succeed({"calibrate", "--device", "host", "--model", "./small.toml", "--seconds", "1", "--max-tokens", "2",
           "--gpu-memory", "64MiB", "--accept-noise", "-o", "mine.toml"});
  succeed({"simulate", "--trace", "small.db", "--model", "./small.toml", "--machine", "./mine.toml"});

  const Outcome outcome =
      run(small({"validate", "--machine", "./mine.toml", "--policy", "on-demand,pre-gated", "--repeats", "2",
                 "--max-tokens", "2", "--gpu-memory", "64MiB", "--json", "v.json", "--report", "v.html"}));
  EXPECT_TRUE(outcome.exit_code == 0 || outcome.exit_code == 1)
      << outcome.err;  // as the machine's noise has it
  const auto ladder = nlohmann::json::parse(read("v.json"));
  EXPECT_EQ(ladder["tiers"][0]["verdict"], "pass");
  EXPECT_EQ(ladder["failed"].get<bool>(), outcome.exit_code == 1);
  EXPECT_THAT(read("v.html"), HasSubstr("<svg"));
}

TEST_F(OnDevice, Refusals) {
  expect_refused({"execute", "--device", "tpu"}, {"--device", "'tpu'", "hint:", "host, cuda"});
  expect_refused(small({"execute", "--gpu-memory", "4000TB"}), {"--gpu-memory", "hint:"});
  expect_refused(small({"execute", "--gpu-memory", "4"}), {"--gpu-memory", "hint:"});
  expect_refused(small({"execute", "--weights", "bf16"}), {"bf16", "hint:", "--weights"});
  expect_refused(small({"execute", "--policy", "on-demand,pre-gated", "--timeline", "t.json"}),
                 {"--policy", "hint:", "one policy"});
  expect_refused(small({"execute", "--distinct-experts", "0"}), {"--distinct-experts"});
  expect_refused({"calibrate"}, {"--output", "hint:", "-o"});
  expect_refused({"calibrate", "-o", "machine.json"}, {"--output", ".toml", "hint:"});
  expect_refused({"calibrate", "-o", "no/such/folder/m.toml"}, {"no/such/folder"});
  expect_refused({"calibrate", "-o", "m.toml", "--model", "qwen3-30b-a3b", "--device", "host"},
                 {"bf16", "hint:", "--weights"});
  expect_refused(small({"validate", "--machine", "a100-80g-pcie4", "--json", "x", "--report", "x"}),
                 {"--report", "--json", "hint:"});
  expect_refused({"validate", "published", "--json", "x", "--report", "./x"},
                 {"--report", "--json", "hint:"});
  expect_refused(small({"validate"}), {"--machine", "hint:", "pregate calibrate"});
  expect_refused(small({"validate", "--machine", "a100-80g-pcie4", "--batches", "0"}),
                 {"--batches", "hint:"});
  expect_refused(small({"validate", "--machine", "a100-80g-pcie4", "--csv", "x.csv"}),
                 {"--csv", "hint:", "--json"});
}

// Ctrl-C: what was recorded is whole, up to the last pass.
TEST_F(OnDevice, AnInterruptedRunIsCompleteUpToItsLastPass) {
  const Outcome outcome =
      run(small({"execute", "--policy", "pre-gated", "--set", "model.d_model=1024", "--json", "m.json"}),
          {.kill_signal = SIGINT, .kill_after_ms = 150});
  EXPECT_NE(outcome.exit_code,
            2);  // done before it came (0), after a pass (1), or before the run began (a signal)
  if (outcome.exit_code == 0 || outcome.exit_code == 1) {
    EXPECT_TRUE(nlohmann::json::parse(read("m.json"))["results"].is_array());
  } else {
    EXPECT_FALSE(files().contains("m.json"));
  }
}

}  // namespace
}  // namespace pregate::test
