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
  ASSERT_EQ(machine["upgrades"].size(), 6U);
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

/// Ways over several GPUs.
class AdviseSeveral : public Advise {
 protected:
  /// The first whose name begins so and that is over so many GPUs.
  static Json over(const Json& machine, const std::string& name, int gpus) {
    for (const Json& each : machine["settings"]) {
      if (each["name"].get<std::string>().starts_with(name) && each.value("gpus", 1) == gpus) return each;
    }
    ADD_FAILURE() << name << " over " << gpus << " GPUs was not tried";
    return {};
  }
  Json compare(Words words) const {
    words.insert(words.begin(), "compare");
    words.insert(words.end(), {"--prompt", "64", "--output", "16", "--json", "c.json"});
    succeed(words);
    return Json::parse(read("c.json"))["results"][0];
  }
};

// Experts of the first layers on the CPU, of all others on the GPU that has the layer: as many as fit, one
// more does not, and the command says which.
TEST_F(AdviseSeveral, LayersAreSplitAsTheCommandSays) {
  const Json machine = ask({"--model", "gpt-oss-120b", "--machine", "2xrtx3090-pcie4"})["machines"][0];
  EXPECT_EQ(machine["gpus"], 2);
  const Json split = over(machine, "llama.cpp -ncmoe, layers", 2);
  std::smatch cpu, shares, placed;
  const std::string command = split["command"], text = split["setting"];
  ASSERT_TRUE(std::regex_search(command, cpu, std::regex("--n-cpu-moe ([0-9]+) "))) << command;
  ASSERT_TRUE(std::regex_search(command, shares, std::regex("-sm layer -ts ([0-9]+),([0-9]+) "))) << command;
  ASSERT_TRUE(std::regex_search(text, placed, std::regex("^([0-9]+) of 36 MoE layers"))) << text;
  // The head counts as one more layer of the last GPU.
  const int on_cpu = std::stoi(cpu[1]), first = std::stoi(shares[1]), second = std::stoi(shares[2]) - 1;
  EXPECT_EQ(first + second, 36);
  EXPECT_EQ(std::stoi(placed[1]) + on_cpu, 36);
  EXPECT_GE(first - on_cpu, second);
  EXPECT_LE(first - on_cpu, second + 1);
  const auto with = [&](int of_first, int of_second, int most) {
    return compare({"--model", "gpt-oss-120b", "--machine", "rtx3090-pcie4", "--gpus", "2", "--software",
                    "llama-cpp", "--policy", "llama-cpp-ncmoe", "--set",
                    "parallel.layers=" + std::to_string(of_first) + "," + std::to_string(of_second), "--set",
                    "policy.placement.count=" + std::to_string(most)});
  };
  const Json same = with(first, second, first - on_cpu);
  EXPECT_EQ(same["status"], "ok");
  EXPECT_EQ(same["decode_tokens_per_s"], split["decode_tokens_per_s"]);
  // One more goes to the first GPU where both have as many, else to the second.
  const bool even = first - on_cpu == second;
  const Json more = even ? with(first, second, second + 1) : with(first - 1, second + 1, second + 1);
  EXPECT_EQ(more["status"], "out-of-memory");
  // On one of the two.
  EXPECT_THAT(std::string(over(machine, "llama.cpp -ncmoe, one", 1)["command"]), HasSubstr(" -sm none "));
}

// 12 GiB of weights on two cards of 12 GiB: llama.cpp's own split, 17 places for 16 layers and the head.
TEST_F(AdviseSeveral, WhatFitsTwoIsTriedInEveryWayOfSoftware) {
  const Json machine =
      ask({"--model", "olmoe-1b-7b", "--machine", "rtx3060-pcie4", "--gpus", "2"})["machines"][0];
  const Json layers = over(machine, "llama.cpp, layers", 2);
  EXPECT_THAT(std::string(layers["command"]), HasSubstr(" -sm layer -ts 9,8 "));
  EXPECT_TRUE(over(machine, "llama.cpp, all on the GPU, one", 1).contains("left_out"));
  const Json tensor = over(machine, "vLLM, TP 2", 2), experts = over(machine, "vLLM, TP 2 + EP", 2),
             stages = over(machine, "vLLM, PP 2", 2);
  EXPECT_THAT(std::string(tensor["command"]), HasSubstr(" --tensor-parallel-size 2 --max-model-len"));
  EXPECT_THAT(std::string(experts["command"]),
              HasSubstr(" --tensor-parallel-size 2 --enable-expert-parallel "));
  EXPECT_THAT(std::string(stages["command"]), HasSubstr(" --pipeline-parallel-size 2 "));
  EXPECT_THAT(std::string(over(machine, "SGLang, TP 2 + EP", 2)["command"]),
              HasSubstr(" --tp-size 2 --ep-size 2 "));
  const auto rate = [&](const Words& ways) {
    Words words{"--model",    "olmoe-1b-7b", "--machine", "rtx3060-pcie4",
                "--software", "vllm",        "--policy",  "gpu-only"};
    words.insert(words.end(), ways.begin(), ways.end());
    return compare(words)["decode_tokens_per_s"];
  };
  EXPECT_EQ(tensor["decode_tokens_per_s"], rate({"--tp", "2"}));
  EXPECT_EQ(experts["decode_tokens_per_s"], rate({"--ep", "2"}));
  EXPECT_EQ(stages["decode_tokens_per_s"], rate({"--pp", "2"}));
  // Requests of their own need two of them.
  for (const Json& each : machine["settings"])
    EXPECT_FALSE(each["name"].get<std::string>().starts_with("vLLM, DP")) << each;
  const Json batch =
      ask({"--model", "olmoe-1b-7b", "--machine", "2xrtx3060-pcie4", "--batch", "4"})["machines"][0];
  EXPECT_THAT(
      std::string(over(batch, "vLLM, DP 2 + EP", 2)["command"]),
      HasSubstr(" --data-parallel-size 2 --enable-expert-parallel --max-model-len 80 --max-num-seqs 2"));
}

// The upgrade of a machine of one GPU is what the same command says of two.
TEST_F(AdviseSeveral, ASecondGpuIsAnUpgrade) {
  const Json one = ask({"--model", "gpt-oss-20b", "--machine", "rtx3060-pcie4"})["machines"][0];
  const Json& upgrade = one["upgrades"].back();
  EXPECT_EQ(upgrade["with"], "a second GPU of the same kind");
  EXPECT_GT(upgrade["best"]["decode_tokens_per_s"], one["best"]["decode_tokens_per_s"]);
  const Json two = ask({"--model", "gpt-oss-20b", "--machine", "2xrtx3060-pcie4"})["machines"][0];
  const Json same = over(two, upgrade["best"]["name"], upgrade["best"].value("gpus", 1));
  EXPECT_EQ(same["decode_tokens_per_s"], upgrade["best"]["decode_tokens_per_s"]);
  EXPECT_EQ(two["upgrades"].back()["with"], "4 such GPUs");
  // GPU and host share one memory.
  const Json shared = ask({"--model", "gpt-oss-20b", "--machine", "strix-halo-unified"})["machines"][0];
  for (const Json& each : shared["upgrades"])
    EXPECT_EQ(each["with"].get<std::string>().find("GPU of the same kind"), std::string::npos) << each;
}

TEST_F(AdviseSeveral, TwoOfOneKindOrOneOfAnother) {
  const std::string out = succeed({"advise", "--model", "gpt-oss-20b", "--machine",
                                   "2xrtx3060-pcie4,rtx3090-pcie4", "--prompt", "64", "--output", "16"});
  EXPECT_THAT(out, HasSubstr("2xrtx3060-pcie4"));
  EXPECT_THAT(out, HasSubstr("  rtx3090-pcie4"));
}

// GPUs that differ: layers by memory, and none of the ways in which all share a layer.
TEST_F(AdviseSeveral, GpusThatDifferHaveLayersOfTheirOwn) {
  const std::string larger_first =
      write("pair.toml", "extends = \"rtx3090-pcie4\"\ngpu.others = \"rtx3060-pcie4\"\n");
  const Json pair = ask({"--model", "gpt-oss-20b", "--machine", larger_first})["machines"][0];
  EXPECT_EQ(pair["gpus"], 2);
  EXPECT_TRUE(over(pair, "llama.cpp, layers", 2).contains("command"));
  EXPECT_THAT(std::string(over(pair, "vLLM, TP 2", 2)["left_out"]), HasSubstr("GPUs differ"));
  const std::string smaller_first =
      write("turned.toml", "extends = \"rtx3060-pcie4\"\ngpu.others = \"rtx3090-pcie4\"\n");
  const Json turned = ask({"--model", "gpt-oss-120b", "--machine", smaller_first})["machines"][0];
  EXPECT_THAT(std::string(over(turned, "llama.cpp -ncmoe, layers", 2)["left_out"]),
              HasSubstr("the larger GPU first"));
  expect_refused({"advise", "--model", "gpt-oss-20b", "--machine", larger_first, "--gpus", "3"},
                 {"--gpus", "different kinds"});
}

TEST_F(AdviseSeveral, WhatMeansNothingIsRefused) {
  expect_refused({"advise", "--model", "olmoe-1b-7b", "--machine", "9xrtx3060-pcie4"}, {"9 GPUs", "8x"});
  expect_refused({"advise", "--model", "olmoe-1b-7b", "--machine", "12xrtx3060-pcie4"}, {"12 GPUs"});
  expect_refused({"advise", "--model", "olmoe-1b-7b", "--machine", "0xrtx3060-pcie4"}, {"0 GPUs"});
  expect_refused({"advise", "--model", "olmoe-1b-7b", "--machine", "2xrtx3060-pcie5"}, {"rtx3060-pcie5"});
  expect_refused({"advise", "--model", "olmoe-1b-7b", "--machine", "rtx3060-pcie4", "--gpus", "9"},
                 {"--gpus"});
  expect_refused(
      {"advise", "--model", "olmoe-1b-7b", "--machine", "rtx3060-pcie4", "--set", "parallel.tensor=2"},
      {"parallel.tensor", "--gpus"});
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
