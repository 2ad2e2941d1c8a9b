// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What a user does from end to end, on generated traces.
#include <nlohmann/json.hpp>

#include <map>
#include <set>
#include <sstream>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class Workflow : public ProgramTest {
 protected:
  /// The line of a table that starts with these words, split at spaces.
  static Words row(const std::string& table, const std::string& start) {
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with(start)) continue;
      std::istringstream words(line.substr(start.size()));
      Words found;
      for (std::string word; words >> word;) found.push_back(word);
      return found;
    }
    ADD_FAILURE() << "no line '" << start << "' in\n" << table;
    return {};
  }
};

TEST_F(Workflow, ATraceFromItsGeneratorToTheTable) {
  const std::string hash = content_hash(succeed({"trace", "generate", "--requests", "2", "-o", "t.db"}));
  const std::string about = succeed({"trace", "info", "t.db"});
  EXPECT_EQ(content_hash(about), hash);
  EXPECT_EQ(row(about, "  requests"), Words{"2"});
  EXPECT_THAT(about, HasSubstr("1024 (encoder 512, prefill 0, decode 512)"));
  EXPECT_EQ(succeed({"trace", "check", "t.db"}), "t.db: sound\n");

  succeed({"trace", "export", "t.db", "-o", "t.jsonl"});
  const std::string imported = succeed({"trace", "import", "t.jsonl", "-o", "u.db"});
  EXPECT_THAT(imported,
              HasSubstr("2 requests, 514 steps, 1024 tokens, 6144 routed entries in 12 MoE layers"));
  EXPECT_EQ(content_hash(imported), hash);
  succeed({"trace", "export", "t.db", "--format", "csv", "-o", "t.csv"});
  const std::string csv = read("t.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 6144 + 1);

  EXPECT_EQ(succeed({"compare", "--trace", "u.db"}), [&] {
    std::string table = succeed({"compare", "--trace", "t.db"});
    table.replace(table.find("t.db"), 4, "u.db");
    return table;
  }());
}

TEST_F(Workflow, EveryOutputOfASimulation) {
  succeed({"trace", "generate", "--requests", "2", "-o", "t.db"});
  const Words command = {"simulate", "--trace", "t.db",       "--policy", "pre-gated-cache",
                         "--cache",  "10%",     "--timeline", "tl.json",  "--schedule",
                         "s.json",   "--json",  "r.json",     "--csv",    "r.csv",
                         "--store",  "r.db"};
  const std::string printed = succeed(command);
  EXPECT_THAT(printed, HasSubstr("recorded 16 of 514 steps"));
  succeed(command);
  EXPECT_EQ(sql("r.db", "SELECT count(*) FROM results"), "2");
  EXPECT_EQ(sql("r.db", "SELECT count(DISTINCT json) FROM results"), "1");
  succeed({"compare", "--trace", "t.db", "--store", "r.db"});
  EXPECT_EQ(sql("r.db", "SELECT count(*) FROM results"), "6");

  const Json result = Json::parse(read("r.json"));
  EXPECT_EQ(result.at("trace_hash"), content_hash(succeed({"trace", "info", "t.db"})));
  const Json& one = result.at("results").at(0);
  for (const char* key : {"policy", "status", "evidence", "tokens_per_s", "decode_tokens_per_s", "ttft_ms",
                          "tpot_ms", "block_latency_ms", "cache", "h2d_bytes", "exposed_transfer_ms",
                          "peak_gpu_bytes", "peak_gpu_bytes_by_purpose", "critical_path_share"}) {
    EXPECT_TRUE(one.contains(key)) << key;
  }
  EXPECT_EQ(sql("r.db", "SELECT json FROM results WHERE id = 1"), read("r.json"));
  std::int64_t by_purpose = 0;
  for (const auto& part : one.at("peak_gpu_bytes_by_purpose")) by_purpose += part.get<std::int64_t>();
  EXPECT_EQ(by_purpose, one.at("peak_gpu_bytes").get<std::int64_t>());
  double path = 0;
  for (const auto& share : one.at("critical_path_share")) path += share.get<double>();
  EXPECT_NEAR(path, 1, 1e-9);
  // Every fetch moves one expert of 18,874,368 bytes.
  EXPECT_EQ(one.at("h2d_bytes").get<std::int64_t>(), one.at("fetches").get<std::int64_t>() * 18'874'368);

  EXPECT_THAT(succeed({"analyze", "s.json"}), HasSubstr("acyclic"));
  const Json schedule = Json::parse(read("s.json"));
  EXPECT_THAT(printed, HasSubstr(std::to_string(schedule.at("operations").size()) + " operations"));
}

// Another host is named in the table and, with its source and numbers, in the JSON; --set comes after it.
// Where the CPU computes the experts its memory binds, the GPU waits for it, and table, JSON and CSV say so.
TEST_F(Workflow, AnotherHostAndWhatItBinds) {
  Words command = {"compare",   "--requests",    "1",
                   "--machine", "rtx3060-pcie4", "--policy",
                   "on-demand", "--set",         "policy.miss.service=compute-on-cpu",
                   "--json",    "r.json",        "--csv",
                   "r.csv",     "--host",        "desktop-ddr4-3200"};
  const std::string printed = succeed(command);
  EXPECT_THAT(printed, HasSubstr(" on rtx3060-pcie4 with host desktop-ddr4-3200 [datasheet]"));
  EXPECT_THAT(printed, HasSubstr("on-demand: bound by host memory ("));
  const Json slow = Json::parse(read("r.json"));
  const Json& host = slow.at("config").at("machine").at("host");
  EXPECT_EQ(host.at("name"), "desktop-ddr4-3200");
  EXPECT_THAT(host.at("source").get<std::string>(), HasSubstr("DDR4-3200"));
  EXPECT_EQ(host.at("memory_bandwidth_bytes_per_s"), 38e9);
  const Json& one = slow.at("results").at(0);
  EXPECT_EQ(one.at("limits").at("bound_by"), "host_memory");
  double sum = 0;
  for (const auto& share : one.at("limits").at("share")) sum += share.get<double>();
  EXPECT_NEAR(sum, 1, 1e-9);
  const Json& shares = one.at("limits").at("share");
  EXPECT_NEAR(one.at("critical_path_share").at("cpu").get<double>(),
              shares.at("host_memory").get<double>() + shares.at("cpu_arithmetic").get<double>(), 1e-12);
  EXPECT_GT(one.at("exposed_cpu_ms"), 20 * one.at("exposed_host_ms").get<double>());
  EXPECT_EQ(one.at("confidence").at("label"), "uncalibrated");
  EXPECT_THAT(read("r.csv"), HasSubstr(",host_memory,"));

  command.insert(command.end(), {"--set", "machine.host.memory_bandwidth=76GB/s"});
  succeed(command);
  const Json fast = Json::parse(read("r.json"));
  EXPECT_EQ(fast.at("config").at("machine").at("host").at("memory_bandwidth_bytes_per_s"), 76e9);
  EXPECT_LT(fast.at("results").at(0).at("total_ms"), one.at("total_ms"));
  expect_refused({"compare", "--host", "desktop"}, {"no host named 'desktop'", "pregate list hosts"});
  EXPECT_THAT(succeed({"list", "hosts"}), HasSubstr("epyc-12ch-ddr5-4800"));
}

// Given, a chunk of the prompt is a pass of its own, and the configuration says so; a log has what the means
// and percentiles are of.
TEST_F(Workflow, APromptRunsInChunks) {
  const auto simulate = [&](Words more) {
    Words words{"simulate",  "--model", "olmoe-1b-7b", "--prompt",      "20",   "--output", "3", "--policy",
                "pre-gated", "--json",  "r.json",      "--request-log", "q.csv"};
    words.insert(words.end(), more.begin(), more.end());
    succeed(words);
    return Json::parse(read("r.json"));
  };
  const Json whole = simulate({}), chunked = simulate({"--prompt-chunk", "8"});
  const Json zero = simulate({"--prompt-chunk", "0"}), all = simulate({"--prompt-chunk", "20"});
  const auto ttft = [](const Json& run) { return run["results"][0]["ttft_ms"].get<double>(); };
  EXPECT_GT(ttft(chunked), ttft(whole));
  EXPECT_EQ(ttft(zero), ttft(whole));
  EXPECT_EQ(ttft(all), ttft(whole));
  EXPECT_FALSE(whole["config"].contains("prompt_in_chunks"));
  EXPECT_FALSE(zero["config"].contains("prompt_in_chunks"));
  EXPECT_EQ(chunked["config"]["prompt_in_chunks"], true);
  EXPECT_EQ(chunked["config"]["prompt_chunk"], 8);
  EXPECT_EQ(all["results"][0]["ttft_p99_ms"], ttft(all));
  EXPECT_EQ(all["results"][0]["tpot_p50_ms"], all["results"][0]["tpot_ms"]);
  const auto notes = [](const Json& run) { return run["config"]["notes"].dump(); };
  EXPECT_THAT(notes(all), HasSubstr("--prompt-chunk 20 cuts nothing"));
  EXPECT_EQ(notes(chunked), notes(whole));
  const Json number = ttft(all);
  EXPECT_THAT(read("q.csv"), HasSubstr("\n0,1,20,3,0.0," + number.dump() + ","));
  expect_refused(
      {"compare", "--model", "olmoe-1b-7b", "--prompt", "20", "--batch", "3", "--prompt-chunk", "2"},
      {"--prompt-chunk", "3 sequences", "hint:"});
  expect_refused({"simulate", "--request-log", "-"}, {"--request-log", "standard output"});
}

// A viewer needs: complete events that do not overlap within a track, flows that begin and end, counters.
TEST_F(Workflow, TheTimelineIsWhatAViewerReads) {
  succeed({"simulate", "--policy", "pre-gated-cache", "--requests", "1", "--record-steps", "6", "--timeline",
           "t.json", "--schedule", "s.json"});
  const Json timeline = Json::parse(read("t.json"));
  std::map<int, double> track_end;
  std::map<std::string, int> phases;
  std::set<Json> flow_starts, flow_ends;
  for (const Json& event : timeline.at("traceEvents")) {
    const std::string phase = event.at("ph");
    ++phases[phase];
    if (phase == "s") flow_starts.insert(event.at("id"));
    if (phase == "f") flow_ends.insert(event.at("id"));
    if (phase != "X" || event.at("cat") == "step") continue;
    const int track = event.at("tid");
    const double start = event.at("ts"), duration = event.at("dur");
    EXPECT_GE(start, track_end[track] - 1e-3) << event;
    EXPECT_GE(duration, 0) << event;
    track_end[track] = start + duration;
  }
  EXPECT_GE(phases["X"], static_cast<int>(Json::parse(read("s.json")).at("operations").size()));
  EXPECT_GT(phases["C"], 0);
  EXPECT_GT(flow_starts.size(), 0U);
  EXPECT_EQ(flow_starts, flow_ends);
}

TEST_F(Workflow, AFittedProfileGeneratesWhatItWasFittedTo) {
  succeed({"trace", "generate", "--requests", "2", "--seed", "5", "-o", "t.db"});
  succeed({"trace", "fit", "t.db", "-o", "p.toml", "--name", "mine"});
  succeed({"trace", "generate", "--profile", "p.toml", "--requests", "2", "--seed", "6", "-o", "u.db"});
  const Words recorded = row(succeed({"trace", "info", "t.db"}), "mean of decode");
  const Words generated = row(succeed({"trace", "info", "u.db"}), "mean of decode");
  ASSERT_EQ(recorded.size(), 7U);
  ASSERT_EQ(generated.size(), 7U);
  EXPECT_NEAR(std::stod(generated[0]), std::stod(recorded[0]), 4);     // distinct experts of 128
  EXPECT_NEAR(std::stod(generated[2]), std::stod(recorded[2]), 0.05);  // popularity entropy
  EXPECT_NEAR(std::stod(generated[4]), std::stod(recorded[4]), 0.05);  // lag-1 overlap
  EXPECT_THAT(succeed({"compare", "--profile", "p.toml", "--requests", "1"}), HasSubstr("pre-gated"));
}

TEST_F(Workflow, AModelAsItsConfigJson) {
  write("mixtral-8x7b.json", R"({
    "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_act": "silu",
    "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "num_experts_per_tok": 2, "num_local_experts": 8, "vocab_size": 32000,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16"})");
  const Words common = {"compare",    "--profile", "mixtral-8x7b", "--machine", "rtx4090-pcie4",
                        "--requests", "1",         "--csv",        "r.csv"};
  const auto csv_of = [&](const std::string& model) {
    Words words = common;
    words.insert(words.end(), {"--model", model});
    succeed(words);
    return read("r.csv");
  };
  // The model's name stands in every row.
  EXPECT_EQ(csv_of("./mixtral-8x7b.json"), csv_of("mixtral-8x7b"));
}

TEST_F(Workflow, OverridesAndListings) {
  const auto tokens_per_s = [&](const Words& more) {
    Words words = {"compare", "--policy", "on-demand", "--requests", "1", "--json", "r.json"};
    words.insert(words.end(), more.begin(), more.end());
    succeed(words);
    const Json result = Json::parse(read("r.json"));
    return result.at("results").at(0).at("tokens_per_s").get<double>();
  };
  const double slow = tokens_per_s({"--set", "machine.link.h2d.bandwidth=10GB/s"});
  const double fast = tokens_per_s({"--set", "machine.link.h2d.bandwidth=20GB/s"});
  EXPECT_GT(fast, 1.2 * slow);
  EXPECT_DOUBLE_EQ(tokens_per_s({"--set", "machine.link.h2d.bandwidth=20000MB/s"}), fast);

  for (const char* section : {"models", "machines", "machine-keys", "policies", "parts", "evictions",
                              "formats", "weight-formats", "localities", "profiles"})
    EXPECT_THAT(succeed({"list", section}), HasSubstr("(--")) << section;
  EXPECT_EQ(succeed({"version"}), succeed({"--version"}));
}

TEST_F(Workflow, ReplayOfEveryEviction) {
  succeed({"trace", "generate", "--requests", "2", "-o", "t.db"});
  const std::string table = succeed({"trace", "replay", "t.db", "--cache", "4 slots,8 slots", "--eviction",
                                     "lru,lfu,lfu-forget,fifo,lifo,random,arc,s3-fifo,belady,belady-forced",
                                     "--expert-bytes", "18MiB"});
  std::map<std::string, std::map<std::string, double>> hits;  // by capacity, by eviction
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string number, unit, eviction;
    double percent = 0;
    if (words >> number >> unit >> eviction >> percent && unit == "slots") hits[number][eviction] = percent;
  }
  ASSERT_EQ(hits.size(), 2U) << table;
  for (const auto& [capacity, by_eviction] : hits) {
    EXPECT_EQ(by_eviction.size(), 10U) << table;
    for (const auto& [eviction, percent] : by_eviction) {
      EXPECT_LE(percent, by_eviction.at("belady"))
          << eviction << " beats the optimum at " << capacity << " slots";
    }
  }
}

}  // namespace
}  // namespace pregate::test
