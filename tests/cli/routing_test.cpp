// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Which model runs on which routing: generated for any model, found for any trace.
#include <nlohmann/json.hpp>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class RoutingOfRuns : public ProgramTest {
 protected:
  /// Runs `compare` with these words; its table is `printed`.
  Json compare(Words words) {
    words.insert(words.begin(), "compare");
    words.insert(words.end(), {"--json", "r.json", "--csv", "r.csv"});
    printed = succeed(words);
    return Json::parse(read("r.json"));
  }

  /// `t.db`: a short trace of OLMoE's shape that calls its model `name`, and of each layer's experts records
  /// `bytes` (0: nothing).
  void record_olmoe(const std::string& name, int bytes = 0) const {
    succeed({"trace", "generate", "--model", "olmoe-1b-7b", "--prompt", "4", "--output-tokens", "3", "-o",
             "g.db", "--overwrite"});
    succeed({"trace", "export", "g.db", "-o", "g.jsonl"});
    const std::string text = read("g.jsonl");
    const std::size_t end = text.find('\n');
    Json header = Json::parse(text.substr(0, end));
    header["model"] = name;
    if (bytes > 0)
      for (Json& layer : header["layers"]) layer["expert_bytes"] = bytes;
    write("h.jsonl", header.dump() + text.substr(end));
    succeed({"trace", "import", "h.jsonl", "-o", "t.db", "--overwrite"});
  }
  std::string printed;
};

TEST_F(RoutingOfRuns, WithoutATraceIsOfTheModelsOwnShapeAndSaysSo) {
  const Json document =
      compare({"--model", "mixtral-8x7b", "--machine", "rtx4090-pcie4", "--prompt", "16", "--output", "24",
               "--policy", "gpu-only,on-demand-cache", "--weights", "q4_k", "--cache", "25%"});
  const Json& trace = document["config"]["trace"];
  EXPECT_EQ(trace["generated"], true);
  EXPECT_EQ(trace["locality"], "typical");
  EXPECT_EQ(trace["requests"], 1);
  EXPECT_EQ(trace["steps"], 25);  // the prompt and 24 decode steps
  EXPECT_EQ(trace["tokens"], 40);
  EXPECT_EQ(trace["routed_entries"], 40 * 32 * 2);
  EXPECT_THAT(document["config"]["notes"][0].get<std::string>(), HasSubstr("generated, not recorded"));
  EXPECT_EQ(document["results"][0]["status"], "out-of-memory");
  EXPECT_FALSE(document["results"][0].contains("routing_span"));
  // A cache hits more where routing is more local.
  const Json& result = document["results"][1];
  const double low = result["routing_span"]["low"]["tokens_per_s"],
               high = result["routing_span"]["high"]["tokens_per_s"];
  EXPECT_LT(low, result["tokens_per_s"].get<double>());
  EXPECT_GT(high, result["tokens_per_s"].get<double>());
  EXPECT_THAT(printed, HasSubstr("\nlocality: "));
  EXPECT_THAT(printed, HasSubstr(" (high) tokens/s"));
  // The ends of the span are what the same run gives there; and the trace is the one that can be generated.
  EXPECT_EQ(compare({"--model", "mixtral-8x7b", "--machine", "rtx4090-pcie4", "--prompt", "16", "--output",
                     "24", "--policy", "on-demand-cache", "--weights", "q4_k", "--cache", "25%", "--locality",
                     "high"})["results"][0]["tokens_per_s"],
            high);
  EXPECT_EQ(content_hash(succeed({"trace", "generate", "--model", "mixtral-8x7b", "--prompt", "16",
                                  "--output-tokens", "24", "-o", "m.db"})),
            document["trace_hash"].get<std::string>());
}

TEST_F(RoutingOfRuns, EncodersReadThePromptAndBatchesHaveTheirRequests) {
  const Json document = compare({"--model", "switch-base-8", "--prompt", "20", "--output", "5", "--batch",
                                 "3", "--policy", "on-demand"});
  EXPECT_EQ(document["config"]["trace"]["requests"], 3);
  EXPECT_EQ(document["config"]["trace"]["routed_entries"], 3 * (20 * 6 + 5 * 6));
  EXPECT_EQ(document["results"][0]["output_tokens"], 15);
  EXPECT_THAT(printed, Not(HasSubstr("--batch")));
  compare({"--model", "switch-base-8", "--prompt", "20", "--output", "5", "--batch", "3", "--requests", "1",
           "--policy", "on-demand"});
  EXPECT_THAT(printed, HasSubstr("note: --batch 3 has no effect: the trace has one request\n"));
}

TEST_F(RoutingOfRuns, ContradictionsAreRefused) {
  expect_refused(
      {"compare", "--model", "mixtral-8x7b", "--profile", "switch-base-128"},
      {"--profile", "6 MoE layers of 128 experts, top-1", "mixtral-8x7b", "hint: leave out --profile"});
  expect_refused({"compare", "--trace", "t.db", "--prompt", "3"}, {"--prompt", "--trace"});
  expect_refused({"compare", "--profile", "mixtral-8x7b", "--locality", "low"}, {"--locality", "--profile"});
  expect_refused({"compare", "--locality", "low"}, {"--locality", "--model"});
  expect_refused({"compare", "--model", "mixtral-8x7b", "--locality", "lo"}, {"'lo'", "did you mean 'low'"});
  expect_refused({"compare", "--model", "mixtral-8x7b", "--output", "0"}, {"--output"});
  expect_refused({"trace", "generate", "--locality", "low", "-o", "x.db"}, {"--locality", "--model"});
}

TEST_F(RoutingOfRuns, TheModelOfATraceIsFoundByNameAndByShape) {
  record_olmoe("allenai/OLMoE-1B-7B-0924-Instruct.Q4_K_M.gguf");
  EXPECT_EQ(compare({"--trace", "t.db", "--policy", "on-demand"})["config"]["model"]["name"], "olmoe-1b-7b");
  EXPECT_THAT(printed, HasSubstr("note: model olmoe-1b-7b, as the trace names 'allenai/OLMoE"));
  record_olmoe("finetune-9");
  EXPECT_EQ(compare({"--trace", "t.db", "--policy", "on-demand"})["config"]["model"]["name"], "olmoe-1b-7b");
  EXPECT_THAT(printed, HasSubstr("by its shape (16 MoE layers of 64 experts, top-8)"));
  // A name that the shape contradicts is not believed.
  record_olmoe("mixtral-8x7b");
  EXPECT_EQ(compare({"--trace", "t.db", "--policy", "on-demand"})["config"]["model"]["name"], "olmoe-1b-7b");
  expect_refused({"compare", "--trace", "t.db", "--model", "mixtral-8x7b"},
                 {"t.db", "16 recorded, 32 in model mixtral-8x7b", "hint:", "--model olmoe-1b-7b"});
  write("odd.jsonl",
        "{\"format\":\"pregate-trace\",\"version\":1,\"model\":\"odd\",\"stacks\":[\"decoder\"],\"layers\":[{"
        "\"stack\":0,"
        "\"layer\":0,\"experts\":7,\"top_k\":1}]}\n{\"request\":0}\n"
        "{\"phase\":\"decode\",\"tokens\":1,\"position\":0,\"experts\":[[[3]]]}\n");
  succeed({"trace", "import", "odd.jsonl", "-o", "odd.db"});
  expect_refused({"compare", "--trace", "odd.db"},
                 {"--model", "'odd'", "1 MoE layers of 7 experts, top-1", "hint:", "config.json"});
}

// An expert of OLMoE has 3 x 2048 x 1024 parameters: 3,538,944 bytes at the 4.5 bits of q4_k.
TEST_F(RoutingOfRuns, ExpertsAreAsLargeAsRecorded) {
  const auto model = [&](const Words& more) {
    Words words{"--trace", "t.db", "--model", "olmoe-1b-7b", "--policy", "on-demand"};
    words.insert(words.end(), more.begin(), more.end());
    return compare(words)["config"]["model"];
  };
  record_olmoe("olmoe-1b-7b", 3'538'944);
  EXPECT_EQ(model({})["all_expert_bytes"], 16LL * 64 * 3'538'944);
  EXPECT_EQ(model({})["expert_format"], "q4_k");
  EXPECT_EQ(model({})["dense_format"], "bf16");
  EXPECT_THAT(printed,
              HasSubstr("note: the recording's experts take 3.38 MiB each, and are priced so: q4_k;"));
  EXPECT_EQ(model({"--weights", "bf16"})["all_expert_bytes"], 16LL * 64 * 2 * 6'291'456);
  EXPECT_THAT(printed,
              HasSubstr("note: the recording's experts take 3.38 MiB each; priced as bf16 experts of 12.0 "
                        "MiB, as chosen"));
  // Of a file that is named so, the rest as well.
  record_olmoe("olmoe-1b-7b-q4_k", 3'538'944);
  EXPECT_EQ(model({})["dense_format"], "q4_k");
  EXPECT_EQ(model({"--dense-weights", "bf16"})["dense_format"], "bf16");
  record_olmoe("olmoe-1b-7b", 4'000'000);
  EXPECT_EQ(model({})["all_expert_bytes"], 16LL * 64 * 4'000'000);
  EXPECT_EQ(model({})["expert_format"], "as-recorded");
  record_olmoe("olmoe-1b-7b", 12'582'912);  // bf16, as described
  model({});
  EXPECT_THAT(printed, Not(HasSubstr("the recording's experts")));
}

TEST_F(RoutingOfRuns, NoTimeToFirstTokenWithoutAPrompt) {
  const Json document = compare(
      {"--model", "olmoe-1b-7b", "--prompt", "0", "--output", "4", "--policy", "on-demand,pre-gated"});
  EXPECT_TRUE(document["results"][0]["ttft_ms"].is_null());
  EXPECT_GT(document["results"][0]["tpot_ms"].get<double>(), 0);
  EXPECT_THAT(printed, HasSubstr("note: no TTFT: no request of the trace begins with its prompt"));
  const std::string csv = read("r.csv");
  EXPECT_THAT(csv, Not(HasSubstr("nan")));
  EXPECT_THAT(csv, Not(HasSubstr("null")));
  EXPECT_GT(compare({"--model", "olmoe-1b-7b", "--prompt", "2", "--output", "4", "--policy",
                     "on-demand"})["results"][0]["ttft_ms"]
                .get<double>(),
            0);
}

// llama.cpp stores down in q6_k in about half of the layers of a q4_k_m file.
TEST_F(RoutingOfRuns, ExpertsThatDifferByLayerAreSaidToBePricedAtTheirMean) {
  const Words words{"--profile", "mixtral-8x7b", "--requests", "1", "--policy", "on-demand"};
  Words mixed = words;
  mixed.insert(mixed.end(), {"--weights", "q4_k_m"});
  compare(mixed);
  EXPECT_THAT(printed,
              HasSubstr("experts differ by layer, 94.5 MiB to 109 MiB: a copy is priced at their mean"));
  compare(words);
  EXPECT_THAT(printed, testing::Not(HasSubstr("differ by layer")));
}

}  // namespace
}  // namespace pregate::test
