// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// execute, calibrate and validate on the host device, as their users run them.
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/program_test.hpp"
#include "tests/runtime/safetensors_writer.hpp"

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
    write_profile("profile.toml", 6);
    succeed({"trace", "generate", "--profile", "./profile.toml", "--requests", "2", "-o", "small.db"});
  }
  void write_profile(const std::string& name, std::int64_t decode_steps) const {
    std::string layers;
    for (const char* layer : {"0", "1"})
      layers += std::string("  { stack = 0, layer = ") + layer +
                ", experts = 8, top_k = 2, popularity_skew = 0.5, temporal_repeat = 0.2, cross_layer = 0.0, "
                "active_share = 1.0 },\n";
    write(
        name,
        "name = \"small\"\nsource = \"test\"\nmodel = \"small\"\nstacks = [\"decoder\"]\nencoder_tokens = 0\n"
        "prefill_tokens = 3\ndecode_steps = " +
            std::to_string(decode_steps) + "\nsequences = 1\nlayers = [\n" + layers + "]\n");
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
  EXPECT_EQ(ladder["failed"].get<bool>() || ladder["undecided"].get<bool>(), outcome.exit_code == 1);
  EXPECT_EQ(ladder["format_version"], 1);
  // Times of copies grow with size, however noisy this machine was.
  std::istringstream machine(read("mine.toml"));
  double longest = 0;
  int points = 0;
  for (std::string line; std::getline(machine, line);) {
    if (line.starts_with("[")) longest = 0;
    double bytes = 0, rate = 0;
    if (std::sscanf(line.c_str(), " { size = \"%lf B\", rate = \"%lf GB/s\" }", &bytes, &rate) != 2) continue;
    EXPECT_GE(bytes / rate, longest * (1 - 1e-6)) << line;  // pooled points share their time
    longest = bytes / rate;
    ++points;
  }
  EXPECT_GT(points, 2);
  EXPECT_THAT(read("v.html"), HasSubstr("<svg"));
}

// Each is executed as it is simulated: the same copies, of the same bytes.
TEST_F(OnDevice, ChunksMicroBatchesFormatsAndDropping) {
  struct Case {
    Words options;
    const char* note;
  };
  for (const Case& each :
       {Case{{"--policy", "pre-gated", "--prompt-chunk", "2"}, ""},
        Case{{"--policy", "pre-gated", "--prompt-chunk", "3"}, "--prompt-chunk 3 cuts nothing"},
        Case{{"--policy", "on-demand", "--batch", "2", "--set", "policy.compute.micro_batches=2"}, ""},
        Case{{"--policy", "mc-moe", "--set", "policy.formats.low=mxfp4"}, "computed in mxfp4"}}) {
    SCOPED_TRACE(each.options.back());
    Words execute = small({"execute", "--json", "e.json"}),
          simulate{"simulate", "--trace", "small.db", "--model", "./small.toml", "--json", "s.json"};
    for (Words* words : {&execute, &simulate})
      words->insert(words->end(), each.options.begin(), each.options.end());
    succeed(execute);
    succeed(simulate);
    const auto executed = nlohmann::json::parse(read("e.json")),
               simulated = nlohmann::json::parse(read("s.json"));
    const auto &measured = executed["results"][0], &predicted = simulated["results"][0];
    EXPECT_EQ(measured["h2d_bytes"], predicted["h2d_bytes"]);
    EXPECT_EQ(measured["fetches"], predicted["fetches"]);
    EXPECT_EQ(measured["decode_steps"], predicted["decode_steps"]);
    EXPECT_EQ(executed["config"]["prompt_chunk"].get<int>(),
              each.options[2] == "--prompt-chunk" ? simulated["config"]["prompt_chunk"].get<int>() : 0);
    EXPECT_THAT(executed.dump(), HasSubstr(each.note));
  }
}

TEST_F(OnDevice, AttentionOverAKvCache) {
  succeed(small({"execute", "--policy", "on-demand", "--attention", "kv-cache", "--json", "a.json"}));
  succeed(small({"execute", "--policy", "on-demand", "--json", "b.json"}));
  const auto with = nlohmann::json::parse(read("a.json")), without = nlohmann::json::parse(read("b.json"));
  EXPECT_THAT(with.dump(), HasSubstr("attention over a KV cache is executed, in fp32"));
  EXPECT_THAT(without.dump(), Not(HasSubstr("over a KV cache")));
  EXPECT_EQ(with["results"][0]["h2d_bytes"], without["results"][0]["h2d_bytes"]);
  expect_refused(small({"execute", "--attention", "flash"}), {"--attention", "'flash'", "hint:", "kv-cache"});
  expect_refused({"execute", "--device", "host", "--model", "switch-base-8", "--attention", "kv-cache"},
                 {"switch-base-8", "decoders alone", "hint:"});
}

TEST_F(OnDevice, ExpertsInQ4K) {
  expect_refused(small({"execute", "--weights", "q4_k"}),
                 {"no whole number of blocks of 256", "q4_k", "--weights"});
  std::string wide = read("small.toml");
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"d_model = 64", "d_model = 256"},
                                 {"ffn_dim = 128", "ffn_dim = 256"}})
    wide.replace(wide.find(from), from.size(), to);
  write("wide.toml", wide);
  const Words words{"--trace",   "small.db", "--model",  "./wide.toml",
                    "--weights", "q4_k",     "--policy", "on-demand"};
  Words execute{"execute", "--device", "host", "--json", "e.json"}, simulate{"simulate", "--json", "s.json"};
  execute.insert(execute.end(), words.begin(), words.end());
  simulate.insert(simulate.end(), words.begin(), words.end());
  succeed(execute);
  succeed(simulate);
  const auto executed = nlohmann::json::parse(read("e.json"))["results"][0],
             simulated = nlohmann::json::parse(read("s.json"))["results"][0];
  EXPECT_EQ(executed["h2d_bytes"], simulated["h2d_bytes"]);
  EXPECT_EQ(executed["h2d_bytes"].get<std::int64_t>(),
            executed["fetches"].get<std::int64_t>() * (3 * 256 * 256 / 256 * 144));
}

TEST_F(OnDevice, Refusals) {
  expect_refused({"execute", "--device", "tpu"}, {"--device", "'tpu'", "hint:", "host, cuda"});
  expect_refused(small({"execute", "--gpu-memory", "4000TB"}), {"--gpu-memory", "hint:"});
  expect_refused(small({"execute", "--gpu-memory", "4"}), {"--gpu-memory", "hint:"});
  expect_refused(small({"execute", "--weights", "bf16"}), {"bf16", "hint:", "--weights"});
  expect_refused(small({"execute", "--policy", "on-demand,pre-gated", "--timeline", "t.json"}),
                 {"--policy", "hint:", "one policy"});
  expect_refused(small({"execute", "--distinct-experts", "0"}), {"--distinct-experts"});
  expect_refused(small({"execute", "--experts-on-ssd", "no/such/folder"}),
                 {"--experts-on-ssd", "no/such/folder", "hint:"});
  expect_refused(small({"execute", "--experts-on-ssd", ""}), {"--experts-on-ssd", "hint:"});
  expect_refused({"calibrate"}, {"--output", "hint:", "-o"});
  expect_refused({"calibrate", "-o", "machine.json"}, {"--output", ".toml", "hint:"});
  expect_refused({"calibrate", "-o", "no/such/folder/m.toml"}, {"no/such/folder"});
  expect_refused({"calibrate", "-o", "m.toml", "--model", "qwen3-30b-a3b", "--device", "host"},
                 {"bf16", "hint:", "--weights"});
  for (const char* low : {"fp32", "mxfp4,mxfp4"})
    expect_refused({"calibrate", "-o", "m.toml", "--model", "./small.toml", "--low-weights", low},
                   {"--low-weights", "measured already", "hint:"});
  expect_refused({"calibrate", "-o", "m.toml", "--model", "./small.toml", "--low-weights", "int2_g64"},
                 {"int2_g64", "hint:"});
  expect_refused(small({"validate", "--machine", "a100-80g-pcie4", "--json", "x", "--report", "x"}),
                 {"--report", "--json", "hint:"});
  expect_refused({"validate", "published", "--json", "x", "--report", "./x"},
                 {"--report", "--json", "hint:"});
  expect_refused(small({"validate"}), {"--machine", "hint:", "pregate calibrate"});
  expect_refused(small({"validate", "--machine", "a100-80g-pcie4", "--batches", "0"}),
                 {"--batches", "hint:"});
  expect_refused(small({"validate", "--machine", "a100-80g-pcie4", "--policy", "on-demand,adapmoe"}),
                 {"policy adapmoe", "gate weights"});
  expect_refused(small({"validate", "--machine", "a100-80g-pcie4", "--csv", "x.csv"}),
                 {"--csv", "hint:", "--json"});
}

TEST_F(OnDevice, ExpertsFromAFile) {
  std::vector<WrittenTensor> tensors;
  const std::string expert = "model.layers.1.block_sparse_moe.experts.3.", zeros(4 * 64 * 128, '\0');
  for (const char* name : {"w1", "w3"})
    tensors.push_back({expert + name + ".weight", "F32", {128, 64}, zeros});
  tensors.push_back({expert + "w2.weight", "F32", {64, 128}, zeros});
  const std::string whole = safetensors_file(tensors);
  write("w.safetensors", whole);
  EXPECT_THAT(succeed(small({"execute", "--weights-file", "w.safetensors", "--json", "m.json"})),
              HasSubstr("1 of 16 experts have real weights, from w.safetensors (1)"));
  EXPECT_THAT(read("m.json"), HasSubstr("1 of 16 experts have real weights"));

  write("truncated.safetensors", whole.substr(0, whole.size() - 1));
  write("other.safetensors", safetensors_file("{}", ""));
  const auto refused = [&](const Words& more, const std::vector<std::string>& mentions) {
    Words words = small({"execute", "--json", "x.json"});
    words.insert(words.end(), more.begin(), more.end());
    expect_refused(words, mentions);
  };
  refused({"--weights-file", "truncated.safetensors"}, {"truncated.safetensors", "ends inside", "hint:"});
  refused({"--weights-file", "w.safetensors", "--weights-file", "truncated.safetensors"}, {"truncated"});
  refused({"--weights-file", "w.safetensors", "--weights-file", "w.safetensors"}, {"is also in", "hint:"});
  refused({"--weights-file", "other.safetensors"}, {"other.safetensors", "none of its 0 tensors", "hint:"});
  refused({"--weights-file", "small.db"}, {"small.db", "hint:"});
  refused({"--weights-file", "absent"}, {"absent", "No such file"});
  refused({"--weights-file", "w.safetensors", "--distinct-experts", "4"}, {"--distinct-experts", "hint:"});
}

TEST_F(OnDevice, ExpertsOnADrive) {
  const Outcome first = run(small({"execute", "--experts-on-ssd", ".", "--json", "m.json"}));
  if (first.err.find("O_DIRECT") != std::string::npos)
    GTEST_SKIP() << "SKIPPED: no direct reads: " << first.err;
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("experts are fetched from a file in '.', past the page cache"));
  succeed({"calibrate", "--device", "host", "--model", "./small.toml", "--seconds", "1", "--max-tokens", "2",
           "--gpu-memory", "64MiB", "--accept-noise", "--experts-on-ssd", ".", "-o", "drive.toml"});
  EXPECT_THAT(read("drive.toml"), HasSubstr("reads of one size from a file"));
  const Outcome outcome =
      run(small({"validate", "--machine", "./drive.toml", "--policy", "on-demand", "--repeats", "2",
                 "--max-tokens", "2", "--gpu-memory", "64MiB", "--experts-on-ssd", ".", "--json", "v.json"}));
  EXPECT_TRUE(outcome.exit_code == 0 || outcome.exit_code == 1) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(read("v.json"))["tiers"][0]["verdict"], "pass");
}

// Ctrl-C while the weights are made: nothing was measured, and every policy says so.
TEST_F(OnDevice, AnInterruptedRunListsEveryPolicyAndNoRate) {
  write_profile("long.toml", 2000);  // not over before the signal comes
  succeed(
      {"trace", "generate", "--profile", "./long.toml", "--requests", "1", "-o", "small.db", "--overwrite"});
  const Outcome outcome =
      run(small({"execute", "--policy", "pre-gated,on-demand", "--json", "m.json"}),
          {.kill_signal = SIGINT, .kill_when_shown = "executing pre-gated: making weights"});
  ASSERT_EQ(outcome.exit_code, 1) << outcome.err;
  const auto results = nlohmann::json::parse(read("m.json"))["results"];
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[1]["policy"], "on-demand");
  for (const auto& result : results) {
    EXPECT_EQ(result["status"], "interrupted");
    EXPECT_EQ(result.contains("tokens_per_s"), result.contains("total_ms"));
  }
  EXPECT_FALSE(results[1].contains("tokens_per_s"));
}

// Ctrl-C in the middle of a long run: what was recorded is whole, up to the last pass.
TEST_F(OnDevice, AnInterruptedRunIsCompleteUpToItsLastPass) {
  constexpr std::int64_t passes = 100'000;  // a minute and more
  write_profile("long.toml", passes);
  succeed({"trace", "generate", "--profile", "./long.toml", "--requests", "1", "-o", "long.db"});
  const Outcome outcome =
      run({"execute", "--device", "host", "--trace", "long.db", "--model", "./small.toml", "--policy",
           "pre-gated", "--json", "m.json", "--schedule", "s.json", "--record-steps", "20"},
          {.kill_signal = SIGINT, .kill_when_shown = "executing pre-gated 1 %"});
  ASSERT_EQ(outcome.exit_code, 1) << outcome.err;
  const auto result = nlohmann::json::parse(read("m.json"))["results"][0];
  const std::string said = "interrupted: it ended after ", notes = result["notes"].dump();
  ASSERT_THAT(notes, HasSubstr(said));
  const auto steps = std::stoll(notes.substr(notes.find(said) + said.size()));
  EXPECT_GE(steps, passes / 100);
  EXPECT_LT(steps, passes);
  EXPECT_TRUE(result["tokens_per_s"].is_number());
  EXPECT_EQ(result["status"], "interrupted");
  const auto schedule = nlohmann::json::parse(read("s.json"));
  EXPECT_EQ(schedule["operations"].back()["step"], 19);
}

}  // namespace
}  // namespace pregate::test
