// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Kills, full disks and failing drives at every single place where a command writes. docs/reliability.md
#include "tests/cli/storage_faults.hpp"

#include <nlohmann/json.hpp>

namespace pregate::test {
namespace {

using ::testing::HasSubstr;

class EveryWrite : public StorageFaults {
 protected:
  void SetUp() override {
    const std::string reason = why_not();
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
  static constexpr std::initializer_list<Fault> all = {Fault::kill, Fault::no_space,
                                                       Fault::input_output_error};

  void make_trace() const { succeed({"trace", "generate", "--requests", "2", "-o", "t.db"}); }
  /// A model of two layers of eight experts, and its trace of six passes.
  void make_small_model() const {
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
        "prefill_tokens = 3\ndecode_steps = 3\nsequences = 1\nlayers = [\n" +
            layers + "]\n");
    succeed({"trace", "generate", "--profile", "./profile.toml", "--requests", "1", "-o", "small.db"});
  }
  [[nodiscard]] bool is_json(const std::string& name) const {
    return nlohmann::json::accept(read(name)) && read(name).ends_with("}\n");
  }
};

TEST_F(EveryWrite, OfAnImport) {
  make_trace();
  succeed({"trace", "export", "t.db", "-o", "t.jsonl"});
  const Words import{"trace", "import", "t.jsonl", "-o", "new.db", "--overwrite"};
  EXPECT_GT(expect_survived({.command = import, .outputs = {"new.db"}}, all), 20);
  write("new.db", "precious");
  EXPECT_GT(expect_survived({.command = import, .outputs = {"new.db"}}, {Fault::kill}), 10);
}

TEST_F(EveryWrite, OfOtherFilesThatAreMadeOfATrace) {
  make_trace();
  write("old.csv", "precious");
  const auto survives = [this](const Words& command) {
    EXPECT_GT(expect_survived({.command = command, .outputs = {command.back()}}, all), 5);
  };
  survives({"trace", "export", "t.db", "--format", "csv", "-o", "old.csv"});
  survives({"trace", "generate", "--requests", "1", "--overwrite", "-o", "g.db"});
  // Placing takes its time: what may be lost is lost at the end.
  make_small_model();
  expect_survived(
      {.command = {"place", "--trace", "small.db", "--gpus", "2", "--overwrite", "-o", "homes.json"},
       .outputs = {"homes.json"}},
      all, "write,fsync,rename");
}

TEST_F(EveryWrite, OfASimulation) {
  make_trace();
  write("r.json", "precious");
  EXPECT_GT(expect_survived({.command = {"simulate", "--trace", "t.db", "--policy", "pre-gated-cache",
                                         "--cache", "10%", "--json", "r.json", "--csv", "r.csv", "--timeline",
                                         "l.json", "--schedule", "s.json"},
                             .outputs = {"r.json", "r.csv", "l.json", "s.json"}},
                            all),
            33);
}

// Rows of earlier runs stay, and a row is there whole or not at all.
TEST_F(EveryWrite, OfAStoreOfResults) {
  make_trace();
  const Words command{"compare", "--trace", "t.db", "--store", "r.db", "--json", "r.json"};
  succeed(command);
  std::filesystem::remove(path("r.json"));
  const auto rows = [this] { return std::stoi(sql("r.db", "SELECT count(*) FROM results")); };
  expect_survived({.command = command,
                   .outputs = {"r.json"},
                   .database = "r.db",
                   .after_repeat =
                       [&] {
                         EXPECT_GE(rows(), 8);
                         EXPECT_EQ(rows() % 4, 0);
                       }},
                  all);
}

TEST_F(EveryWrite, OfASweep) {
  const Words command{"sweep",
                      "--model",
                      "switch-base-8",
                      "--prompt",
                      "8",
                      "--output",
                      "4",
                      "--policy",
                      "on-demand-cache",
                      "--vary",
                      "machine.link.h2d.bandwidth=4..16GB/s:2",
                      "--threads",
                      "1",
                      "-o",
                      "s.db",
                      "--csv",
                      "s.csv"};
  EXPECT_GT(expect_survived({.command = command, .outputs = {"s.csv"}, .database = "s.db"}, all), 40);
}

// A calibration takes seconds: each fault where it matters, not each at every call.
TEST_F(EveryWrite, OfACalibration) {
  make_small_model();
  write("mine.toml", "precious");
  const Words command{"calibrate", "--device",     "host", "--model",      "./small.toml", "--seconds",
                      "1",         "--max-tokens", "1",    "--gpu-memory", "64MiB",        "--accept-noise",
                      "-o",        "mine.toml"};
  const Expected expected{
      .command = command, .outputs = {"mine.toml"}, .is_whole = [this](const std::string& name) {
        return run({"simulate", "--trace", "small.db", "--model", "./small.toml", "--machine", "./" + name})
                   .exit_code == 0;
      }};
  EXPECT_GT(expect_survived(expected, {Fault::kill}, "rename"), 0);
  EXPECT_GT(expect_survived(expected, {Fault::no_space}, "write,fsync"), 1);
}

TEST_F(EveryWrite, OfAnExecution) {
  make_small_model();
  const Words command{"execute", "--device",     "host",     "--trace",    "small.db",
                      "--model", "./small.toml", "--policy", "pre-gated",  "--json",
                      "m.json",  "--schedule",   "s.json",   "--timeline", "l.json"};
  expect_survived({.command = command,
                   .outputs = {"m.json", "s.json", "l.json"},
                   .is_whole = [this](const std::string& name) { return is_json(name); }},
                  all);
}

/// Where a test's folder has no direct reads there is no drive to fail.
class EveryDriveAccess : public EveryWrite {
 protected:
  void SetUp() override {
    EveryWrite::SetUp();
    if (IsSkipped()) return;
    make_small_model();
    std::filesystem::create_directory(path("drive"));
    const Outcome outcome = run(command());
    if (outcome.exit_code != 0) GTEST_SKIP() << "SKIPPED: no direct reads: " << outcome.err;
    std::filesystem::remove(path("m.json"));
  }
  static Words command() {
    return {"execute",    "--device", "host",    "--profile",        "./profile.toml",
            "--requests", "1",        "--model", "./small.toml",     "--policy",
            "pre-gated",  "--json",   "m.json",  "--experts-on-ssd", "drive"};
  }
};

TEST_F(EveryDriveAccess, ThatWritesExperts) {
  expect_survived({.command = command(),
                   .outputs = {"m.json"},
                   .is_whole = [this](const std::string& name) { return is_json(name); }},
                  all);
}

// A read that fails in the middle of a run ends it with an error that names the drive's, and nothing is
// written.
TEST_F(EveryDriveAccess, ThatReadsThem) {
  const Words one_by_one{"-e", "inject=io_uring_setup:error=ENOSYS"};
  const auto before = files();
  int reads = 0;
  // The first ones read libraries, in another thread; where one does no harm a later one may.
  constexpr int more_than_there_are = 40;
  for (int n = 1; n <= more_than_there_are; ++n) {
    SCOPED_TRACE("pread64 " + std::to_string(n));
    restore(before);
    const Outcome outcome = run_failing(command(), {"pread64", n}, "EIO", one_by_one);
    constexpr int not_loaded = 127;
    if (outcome.exit_code == 0 || outcome.exit_code == not_loaded) continue;
    if (outcome.err.find("reading an expert from its file") != std::string::npos) ++reads;
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_THAT(outcome.err, ::testing::StartsWith("error: "));
    EXPECT_THAT(outcome.err, ::testing::Not(HasSubstr("fault in pregate")));
    EXPECT_EQ(files(), before);
  }
  EXPECT_GT(reads, 10);
  // The ring itself fails, once it has been made: at its first use and at later ones.
  for (const int n : {1, 2, 7}) {
    restore(before);
    const Outcome outcome = run_failing(command(), {"io_uring_enter", n}, "EIO");
    if (outcome.exit_code == 0) continue;  // fewer are made, or this kernel has none
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("reading an expert from its file"));
    EXPECT_EQ(files(), before);
  }
}

/// Every read of a command's inputs fails once.
class EveryRead : public EveryWrite {
 protected:
  void expect_every_read_survived(const Words& command) const {
    const auto before = files();
    const Outcome undisturbed = run(command);
    EXPECT_EQ(undisturbed.exit_code, 0) << undisturbed.err;
    const auto whole = files();
    for (const char* call : {"read", "pread64"}) {
      bool ended = false;
      for (int n = 1; !ended && n < 400; ++n) {
        restore(before);
        SCOPED_TRACE(std::string(call) + " " + std::to_string(n));
        const Outcome outcome = run_failing(command, {call, n}, "EIO");
        if (outcome.exit_code == 127 || outcome.err.find("shared librar") != std::string::npos)
          continue;  // not ours
        if (outcome.exit_code == 0) {
          EXPECT_EQ(outcome.out, undisturbed.out);
          EXPECT_EQ(files(), whole);
          ended = n > 60;  // long after the last
        } else {
          EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
          EXPECT_THAT(outcome.err, HasSubstr("error"));
          EXPECT_THAT(outcome.err, ::testing::Not(HasSubstr("fault in pregate")));
          EXPECT_EQ(files(), before);
        }
        if (HasNonfatalFailure()) return;
      }
    }
    restore(before);
  }
};

TEST_F(EveryRead, OfATrace) {
  make_trace();
  expect_every_read_survived({"simulate", "--trace", "t.db", "--policy", "pre-gated", "--json", "r.json"});
}

TEST_F(EveryRead, OfAnImport) {
  make_trace();
  succeed({"trace", "export", "t.db", "-o", "t.jsonl"});
  expect_every_read_survived({"trace", "import", "t.jsonl", "-o", "i.db"});
  write("t.csv", "seq,dataset,category,token,L0,L1\n0,d,c,0,1 2,3 0\n0,d,c,1,2 1,0 3\n");
  expect_every_read_survived({"trace", "import", "t.csv", "-o", "i.db"});
}

TEST_F(EveryRead, OfDescriptions) {
  make_small_model();
  expect_every_read_survived(
      {"compare", "--trace", "small.db", "--model", "./small.toml", "--json", "r.json"});
}

}  // namespace
}  // namespace pregate::test
