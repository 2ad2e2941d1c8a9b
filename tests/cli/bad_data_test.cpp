// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Missing, empty, truncated and foreign files at every reader of the program.
#include <algorithm>
#include <utility>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using ::testing::HasSubstr;

// One small sound example of each import format.
constexpr const char* switch_lines =
    "permuted_experts_ 0 0 1 1 2 3 3 3 4 5\npermuted_experts_ 0 1 1 1 2 3 3 4 4 6\n"
    "permuted_experts_ 5\npermuted_experts_ 3\npermuted_experts_ 5\npermuted_experts_ 2\n";
constexpr const char* gpt_oss_csv = "seq,dataset,category,token,L0,L1\n0,d,c,0,1 2,3 0\n0,d,c,1,2 1,0 3\n";
constexpr const char* gpt_oss_json =
    R"({"router_data":[{"token_0":{"layer_0":{"selected_experts":[1,2],"selected_probs":[0.6,0.4]}}}]})";

class BadData : public ProgramTest {
 protected:
  static Words with_outputs(Words command) {
    command.insert(command.end(), {"--json", "out.json", "--csv", "out.csv", "--store", "out.db"});
    return command;
  }
  /// A compare that reads `file` as `option`, with every output asked for.
  void expect_unreadable(const std::string& option, const std::string& file,
                         const std::vector<std::string>& mentions) const {
    expect_refused(with_outputs({"compare", option, file}), mentions);
  }
  void generate(const std::string& name) const {
    succeed({"trace", "generate", "--requests", "1", "-o", name, "--overwrite"});
  }
  std::string export_jsonl() const {
    generate("whole.db");
    succeed({"trace", "export", "whole.db", "-o", "whole.jsonl"});
    return read("whole.jsonl");
  }
};

TEST_F(BadData, TraceDatabases) {
  generate("t.db");
  const std::string whole = read("t.db");
  write("empty.db", "");
  write("foreign.db", std::string(8192, 'x'));
  write("cut.db", whole.substr(0, whole.size() / 2));
  write("head.db", whole.substr(0, 60));
  std::filesystem::create_directory(path("folder.db"));
  // Every command that reads a trace: missing, empty, foreign, truncated.
  const std::vector<Words> commands = {with_outputs({"compare", "--trace", "FILE"}),
                                       with_outputs({"simulate", "--timeline", "o.t", "--trace", "FILE"}),
                                       {"trace", "info", "FILE"},
                                       {"trace", "export", "FILE", "-o", "out.jsonl"},
                                       {"trace", "fit", "FILE", "-o", "out.toml"},
                                       {"trace", "replay", "FILE", "--expert-bytes", "1MiB"}};
  const std::vector<std::pair<std::string, std::string>> faults = {
      {"absent.db", "no such file"}, {"empty.db", "is empty"},   {"foreign.db", "is not a trace database"},
      {"cut.db", "is truncated"},    {"head.db", "not a trace"}, {"folder.db", "is a folder"}};
  for (const auto& [file, problem] : faults) {
    for (Words command : commands) {
      std::replace(command.begin(), command.end(), std::string("FILE"), file);
      expect_refused(command, {file, problem});
    }
  }
  expect_refused({"trace", "check", "absent.db"}, {"absent.db", "no such file", "hint:"});
  // A check that finds faults is no misuse: exit 1 and the faults on standard output.
  const Outcome checked = run({"trace", "check", "cut.db"});
  EXPECT_EQ(checked.exit_code, 1);
  EXPECT_THAT(checked.out, HasSubstr("cut.db: is truncated"));
}

TEST_F(BadData, TraceDatabasesThatLie) {
  const auto after = [&](const std::string& statements) {
    generate("t.db");
    sql("t.db", statements);
  };
  const auto expect = [&](const std::vector<std::string>& mentions) {
    expect_unreadable("--trace", "t.db", mentions);
    expect_refused({"trace", "info", "t.db"}, mentions);
    EXPECT_EQ(run({"trace", "check", "t.db"}).exit_code, 1);
  };
  after("PRAGMA user_version = 99");
  expect({"t.db", "schema version 99", "this program reads version 1", "hint:"});
  after("PRAGMA application_id = 7");
  expect({"t.db", "not of routing traces"});
  after("UPDATE step SET experts = x'0102' WHERE id = 9");
  expect({"t.db", "request 0, step 9", "experts blob of 2 bytes", "need 6"});
  after("UPDATE step SET experts = x'0102030405FE' WHERE id = 9");
  expect({"t.db", "request 0, step 9", "expert 254", "layer 11", "128 experts (0..127)"});
  after("DELETE FROM step; DELETE FROM request; UPDATE trace SET requests = 0, steps = 0");
  expect({"t.db", "holds no requests"});
  after("UPDATE step SET phase = 77 WHERE id = 3");
  expect({"t.db", "step 3", "unknown phase 77"});
  // Sound routing, but not that of the hash which every result carries.
  after("UPDATE step SET experts = x'010101010101' WHERE id = 9");
  expect({"t.db", "is not what its content hash says", "hint:", "pregate trace check"});
}

TEST_F(BadData, TextOfATraceIsCleanedBeforeItIsPrinted) {
  generate("t.db");
  sql("t.db",
      "UPDATE trace SET model = 'a\x1b[2Jb'; INSERT INTO provenance VALUES ('k\x1b[3J', 'v\x1b]0;x\x07')");
  const Outcome info = run({"trace", "info", "t.db"});
  EXPECT_EQ(info.exit_code, 0);
  EXPECT_THAT(info.out, HasSubstr("a?[2Jb"));
  EXPECT_THAT(info.out, ::testing::Not(HasSubstr("\x1b")));
  write("r.csv", "seq,dataset,category,token,L0\n0,d,c,0,\x1b[2J\n");
  const Outcome import = run({"trace", "import", "r.csv", "-o", "o.db"});
  EXPECT_EQ(import.exit_code, 2);
  EXPECT_THAT(import.err, HasSubstr("expert is '?[2J'"));
}

TEST_F(BadData, TracesOfAnotherModel) {
  generate("t.db");
  const auto expect = [&](const char* model, const std::vector<std::string>& mentions) {
    expect_refused(with_outputs({"compare", "--trace", "t.db", "--model", model}), mentions);
  };
  expect("switch-base-64", {"t.db", "encoder layer 1", "128 experts", "has 64", "hint:", "switch-base-128"});
  expect("switch-large-128", {"t.db", "switch-large-128", "hint:"});
  expect("qwen3-30b-a3b", {"t.db", "stack 'encoder'", "hint:"});
}

TEST_F(BadData, ImportsOfEveryFormat) {
  const std::string jsonl = export_jsonl();
  const std::vector<std::pair<std::string, std::string>> sound = {{"switch-lines", switch_lines},
                                                                  {"gpt-oss-csv", gpt_oss_csv},
                                                                  {"gpt-oss-json", gpt_oss_json},
                                                                  {"jsonl", jsonl}};
  write("empty.txt", "");
  write("foreign.txt", "Dear diary,\ntoday I routed nothing.\n");
  write("binary.txt", std::string("\x1f\x8b\x08\x00garbage\x00\xff\xfe", 14));
  std::vector<std::string> formats = {"", "route-trace-v1"};
  for (const auto& [format, text] : sound) {
    formats.push_back(format);
    write("sound.txt", text);
    succeed({"trace", "import", "sound.txt", "--format", format, "--experts", "128", "-o", "s.db",
             "--overwrite"});
    EXPECT_EQ(run({"trace", "check", "s.db"}).exit_code, 0) << format;
    std::filesystem::remove(path("s.db"));
    write("cut.txt", text.substr(0, text.size() * 2 / 3 - (format == "switch-lines" ? 22 : 0)));
    if (format != "switch-lines" && format != "gpt-oss-csv") {  // a line less of these is a shorter recording
      expect_refused({"trace", "import", "cut.txt", "--format", format, "--experts", "128", "-o", "o.db"},
                     {"cut.txt"});
    }
  }
  for (const std::string& format : formats) {
    for (const char* file : {"absent.txt", "empty.txt", "foreign.txt", "binary.txt"}) {
      Words words = {"trace", "import", file, "-o", "o.db"};
      if (!format.empty()) words.insert(words.end(), {"--format", format});
      expect_refused(words, {file});
    }
  }
  expect_refused({"trace", "import", "foreign.txt", "-o", "o.db"},
                 {"foreign.txt", "no format", "hint:", "pregate list formats", "docs/recording.md"});
  expect_refused({"trace", "import", "sound.txt", "--format", "jsnol", "-o", "o.db"}, {"jsnol", "jsonl"});
}

TEST_F(BadData, RecordingsThatLie) {
  const auto expect = [&](const std::string& text, const std::vector<std::string>& mentions) {
    write("r.txt", text);
    expect_refused({"trace", "import", "r.txt", "--experts", "4", "-o", "o.db"}, mentions);
  };
  expect("seq,dataset,category,token,L0,L1\n0,d,c,0,1 2,3 0\n0,d,c,1,2 7,0 3\n",
         {"r.txt", "expert 7", "4 experts (0..3)", "hint:"});
  expect("seq,dataset,category,token,L0,L1\n0,d,c,0,1 2,3 0\n0,d,c,1,2 -1,0 3\n", {"r.txt:3", "-1"});
  expect("seq,dataset,category,token,L0,L1\n0,d,c,0,1 2,3 0\n0,d,c,1,2 nan,0 3\n", {"r.txt:3", "nan"});
  expect("seq,dataset,category,token,L0,L1\n0,d,c,0,1 2\n", {"r.txt:2"});
  expect("seq,dataset,category,token,L0,L1\n", {"r.txt"});  // no request
  expect("permuted_experts_ 0 1 99999999999999999999\n", {"r.txt:1"});
  const std::string jsonl = export_jsonl();
  const std::string header = jsonl.substr(0, jsonl.find('\n') + 1);
  expect(header, {"r.txt"});  // no request
  std::string other = header;
  other.replace(other.find("\"version\":1"), 11, "\"version\":7");
  expect(other, {"r.txt", "7"});
  std::string unknown = header;
  unknown.replace(unknown.find("\"model\""), 7, "\"modle\"");
  expect(unknown, {"r.txt:1", "model"});
}

TEST_F(BadData, DescriptionFiles) {
  write("empty.toml", "");
  write("cut.toml", "description = \"cut\"\n[gpu]\nmemory = \"80 G");
  write("foreign.toml", "colour = \"green\"\n");
  write("binary.toml", std::string("\0\1\2\xff\xfe", 5));
  for (const char* option : {"--model", "--machine", "--policy", "--profile"}) {
    for (const char* file : {"absent.toml", "empty.toml", "cut.toml", "foreign.toml", "binary.toml"}) {
      expect_unreadable(option, file, {file});
    }
  }
  write("empty.json", "");
  write("cut.json", R"({"model_type": "mixtral", "hidden_si)");
  write("foreign.json", R"({"colour": "green"})");
  write("stranger.json", R"({"model_type": "bert", "hidden_size": 768})");
  for (const char* file : {"absent.json", "empty.json", "cut.json", "foreign.json", "stranger.json"}) {
    expect_unreadable("--model", file, {file});
    expect_refused({"analyze", file}, {file});
  }
  expect_unreadable("--model", "stranger.json", {"bert", "hint:", "pregate list families"});
  expect_unreadable("--machine", "foreign.json", {"foreign.json"});
  expect_unreadable("--policy", "foreign.json", {"foreign.json"});
  expect_unreadable("--model", ".", {"."});
  expect_unreadable("--machine", "/dev/zero.toml", {"/dev/zero.toml"});
}

TEST_F(BadData, PolicyFiles) {
  write("odd.toml", "[lookahead]\nkind = \"pre-gate\"\ndistanse = 2\n");
  expect_unreadable("--policy", "odd.toml", {"odd.toml:3", "distanse", "hint:", "distance"});
  write("kind.toml", "[lookahead]\nkind = \"pre-gated\"\n");
  expect_unreadable("--policy", "kind.toml", {"kind.toml:2", "pre-gated", "hint:", "pre-gate"});
  write("evict.toml", "[cache]\ncapacity = \"10%\"\neviction = \"lur\"\n");
  expect_unreadable("--policy", "evict.toml", {"evict", "lur", "hint:", "lru"});
}

TEST_F(BadData, Schedules) {
  succeed({"simulate", "--requests", "1", "--record-steps", "2", "--schedule", "s.json"});
  const std::string whole = read("s.json");
  const auto expect = [&](const std::string& text, const std::vector<std::string>& mentions) {
    write("bad.json", text);
    expect_refused({"analyze", "bad.json"}, mentions);
  };
  const auto with = [&whole](const std::string& from, const std::string& to) {
    std::string text = whole;
    EXPECT_NE(text.find(from), std::string::npos) << from;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  expect(whole.substr(0, whole.size() / 2), {"bad.json", "hint:"});
  expect(with("\"version\":1", "\"version\":2"), {"bad.json", "2"});
  expect(with("\"fixed_ps\":", "\"fixed_ps\":-"), {"bad.json", "fixed_ps"});
  expect(with("\"kind\":\"gate\"", "\"kind\":\"gaet\""), {"bad.json", "gaet"});
  expect(with("\"stream\":\"compute\"", "\"stream\":7"), {"bad.json"});
  expect(with("\"id\":3", "\"id\":9000000000000000000"), {"bad.json"});
  expect(R"({"format":"pregate-schedule","version":1,"operations":[]})", {"bad.json"});
}

TEST_F(BadData, ResultDatabases) {
  generate("trace.db");
  write("foreign.db",
        "not a database at all, but long enough to have a header of one hundred bytes, were it one. "
        "It is not.\n");
  const auto expect = [&](const std::vector<std::string>& mentions, const std::string& file) {
    expect_refused({"compare", "--requests", "1", "--json", "o.json", "--csv", "o.csv", "--store", file},
                   mentions);
  };
  expect({"foreign.db", "not a pregate result database", "hint:"}, "foreign.db");
  expect({"trace.db", "not a pregate result database", "hint:"}, "trace.db");
  succeed({"compare", "--requests", "1", "--store", "results.db"});
  const std::string whole = read("results.db");
  sql("results.db", "PRAGMA user_version = 99");
  expect({"results.db", "schema version 99", "writes 1", "hint:"}, "results.db");
  write("cut.db", whole.substr(0, 5000));
  expect({"cut.db"}, "cut.db");
}

}  // namespace
}  // namespace pregate::test
