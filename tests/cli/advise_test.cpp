// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// `advise`, and `compare --policy all`, from which it takes its research.
#include <nlohmann/json.hpp>

#include <algorithm>
#include <regex>

#include "models/catalog.hpp"
#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class Advise : public ProgramTest {
 protected:
  Json ask(Words words) const {
    words.insert(words.begin(), "advise");
    words.insert(words.end(), {"--prompt", "64", "--output", "16", "--json", "a.json"});
    succeed(words);
    return Json::parse(read("a.json"));
  }
  /// Of a policy on a software, the first.
  static Json setting(const Json& machine, const std::string& policy, const std::string& software) {
    for (const Json& each : machine["settings"]) {
      if (each["policy"] == policy && each["software"] == software) return each;
    }
    ADD_FAILURE() << policy << " on " << software << " was not tried";
    return {};
  }
};

// All experts together are more than the host's 64 GiB; without those on the GPU they are not.
TEST_F(Advise, WhatIsOnTheGpuNeedNotFitTheHost) {
  const Json machine = ask({"--model", "gpt-oss-120b", "--machine", "rtx3090-pcie4", "--host",
                            "desktop-ddr4-3200", "--weights", "q4_k_m"})["machines"][0];
  const Json split = setting(machine, "llama-cpp-ncmoe", "llama-cpp");
  EXPECT_FALSE(split.contains("left_out")) << split;
  EXPECT_LE(split["host_memory_bytes"], 64LL << 30);
  EXPECT_GT(split["host_memory_bytes"], 56LL << 30);
  EXPECT_TRUE(setting(machine, "experts-on-cpu", "ktransformers").contains("left_out"));
}

// What fits neither is read from the drive; the page cache is the host's memory but a tenth.
TEST_F(Advise, AFileLargerThanTheMemoryIsMapped) {
  const Json machine = ask({"--model", "qwen3-235b-a22b", "--machine", "rtx3090-pcie4", "--host",
                            "desktop-ddr4-3200", "--weights", "q4_k_m"})["machines"][0];
  EXPECT_TRUE(setting(machine, "llama-cpp-ncmoe", "llama-cpp").contains("left_out"));
  const Json mapped = setting(machine, "llama-cpp-mmap", "llama-cpp");
  EXPECT_THAT(std::string(mapped["command"]), HasSubstr(" --cpu-moe "));
  EXPECT_LE(mapped["host_memory_bytes"], (64LL << 30) * 9 / 10);
  EXPECT_GT(mapped["host_memory_bytes"], (64LL << 30) * 88 / 100);
}

TEST_F(Advise, FillsTheCardAndNoFurther) {
  const Json machine = ask({"--model", "gpt-oss-120b", "--machine", "rtx3090-pcie4"})["machines"][0];
  const Json split = setting(machine, "llama-cpp-ncmoe", "llama-cpp");
  std::smatch layers;
  const std::string text = split["setting"];
  ASSERT_TRUE(std::regex_search(text, layers, std::regex("^([0-9]+) of 36 MoE layers"))) << text;
  const int count = std::stoi(layers[1]);
  EXPECT_THAT(std::string(split["command"]), HasSubstr("--n-cpu-moe " + std::to_string(36 - count) + " "));
  // As the program itself says of the same policy: so many fit, one more does not.
  const auto status = [&](int resident) {
    succeed({"compare", "--model", "gpt-oss-120b", "--machine", "rtx3090-pcie4", "--prompt", "64", "--output",
             "16", "--software", "llama-cpp", "--policy", "llama-cpp-ncmoe", "--set",
             "policy.placement.count=" + std::to_string(resident), "--json", "c.json"});
    return Json::parse(read("c.json"))["results"][0];
  };
  EXPECT_EQ(status(count)["status"], "ok");
  EXPECT_EQ(status(count)["decode_tokens_per_s"], split["decode_tokens_per_s"]);
  EXPECT_EQ(status(count + 1)["status"], "out-of-memory");
  EXPECT_TRUE(setting(machine, "gpu-only", "llama-cpp").contains("left_out"));
}

// People run gpt-oss-20b on a card of 12 GiB with two of its 24 layers on the CPU: in a file for llama.cpp
// all but the experts is q8_0, and the input embedding is not on the GPU.
TEST_F(Advise, GptOss20bRunsOnTwelveGibibytesWithTwoLayersOnTheCpu) {
  const auto result = [&](const Words& more) {
    Words words{"compare",
                "--model",
                "gpt-oss-20b",
                "--machine",
                "rtx3060-pcie4",
                "--prompt",
                "64",
                "--output",
                "16",
                "--policy",
                "llama-cpp-ncmoe",
                "--set",
                "policy.placement.count=22",
                "--json",
                "c.json"};
    words.insert(words.end(), more.begin(), more.end());
    succeed(words);
    return Json::parse(read("c.json"))["results"][0];
  };
  EXPECT_EQ(result({})["status"], "ok");
  EXPECT_EQ(result({"--dense-weights", "q8_0"})["decode_tokens_per_s"], result({})["decode_tokens_per_s"]);
  EXPECT_EQ(result({"--dense-weights", "bf16"})["status"], "out-of-memory");
}

TEST_F(Advise, TheBestCanBeRunAndIsTheFastestOfThose) {
  const Json machine = ask({"--model", "qwen3-30b-a3b", "--machine", "rtx4090-pcie4"})["machines"][0];
  ASSERT_TRUE(machine["best"].contains("command"));
  for (const Json& each : machine["settings"]) {
    if (each.contains("command") && each.contains("decode_tokens_per_s")) {
      EXPECT_LE(each["decode_tokens_per_s"], machine["best"]["decode_tokens_per_s"]) << each;
    }
  }
  // A bf16 model of 57 GiB on 24 GiB: four bits fit as a whole and are tried too.
  EXPECT_EQ(machine["best"]["policy"], "gpu-only");
  EXPECT_EQ(machine["best"]["weights"], "q4_k_m");
  ASSERT_EQ(machine["upgrades"].size(), 5U);
  for (const Json& upgrade : machine["upgrades"])
    EXPECT_GE(upgrade["best"]["decode_tokens_per_s"], machine["best"]["decode_tokens_per_s"])
        << upgrade["with"];
}

TEST_F(Advise, NamesTheFirstMachineThatReachesWhatIsWanted) {
  const std::string out =
      succeed({"advise", "--model", "olmoe-1b-7b", "--machine", "rtx3060-pcie4,rtx4090-pcie4", "--want",
               "1tok/s", "--prompt", "16", "--output", "8"});
  EXPECT_THAT(out, HasSubstr("* rtx3060-pcie4"));
  EXPECT_THAT(out, Not(HasSubstr("* rtx4090-pcie4")));
  const Outcome beyond = run({"advise", "--model", "olmoe-1b-7b", "--machine", "rtx3060-pcie4", "--want",
                              "1000000", "--prompt", "16", "--output", "8"});
  EXPECT_EQ(beyond.exit_code, 2);
  EXPECT_THAT(beyond.err, HasSubstr("the fastest gives"));
}

TEST_F(Advise, CommandsRunWhatWasSimulated) {
  // Eight sequences of 80 tokens share what llama-server keeps.
  const Json batch =
      ask({"--model", "gpt-oss-20b", "--machine", "rtx4090-pcie4", "--batch", "8"})["machines"][0];
  EXPECT_THAT(std::string(batch["best"]["command"]), HasSubstr("-c 640 -np 8"));
  // vLLM serves the checkpoint's own format, whatever was asked.
  const Json narrow =
      ask({"--model", "qwen3-30b-a3b", "--machine", "rtx4090-pcie4", "--weights", "q4_k_m"})["machines"][0];
  for (const Json& each : narrow["settings"]) EXPECT_NE(each["software"], "vllm");
  // A name that a shell would take apart.
  const std::string file = write("my model;x.toml", content_of(std::filesystem::path(PREGATE_SOURCE_DIR) /
                                                               "models/catalog/models/olmoe-1b-7b.toml"));
  const Json named = ask({"--model", file, "--machine", "rtx4090-pcie4"})["machines"][0];
  EXPECT_THAT(std::string(named["best"]["command"]), Not(HasSubstr(" -m my ")));
}

TEST_F(Advise, AModelWithAnEncoderHasNoCommand) {
  const Json machine = ask({"--model", "nllb-moe-54b", "--machine", "rtx4090-pcie4"})["machines"][0];
  for (const Json& each : machine["settings"]) EXPECT_FALSE(each.contains("command")) << each;
}

TEST_F(Advise, AMachineThatSaysItsSoftwareHasNoOther) {
  const Json machine =
      ask({"--model", "switch-base-64", "--machine", "a100-80g-fastertransformer"})["machines"][0];
  for (const Json& each : machine["settings"]) {
    if (each["software"] != "llama-cpp") continue;
    EXPECT_TRUE(each.contains("left_out")) << each;
  }
}

TEST_F(Advise, TriesTheCardsOfABudget) {
  const Json answer = ask({"--model", "gpt-oss-20b", "--budget-vram", "12GB"});
  ASSERT_GT(answer["machines"].size(), 2U);
  for (const Json& each : answer["machines"])
    EXPECT_LE(load_machine(each["machine"]).gpu.memory.count, std::int64_t{12} << 30) << each["machine"];
}

TEST_F(Advise, SaysTheSameOnAnyNumberOfThreads) {
  const Json one = ask({"--model", "olmoe-1b-7b", "--machine", "rtx3060-pcie4", "--threads", "1"});
  EXPECT_EQ(one, ask({"--model", "olmoe-1b-7b", "--machine", "rtx3060-pcie4", "--threads", "3"}));
}

TEST_F(Advise, PagesNeedNothingElseAndHoldTheAnswer) {
  write("odd<b>.toml", "description = \"x\"\nsource = \"y\"\n[cache]\ncapacity = \"25%\"\n");
  const Words shape{"--model", "olmoe-1b-7b", "--prompt", "16", "--output", "8", "--report", "r.html"};
  const auto page_of = [&](Words words) {
    words.insert(words.end(), shape.begin(), shape.end());
    succeed(words);
    std::string page = read("r.html");
    EXPECT_THAT(page, Not(HasSubstr(" src=")));
    EXPECT_THAT(page, Not(HasSubstr(" href=")));
    EXPECT_THAT(page, HasSubstr("</svg>"));
    EXPECT_THAT(page, HasSubstr("name=\"viewport\""));
    std::filesystem::remove(path("r.html"));
    return page;
  };
  const std::string compared =
      page_of({"compare", "--machine", "rtx3060-pcie4", "--policy", "on-demand,./odd<b>.toml"});
  EXPECT_THAT(compared, Not(HasSubstr("odd<b>")));
  EXPECT_THAT(compared, HasSubstr("odd&lt;b&gt;"));
  EXPECT_THAT(page_of({"advise", "--machine", "rtx3060-pcie4"}), HasSubstr("llama-server"));
  EXPECT_THAT(page_of({"advise", "--machine", "rtx3060-pcie4,rtx4090-pcie4"}), HasSubstr("which machine?"));
}

TEST_F(Advise, WhatMeansNothingIsRefused) {
  expect_refused({"advise"}, {"--model"});
  expect_refused({"advise", "--model", "olmoe-1b-7b"}, {"--machine", "--want"});
  expect_refused({"advise", "--model", "olmoe-1b-7b", "--want", "fast"}, {"--want", "40tok/s"});
  expect_refused({"advise", "--model", "olmoe-1b-7b", "--want", "-3"}, {"--want"});
  expect_refused({"advise", "--model", "olmoe-1b-7b", "--budget-vram", "1GB"}, {"--budget-vram"});
  expect_refused({"advise", "--model", "olmoe-1b-7b", "--budget-vram", "16"}, {"--budget-vram"});
  expect_refused({"advise", "--model", "olmoe-1b-7b", "--machine", "rtx3060-pcie4", "--budget-vram", "16GB"},
                 {"--budget-vram", "--machine"});
  expect_refused({"advise", "--model", "olmoe-1b-7b", "--machine", "rtx3060-pcie4,,x"}, {"--machine"});
}

class AllPolicies : public ProgramTest {};

TEST_F(AllPolicies, RunsWhatTheRunPermitsAndNamesTheOthers) {
  const std::string table =
      succeed({"compare", "--model", "olmoe-1b-7b", "--machine", "rtx3090-pcie4", "--prompt", "16",
               "--output", "8", "--cache", "25%", "--policy", "all", "--json", "r.json"});
  const Json all = Json::parse(read("r.json"));
  std::vector<std::string> named;
  for (const Json& each : all["results"]) named.push_back(each["policy"]);
  for (const Json& each : all["left_out"]) {
    named.push_back(each["policy"]);
    EXPECT_FALSE(each["reason"].get<std::string>().empty());
  }
  std::sort(named.begin(), named.end());
  EXPECT_EQ(named, policy_names());
  EXPECT_THAT(table, HasSubstr("\nfetched ahead\n"));
  EXPECT_THAT(table, HasSubstr("\nthe CPU computes misses\n"));
}

TEST_F(AllPolicies, FailsWhereNoneCanRun) {
  expect_refused({"compare", "--model", "olmoe-1b-7b", "--policy", "all", "--set", "policy.cache.sise=3"},
                 {"policy.cache.sise"});
  expect_refused({"simulate", "--model", "olmoe-1b-7b", "--policy", "all"}, {"--policy", "one policy"});
}

}  // namespace
}  // namespace pregate::test
