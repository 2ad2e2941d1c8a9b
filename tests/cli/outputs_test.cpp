// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Where results go, what a terminal is given, and what is said of what has no effect.
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Outputs : public ProgramTest {
 protected:
  /// Runs `compare` on a short trace with `more`; what it wrote.
  Json compare(Words more) {
    Words words{"compare", "--requests", "1", "--json", "r.json"};
    words.insert(words.end(), more.begin(), more.end());
    printed = succeed(words);
    return Json::parse(read("r.json"));
  }
  std::string printed;
};

TEST_F(Outputs, DashIsStandardOutput) {
  const Words run_words{"compare", "--requests", "1", "--policy", "on-demand"};
  const auto with = [&](Words more) {
    more.insert(more.begin(), run_words.begin(), run_words.end());
    return more;
  };
  const Outcome json = run(with({"--json", "-", "--csv", "r.csv"}));
  EXPECT_EQ(json.exit_code, 0);
  EXPECT_EQ(Json::parse(json.out)["results"][0]["policy"], "on-demand");
  EXPECT_THAT(json.err, HasSubstr("All figures are simulated.")) << "the table is for people";
  const Outcome csv = run(with({"--csv", "-", "--json", "r.json"}));
  EXPECT_EQ(csv.out, read("r.csv"));
  EXPECT_EQ(json.out, read("r.json"));
  EXPECT_FALSE(files().contains("-"));

  expect_refused(with({"--json", "-", "--csv", "-"}), {"--csv", "--json", "hint:"});
  for (const char* option : {"--store", "--timeline", "--schedule"})
    expect_refused({"simulate", option, "-"}, {option, "standard output", "hint:", "'./-'"});
  expect_refused(with({"--json", "-"}), {"standard output", "cannot write"},
                 {.standard_output = "/dev/full"});
  // A file of that name can still be had.
  succeed(with({"--json", "./-"}));
  EXPECT_TRUE(files().contains("-"));
}

TEST_F(Outputs, CarryWhatTheyAreAbout) {
  const Json document = compare({"--csv", "r.csv", "--batch", "1", "--machine", "rtx4090-pcie4"});
  EXPECT_EQ(document["format_version"], 1);
  std::istringstream csv(read("r.csv"));
  std::string head, first;
  std::getline(csv, head);
  std::getline(csv, first);
  EXPECT_THAT(head, StartsWith("format_version,model,machine,trace,batch,policy,status,"));
  EXPECT_THAT(first, HasSubstr(",rtx4090-pcie4,"));
}

TEST_F(Outputs, AnUnknownCommandIsEchoedAndCleaned) {
  expect_refused({"comapre"}, {"no command named 'comapre'", "did you mean 'compare'?"});
  expect_refused({"trace", "improt"}, {"no command named 'improt'", "did you mean 'import'?"});
  const Outcome outcome = run({"a\033[2Jb"});
  EXPECT_THAT(outcome.err, HasSubstr("'a?[2Jb'"));
}

// At 80 columns nothing is wider, and what was left out is said; a pipe has 100 and is not folded.
TEST_F(Outputs, FitTheTerminal) {
  const auto lines_of = [](const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  };
  const auto width = [](const std::string& line) {
    int columns = 0;
    for (const char c : line) columns += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
    return columns;
  };
  const Words words{"compare",   "--requests",      "1", "--model", "switch-large-128",
                    "--profile", "switch-large-128"};
  const Outcome narrow = run(words, {.columns = 80});
  EXPECT_EQ(narrow.exit_code, 0);
  for (const std::string& line : lines_of(narrow.out)) EXPECT_LE(width(line), 80) << line;
  EXPECT_THAT(narrow.out, HasSubstr("Left out at 80 columns: "));
  const std::string piped = succeed(words);
  for (const std::string& line : lines_of(piped)) {
    if (line.find("  ") != std::string::npos && line.find(": ") == std::string::npos && line[0] != ' ') {
      EXPECT_LE(width(line), 100) << line;
    }
  }
  EXPECT_THAT(piped, Not(HasSubstr("Left out"))) << "the usual policies fit a pipe";
  Words wide = words;
  wide.emplace_back("--wide");
  EXPECT_THAT(run(wide, {.columns = 80}).out, HasSubstr("p99"));
}

// All systems at 80 columns: a column without a figure takes no room, what ranges rest on and why systems
// were left out are said once, not for each.
TEST_F(Outputs, SayOnceWhatAllSystemsShare) {
  const Outcome all = run({"compare", "--requests", "1", "--model", "olmoe-1b-7b", "--locality", "typical",
                           "--prompt", "0", "--output", "16", "--cache", "25%", "--policy", "all"},
                          {.columns = 80});
  ASSERT_EQ(all.exit_code, 0) << all.err;
  const auto times = [&](const std::string& what) {
    int count = 0;
    for (std::size_t at = all.out.find(what); at != std::string::npos; at = all.out.find(what, at + 1))
      ++count;
    return count;
  };
  std::istringstream in(all.out);
  std::string line, head;
  while (std::getline(in, line)) {
    const auto columns = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
    EXPECT_LE(columns, 80) << line;
    if (line.starts_with("policy")) head = line;
  }
  EXPECT_THAT(head, HasSubstr("hits"));
  EXPECT_THAT(head, Not(HasSubstr("TTFT"))) << "no request has a prompt";
  EXPECT_EQ(times("left out: deepspeed-moe, eplb, exflow"), 1);
  EXPECT_EQ(times("published rates of any mechanism"), 1);
  // What has no cache gets none: else its rates would be another system's.
  const auto gib_of = [&](const std::string& policy) {
    const std::size_t at = all.out.find("\n  " + policy + " "), end = all.out.find('\n', at + 1);
    return std::stod(all.out.substr(all.out.rfind(' ', end - 1), end));
  };
  EXPECT_LT(gib_of("on-demand") + 2.9, gib_of("on-demand-cache"));
  EXPECT_EQ(times("note: --cache and the like do not apply to"), 1);
}

TEST_F(Outputs, AfterOutOfMemoryTheNextStepIsSaidAndHolds) {
  const Words base{"--model", "switch-large-128", "--profile", "switch-large-128"};
  const auto with = [&](Words more) {
    more.insert(more.end(), base.begin(), base.end());
    return compare(more)["results"];
  };
  const Json result = with({"--policy", "gpu-only"})[0];
  ASSERT_EQ(result["status"], "out-of-memory");
  const Json& fits = result["fits_with"];
  EXPECT_EQ(fits["policy"], "on-demand");
  const std::string cache = fits["cache"];
  EXPECT_THAT(printed, HasSubstr("It fits with --policy on-demand --cache '" + cache + "'"));
  const std::string one_more = std::to_string(std::stoi(cache) + 1) + " slots";
  EXPECT_EQ(with({"--policy", "on-demand", "--cache", cache})[0]["status"], "ok");
  EXPECT_EQ(with({"--policy", "on-demand", "--cache", one_more})[0]["status"], "out-of-memory");
  ASSERT_FALSE(fits["weights"].empty());
  for (const Json& format : fits["weights"])
    EXPECT_EQ(with({"--policy", "gpu-only", "--weights", format})[0]["status"], "ok") << format;
}

TEST_F(Outputs, WhatHasNoEffectIsANote) {
  const auto notes = [&](Words more) {
    const Json document = compare(more);
    std::string all = document["config"]["notes"].dump();
    for (const Json& result : document["results"]) all += result["notes"].dump();
    for (const Json& note : document["config"]["notes"])
      EXPECT_THAT(printed, HasSubstr("note: " + note.get<std::string>()));
    return all;
  };
  const auto set = [&](Words keys, const std::string& policy = "on-demand") {
    Words words{"--policy", policy};
    for (const std::string& key : keys) words.insert(words.end(), {"--set", key});
    return notes(words);
  };
  EXPECT_THAT(set({"machine.ssd.read_bandwidth=1GB/s"}),
              HasSubstr("machine.ssd.read_bandwidth=1GB/s changes nothing"));
  EXPECT_THAT(set({"machine.link.h2d.bandwidth=900GB/s"}), HasSubstr("the link's 900 GB/s is not reached"));
  EXPECT_THAT(set({"policy.lookahead.distance=500"}, "pre-gated"),
              HasSubstr("lookahead.distance 500 changes nothing"));
  // The CPU's arithmetic binds: its memory may be twice as fast.
  EXPECT_THAT(set({"policy.miss.service=compute-on-cpu", "machine.host.rate=0.01TFLOP/s",
                   "machine.host.memory_bandwidth=400GB/s"}),
              HasSubstr("machine.host.memory_bandwidth=400GB/s changes nothing here"));
  EXPECT_THAT(set({"policy.cache.eviction=lfu"}),
              HasSubstr("policy.cache.eviction=lfu changes nothing here"));
  EXPECT_THAT(set({"policy.miss.admission=background", "policy.cache.capacity=25%"}),
              HasSubstr("miss.admission changes nothing where misses are fetched"));
  EXPECT_THAT(set({"machine.gpu.count=2"}), HasSubstr("machine.gpu.count=2 changes nothing here"));
  EXPECT_THAT(notes({"--policy", "on-demand", "--machine", "a100-80g-fastertransformer", "--set",
                     "software.launch.eager=9us"}),
              HasSubstr("software.launch.eager=9us changes nothing: the machine says itself"));
  EXPECT_THAT(notes({"--policy", "on-demand", "--prompt-chunk", "0", "--set", "software.prompt_chunk=16"}),
              HasSubstr("software.prompt_chunk=16 changes nothing: --prompt-chunk comes before it"));
  EXPECT_THAT(set({"software.launch.eager=9us", "software.prompt_chunk=16"}),
              Not(HasSubstr("changes nothing")));
  EXPECT_THAT(notes({"--policy", "gpu-only", "--cache", "25%"}), HasSubstr("--cache changes nothing"));
  // What has an effect is not said to have none.
  EXPECT_THAT(set({"machine.overhead.step=2ms", "machine.link.h2d.bandwidth=10GB/s"}),
              Not(HasSubstr("changes nothing")));
  EXPECT_THAT(notes({}), HasSubstr("no --software is named"));
  EXPECT_EQ(notes({"--software", "generic"}), "[][][][][]");
}

TEST_F(Outputs, AMachineThatWasFittedIsNotCalledAnEstimate) {
  write("fitted.toml",
        "extends = \"rtx3090-pcie4\"\ndescription = \"mine\"\nsource = \"mine\"\ncalibration = \"fitted\"\n"
        "calibration_source = \"llama-bench\"\nsoftware = \"llama-cpp\"\n");
  const auto notes = [&](const std::string& machine) {
    return compare({"--policy", "gpu-only", "--machine", machine})["config"]["notes"].dump();
  };
  EXPECT_THAT(notes("fitted.toml"), Not(HasSubstr("no --software is named")));
  EXPECT_THAT(notes("rtx3090-pcie4"), HasSubstr("no --software is named: generic launches, an estimate"));
}

TEST_F(Outputs, CombinationsThatAreSoundAreTaken) {
  for (const Words& more :
       {Words{"--set", "policy.transfer.chunk=0"},
        Words{"--set", "policy.placement.kind=first-layers", "--set", "policy.placement.count=0"},
        Words{"--cache", "25%", "--set", "policy.miss.admission=background"},
        Words{"--cache", "25%", "--set", "policy.miss.service=compute-on-cpu", "--set",
              "policy.miss.admission=background"}}) {
    Words words{"simulate", "--requests", "1", "--policy", "on-demand"};
    words.insert(words.end(), more.begin(), more.end());
    succeed(words);
  }
  expect_refused({"compare", "--policy", "gpu-only", "--cache", "lots"}, {"--cache", "'lots'", "hint:"});
  expect_refused({"compare", "--policy", "gpu-only", "--cache-scope", "all"}, {"--cache-scope", "hint:"});
}

// What is not a regular file is refused by every option that reads one, with the reason.
TEST_F(Outputs, OnlyFilesAreRead) {
  namespace fs = std::filesystem;
  fs::create_directory(path("folder"));
  for (const char* end : {"", ".toml", ".json", ".db"}) {
    const std::string suffix = end;
    fs::create_symlink("loop" + suffix, path("loop" + suffix));
    fs::create_symlink("nowhere" + suffix, path("dangling" + suffix));
    ASSERT_EQ(::mkfifo(path("pipe" + suffix).c_str(), 0600), 0);
    fs::create_symlink("/dev/zero", path("zero" + suffix));
  }
  const std::vector<std::pair<Words, std::string>> readers = {
      {{"compare", "--model"}, ".toml"},
      {{"compare", "--model"}, ".json"},
      {{"compare", "--machine"}, ".toml"},
      {{"compare", "--policy"}, ".toml"},
      {{"compare", "--profile"}, ".toml"},
      {{"compare", "--trace"}, ".db"},
      {{"analyze"}, ".json"},
      {{"trace", "info"}, ".db"},
      {{"execute", "--device", "host", "--weights-file"}, ""}};
  for (const auto& [words, suffix] : readers) {
    for (const char* what : {"loop", "dangling", "pipe", "zero", "absent"}) {
      Words all = words;
      all.push_back("./" + (what + suffix));
      expect_refused(all, {what + suffix});
    }
    Words all = words;
    all.emplace_back("./folder");
    expect_refused(all, {"folder"});
  }
  expect_refused({"compare", "--profile", "./loop.toml"}, {"is a link that leads back to itself"});
  expect_refused({"compare", "--store", "loop.db"}, {"loop.db"});
}

TEST_F(Outputs, AFullDiskIsNotMendedByAnotherStore) {
  succeed({"compare", "--requests", "1", "--store", "r.db"});
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path("r.db")));
  const Outcome outcome =
      run({"compare", "--requests", "1", "--store", "r.db"}, {.largest_file = size + 4096});
  EXPECT_THAT(outcome.err, HasSubstr("is the disk full?"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("new file for --store")));
}

}  // namespace
}  // namespace pregate::test
