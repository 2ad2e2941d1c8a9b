// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Runs on several GPUs: options, what results say of them, what is refused.
#include <nlohmann/json.hpp>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using Json = nlohmann::json;

class SeveralGpus : public ProgramTest {
 protected:
  Json compare(Words words) {
    words.insert(words.begin(), {"compare", "--model", "olmoe-1b-7b", "--machine", "rtx4090-pcie4",
                                 "--prompt", "4", "--output", "6", "--requests", "2"});
    words.insert(words.end(), {"--json", "r.json"});
    succeed(words);
    return Json::parse(read("r.json"));
  }
};

TEST_F(SeveralGpus, OptionsAreShorthandForKeys) {
  const Json run = compare({"--policy", "gpu-only,on-demand-cache", "--pp", "2", "--ep", "2"});
  const Json& parallel = run["config"]["parallel"];
  EXPECT_EQ(parallel["gpus"], 4);
  EXPECT_EQ(parallel["pipeline"], 2);
  EXPECT_EQ(parallel["tensor"], 2);
  EXPECT_EQ(parallel["experts"], "whole");
  EXPECT_EQ(run["config"]["machine"]["gpu"]["count"], 4);
  for (const Json& result : run["results"]) {
    EXPECT_EQ(result["status"], "ok");
    ASSERT_EQ(result["gpus"].size(), 4U);
    EXPECT_GT(result["limits"]["share"]["exchanges"], 0.0);
    EXPECT_NE(result["confidence"]["reason"].get<std::string>().find("several GPUs"), std::string::npos);
  }
  const Json same = compare({"--policy", "gpu-only,on-demand-cache", "--set", "parallel.pipeline=2", "--set",
                             "parallel.tensor=2", "--set", "parallel.experts=whole"});
  EXPECT_EQ(same["results"], run["results"]);
}

// vLLM keeps a batch of requests under way in each stage, llama.cpp the parts of a prompt; --set says another
// number, and a policy that goes with one pass alone says why.
TEST_F(SeveralGpus, SoftwareHasItsPassesUnderWay) {
  const auto batches = [&](Words words) {
    words.insert(words.begin(), {"--policy", "gpu-only", "--pp", "2"});
    return compare(words)["config"]["parallel"]["batches"].get<int>();
  };
  const Words served = {"--batcher", "continuous", "--batch", "2"};
  const auto with = [](Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  EXPECT_EQ(batches({}), 1);
  EXPECT_EQ(batches(served), 1);
  EXPECT_EQ(batches({"--software", "vllm"}), 1);
  EXPECT_EQ(batches(with(served, {"--software", "vllm"})), 2);
  EXPECT_EQ(batches(with(served, {"--software", "sglang"})), 2);
  EXPECT_EQ(batches(with(served, {"--software", "vllm", "--set", "parallel.batches=1"})), 1);
  EXPECT_EQ(batches({"--software", "llama-cpp"}), 4);
  EXPECT_EQ(batches({"--software", "llama-cpp", "--set", "software.pipeline.prompt_parts=2"}), 2);
  EXPECT_EQ(batches(with(served, {"--software", "llama-cpp"})), 1);
  const Json on_cpu = compare({"--policy", "experts-on-cpu", "--pp", "2", "--software", "llama-cpp"});
  EXPECT_NE(on_cpu.dump().find("not the software's 4: the CPU computes experts"), std::string::npos);
}

// 16 GPUs of two hosts, each with a cache of its experts; what is not simulated there says how to mend it.
TEST_F(SeveralGpus, OfSeveralHostsOffload) {
  const Words hosts = {"--dp",    "16",
                       "--ep",    "16",
                       "--set",   "machine.gpu.count=8",
                       "--set",   "machine.network.hosts=2",
                       "--set",   "machine.network.bandwidth=50GB/s",
                       "--set",   "machine.network.latency=5us",
                       "--batch", "2"};
  Words run = hosts;
  run.insert(run.end(), {"--policy", "on-demand-cache", "--cache", "50%"});
  const Json result = compare(run)["results"][0];
  EXPECT_EQ(result["status"], "ok");
  ASSERT_EQ(result["gpus"].size(), 16U);
  EXPECT_EQ(result["gpus"][15]["cache_slots"], result["gpus"][0]["cache_slots"]);
  Words schedule = {"simulate",      "--model",  "olmoe-1b-7b", "--machine",
                    "rtx4090-pcie4", "--policy", "on-demand"};
  schedule.insert(schedule.end(), hosts.begin(), hosts.end());
  schedule.insert(schedule.end(), {"--schedule", "s.json"});
  const Outcome refused = this->run(schedule);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("at most 8"), std::string::npos);
}

// Systems whose passes are cut and whose keys and values are on the host run over stages; where GPUs share
// layers the CPU attends for none of them, which the error says with a way out.
TEST_F(SeveralGpus, CutPassesAndKvOnTheHost) {
  for (const Words& spread : {Words{"--pp", "2"}, Words{"--tp", "2"}, Words{"--dp", "2", "--ep", "2"}}) {
    Words words = {"--policy", "moe-lightning,klotski", "--batch", "2"};
    words.insert(words.end(), spread.begin(), spread.end());
    for (const Json& result : compare(words)["results"]) EXPECT_EQ(result["status"], "ok") << spread[0];
  }
  const Outcome refused =
      run({"compare", "--model", "olmoe-1b-7b", "--machine", "rtx4090-pcie4", "--policy", "moe-lightning",
           "--dp", "2", "--ep", "2", "--batch", "2", "--set", "parallel.tokens=follow"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("its KV cache is in the host's memory"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("parallel.tokens = route"), std::string::npos) << refused.err;
}

TEST_F(SeveralGpus, OneSaysNothingOfThem) {
  const Json run = compare({"--policy", "on-demand", "--gpus", "1"});
  EXPECT_FALSE(run["config"].contains("parallel"));
  EXPECT_FALSE(run["results"][0].contains("gpus"));
  EXPECT_FALSE(run["results"][0]["limits"]["share"].contains("exchanges"));
}

// Two GPUs hold what one cannot.
TEST_F(SeveralGpus, TwoHoldWhatOneCannot) {
  const Words fits = {"--policy", "gpu-only", "--set", "machine.gpu.memory=10GiB"};
  EXPECT_EQ(compare(fits)["results"][0]["status"], "out-of-memory");
  Words two = fits;
  two.insert(two.end(), {"--gpus", "2"});
  EXPECT_EQ(compare(two)["results"][0]["status"], "ok");
}

// What is said to fit does, a slot more or the next wider format does not; the host's memory counts once for
// all.
TEST_F(SeveralGpus, WhatDoesNotFitSaysWhatWould) {
  const auto status = [this](Words words) {
    const Json result = compare(std::move(words))["results"][0];
    return result["status"].get<std::string>();
  };
  for (const Words& split : {Words{"--pp", "2"}, Words{"--tp", "2"}}) {
    Words words = {"--policy", "on-demand-cache", "--set", "machine.gpu.memory=4GiB"};
    words.insert(words.end(), split.begin(), split.end());
    const auto with = [&](Words more) {
      more.insert(more.begin(), words.begin(), words.end());
      return more;
    };
    const Json full = compare(with({"--cache", "100%"}))["results"][0];
    ASSERT_EQ(full["status"], "out-of-memory");
    const auto cache = full["fits_with"]["cache"].get<std::string>();
    const int slots = std::stoi(cache);
    EXPECT_EQ(cache, std::to_string(slots) + " slots");
    EXPECT_EQ(status(with({"--cache", cache})), "ok");
    EXPECT_EQ(status(with({"--cache", std::to_string(slots + 1) + " slots"})), "out-of-memory");
    ASSERT_FALSE(full["fits_with"]["weights"].empty());
    for (const Json& weights : full["fits_with"]["weights"])
      EXPECT_EQ(status(with({"--cache", "100%", "--weights", weights.get<std::string>()})), "ok") << weights;
    EXPECT_EQ(status(with({"--cache", "100%", "--weights", "fp16"})), "out-of-memory");
  }
  const Words little{"--policy", "on-demand", "--pp", "2", "--set", "machine.host.memory=8GiB"};
  const Json host = compare(little)["results"][0];
  EXPECT_EQ(host["status"], "out-of-memory");
  EXPECT_NE(host["reason"].get<std::string>().find("host memory"), std::string::npos) << host["reason"];
  ASSERT_FALSE(host["fits_with"]["weights"].empty());
  Words narrower = little;
  narrower.emplace_back("--weights");
  narrower.push_back(host["fits_with"]["weights"][0].get<std::string>());
  EXPECT_EQ(status(narrower), "ok");
}

TEST_F(SeveralGpus, WhatDoesNotAgreeIsRefused) {
  expect_refused({"simulate", "--gpus", "9"}, {"--gpus"});
  expect_refused({"simulate", "--gpus", "3", "--tp", "2"}, {"--gpus", "3", "hint:"});
  expect_refused({"simulate", "--tp", "4", "--pp", "4"}, {"16 GPUs", "machine.network.hosts=2"});
  expect_refused({"simulate", "--model", "olmoe-1b-7b", "--dp", "2"}, {"--dp", "--ep"});
  expect_refused({"simulate", "--model", "olmoe-1b-7b", "--tp", "3"}, {"--tp", "heads", "--pp"});
  expect_refused({"simulate", "--set", "parallel.pipline=2"}, {"pipline", "pipeline"});
  expect_refused({"execute", "--device", "host", "--gpus", "2"}, {"--gpus", "one GPU"});
}

// What pregate place works out, a run takes; a file of other GPUs or models it does not.
TEST_F(SeveralGpus, ExpertsLieAsAPlacementSays) {
  succeed(
      {"trace", "generate", "--model", "olmoe-1b-7b", "--prompt", "4", "--output-tokens", "8", "-o", "t.db"});
  succeed({"place", "t.db", "--gpus", "4", "--kind", "round-robin", "-o", "homes.json"});
  const auto run = [&](const Words& more) {
    Words words = {"simulate", "--trace",   "t.db", "--model", "olmoe-1b-7b", "--machine", "rtx4090-pcie4",
                   "--policy", "on-demand", "--ep", "4",       "--json",      "r.json"};
    words.insert(words.end(), more.begin(), more.end());
    succeed(words);
    return Json::parse(read("r.json"))["results"][0];
  };
  const Json dealt = run({"--set", "parallel.spread=round-robin"}),
             placed = run({"--expert-homes", "homes.json"});
  EXPECT_EQ(placed["gpus"], dealt["gpus"]);
  EXPECT_EQ(placed["tokens_per_s"], dealt["tokens_per_s"]);
  EXPECT_NE(placed["gpus"], run({})["gpus"]);
  const Words of_two = {"simulate", "--trace", "t.db",           "--model",   "olmoe-1b-7b",
                        "--ep",     "2",       "--expert-homes", "homes.json"};
  expect_refused(of_two, {"--expert-homes", "of 4 GPUs", "--ep 4"});
  expect_refused({"simulate", "--trace", "t.db", "--model", "olmoe-1b-7b", "--expert-homes", "homes.json"},
                 {"--expert-homes", "--ep"});
  expect_refused({"simulate", "--model", "mixtral-8x7b", "--ep", "4", "--expert-homes", "homes.json"},
                 {"homes.json"});
  succeed({"place", "t.db", "--gpus", "4", "--kind", "replicated", "-o", "copies.json"});
  expect_refused(
      {"simulate", "--trace", "t.db", "--model", "olmoe-1b-7b", "--ep", "4", "--expert-homes", "copies.json"},
      {"copies"});
}

// A policy's file says how it spreads over GPUs, the command line comes after it, and what places its experts
// stands in the results as data.
TEST_F(SeveralGpus, ASystemRunsByItsName) {
  succeed(
      {"trace", "generate", "--model", "olmoe-1b-7b", "--prompt", "4", "--output-tokens", "8", "-o", "t.db"});
  const auto config = [&](const Words& more) {
    Words words = {"simulate",  "--trace",       "t.db",   "--model", "olmoe-1b-7b",
                   "--machine", "rtx4090-pcie4", "--json", "r.json"};
    words.insert(words.end(), more.begin(), more.end());
    succeed(words);
    return Json::parse(read("r.json"))["config"]["parallel"];
  };
  const Json exflow = config({"--policy", "exflow", "--dp", "4", "--ep", "4"});
  EXPECT_EQ(exflow["gpus"], 4);
  EXPECT_EQ(exflow["tokens"], "follow");
  ASSERT_EQ(exflow["expert_homes"].size(), 16U);
  EXPECT_EQ(exflow["expert_homes"][0]["gpu_of_expert"].size(), 64U);
  succeed({"place", "t.db", "--gpus", "4", "--kind", "replicated", "-o", "copies.json"});
  const Json copied = config({"--policy", "gpu-only", "--ep", "4", "--expert-homes", "copies.json"});
  EXPECT_FALSE(copied["expert_homes"][0]["copies"].empty());
  EXPECT_EQ(config({"--policy", "llama-cpp-layer-split", "--set", "parallel.layers=6,10"})["layers"], "6,10");
  expect_refused({"simulate", "--policy", "exflow", "--expert-homes", "copies.json", "--trace", "t.db",
                  "--model", "olmoe-1b-7b", "--dp", "4", "--ep", "4"},
                 {"copies"});
  expect_refused({"compare", "--policy", "exflow,eplb"}, {"exflow", "eplb"});
}

TEST_F(SeveralGpus, ALoadOfAFile) {
  write("load.csv", "arrival_s,prompt_tokens,output_tokens\n0,20,3\n0.5,5,2\n");
  succeed({"simulate", "--model", "olmoe-1b-7b", "--policy", "gpu-only", "--batcher", "continuous", "--load",
           "load.csv", "--set", "serve.limits.ttft=1s", "--json", "r.json"});
  const Json result = Json::parse(read("r.json"))["results"][0];
  EXPECT_EQ(result["requests"], 2);
  EXPECT_EQ(result["output_tokens"], 5);
  EXPECT_EQ(result["within_limits"], 1.0);
  EXPECT_GT(result["goodput_requests_per_s"], 0.0);
  expect_refused({"simulate", "--load", "load.csv"}, {"--load", "--model"});
  expect_refused({"simulate", "--model", "olmoe-1b-7b", "--load", "load.csv"},
                 {"--load", "--batcher continuous"});
  expect_refused({"simulate", "--model", "olmoe-1b-7b", "--load", "load.csv", "--batcher", "continuous",
                  "--prompt", "3"},
                 {"--prompt", "--load"});
}

}  // namespace
}  // namespace pregate::test
