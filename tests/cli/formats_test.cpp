// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the program writes is versioned. golden/formats.txt holds the keys and types of every document and the
// tables of every database, by version: a key that goes away or changes its type, and any change of a table,
// needs another version. Keys may be added. With PREGATE_UPDATE_GOLDEN=1 what was added is written there.
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using Json = nlohmann::json;

const std::filesystem::path fixtures =
    std::filesystem::path(PREGATE_SOURCE_DIR) / "tests" / "cli" / "written_by_0.1";

/// "results[].tokens_per_s number": where a value is and of what type. Items of a list are alike. A value
/// that may be missing is null or its type.
using Shape = std::map<std::string, std::string>;

void add_shape(const Json& value, const std::string& at, Shape& shape) {
  if (value.is_object()) {
    for (const auto& [key, member] : value.items())
      add_shape(member, at.empty() ? key : at + "." + key, shape);
    return;
  }
  if (value.is_array()) {
    for (const Json& item : value) add_shape(item, at + "[]", shape);
    if (value.empty()) shape.emplace(at + "[]", "null");
    return;
  }
  const std::string type = value.is_number() ? "number" : value.is_null() ? "null" : value.type_name();
  std::string& known = shape[at];
  if (known.empty() || known == "null") known = type;
  if (known != type && type != "null") known = "any";
}

Shape shape_of(const Json& document) {
  Shape shape;
  add_shape(document, "", shape);
  return shape;
}

/// What of `before` a reader would miss or misread in `now`.
std::vector<std::string> lost(const Shape& before, const Shape& now) {
  std::vector<std::string> all;
  for (const auto& [at, type] : before) {
    const auto found = now.find(at);
    const bool is_free = type == "null" || type == "any";
    if (found == now.end()) {
      all.push_back(at + " is gone");
    } else if (!is_free && found->second != "null" && found->second != type) {
      all.push_back(at + " was " + type + ", is " + found->second);
    }
  }
  return all;
}

class Formats : public ProgramTest {
 protected:
  /// By "format version": its shape.
  using Known = std::map<std::string, Shape>;

  static std::filesystem::path golden_file() {
    return std::filesystem::path(PREGATE_SOURCE_DIR) / "tests" / "cli" / "golden" / "formats.txt";
  }
  static Known golden() {
    Known all;
    std::ifstream file(golden_file());
    std::string format;
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("# ")) continue;
      if (line.starts_with("== ")) {
        format = line.substr(3);
      } else if (!line.empty()) {
        const std::size_t space = line.rfind(' ');
        all[format][line.substr(0, space)] = line.substr(space + 1);
      }
    }
    return all;
  }
  static void write_golden(const Known& all) {
    std::ofstream file(golden_file(), std::ios::binary);
    file << "# Keys and types of what pregate writes, by format and version. Written by formats_test.cpp. A "
            "format whose\n"
            "# version was never released may be written anew: remove its section first.\n";
    for (const auto& [format, shape] : all) {
      file << "\n== " << format << "\n";
      for (const auto& [at, type] : shape) file << at << ' ' << type << '\n';
    }
  }
  /// A format as it is written now.
  void check(const std::string& format, const Json& version, const Shape& shape) const {
    SCOPED_TRACE(format);
    EXPECT_FALSE(shape.empty());
    const std::string name = format + " " + version.dump();
    Known all = golden();
    const auto known = all.find(name);
    if (known != all.end()) {
      EXPECT_THAT(lost(known->second, shape), ::testing::IsEmpty())
          << "this needs a new version of " << format << " (docs/cli.md)";
    }
    if (std::getenv("PREGATE_UPDATE_GOLDEN") == nullptr) {
      EXPECT_TRUE(known != all.end())
          << name << " is not in golden/formats.txt; if it is meant: PREGATE_UPDATE_GOLDEN=1";
      return;
    }
    Shape& kept = all[name];
    for (const auto& [at, type] : shape)
      if (kept[at].empty() || kept[at] == "null") kept[at] = type;
    write_golden(all);
  }
  /// The tables of a database, statement by statement: none may change.
  [[nodiscard]] Shape tables_of(const std::string& database) const {
    Shape shape;
    const std::string all = sql(database,
                                "SELECT group_concat(sql, char(10)) FROM (SELECT sql FROM sqlite_schema "
                                "WHERE sql IS NOT NULL ORDER BY name)");
    std::istringstream lines(all);
    for (std::string line; std::getline(lines, line);) shape[line] = "table";
    return shape;
  }
  void check_tables(const std::string& format, const std::string& database) const {
    const Shape now = tables_of(database);
    const std::string version = sql(database, "PRAGMA user_version");
    check(format, std::stoi(version), now);
    const Known all = golden();
    const auto known = all.find(format + " " + version);
    if (known == all.end()) return;  // said by check()
    EXPECT_EQ(now, known->second) << format << ": a table that changes needs a new version";
  }
  [[nodiscard]] Json json(const std::string& name) const { return Json::parse(read(name)); }
  [[nodiscard]] Shape heads_of(const std::string& csv) const {
    Shape shape;
    std::istringstream head(read(csv).substr(0, read(csv).find('\n')));
    for (std::string name; std::getline(head, name, ',');) shape[name] = "column";
    return shape;
  }
  /// A file of the folder that 0.1 wrote.
  std::string from_0_1(const std::string& name) const {
    std::filesystem::copy_file(fixtures / name, path(name),
                               std::filesystem::copy_options::overwrite_existing);
    return name;
  }
};

TEST_F(Formats, OfResults) {
  succeed({"trace", "generate", "--requests", "1", "-o", "t.db"});
  succeed({"compare", "--trace", "t.db", "--policy", "gpu-only,on-demand-cache,pre-gated,experts-on-cpu",
           "--json", "r.json", "--csv", "r.csv", "--store", "r.db"});
  const Json results = json("r.json");
  check("results.json", results.at("format_version"), shape_of(results));
  check("results.csv", results.at("format_version"), heads_of("r.csv"));
  succeed({"simulate", "--trace", "t.db", "--policy", "pre-gated", "--request-log", "q.csv"});
  check("request-log.csv", results.at("format_version"), heads_of("q.csv"));
  check_tables("results.db", "r.db");
}

TEST_F(Formats, OfTracesAndSchedules) {
  succeed({"trace", "generate", "--requests", "1", "-o", "t.db"});
  check_tables("trace.db", "t.db");
  succeed({"trace", "export", "t.db", "-o", "t.jsonl"});
  const std::string text = read("t.jsonl");
  Shape lines;
  Json version;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    const Json each = Json::parse(line);
    if (version.is_null()) version = each.at("version");
    add_shape(each, "", lines);
  }
  check("trace.jsonl", version, lines);
  succeed({"trace", "export", "t.db", "--format", "csv", "-o", "t.csv"});
  check("trace.csv", version, heads_of("t.csv"));
  succeed({"simulate", "--trace", "t.db", "--policy", "pre-gated", "--record-steps", "2", "--schedule",
           "s.json"});
  check("schedule.json", json("s.json").at("version"), shape_of(json("s.json")));
  succeed({"place", "--trace", "t.db", "--gpus", "2", "--kind", "replicated", "-o", "homes.json"});
  check("expert-homes.json", json("homes.json").at("version"), shape_of(json("homes.json")));
}

TEST_F(Formats, OfSweeps) {
  succeed({"sweep", "--model", "switch-base-8", "--prompt", "2", "--output", "1", "--policy",
           "on-demand,pre-gated", "--vary", "machine.link.h2d.bandwidth=4GB/s,8GB/s", "-o", "s.db", "--json",
           "s.json", "--csv", "s.csv"});
  check_tables("sweep.db", "s.db");
  check("sweep.csv", std::stoi(sql("s.db", "PRAGMA user_version")), heads_of("s.csv"));
}

// What 0.1 wrote is read, and as it was meant.
TEST_F(Formats, WhatAnEarlierVersionWroteIsRead) {
  const std::string about = succeed({"trace", "info", from_0_1("trace.db")});
  EXPECT_EQ(succeed({"trace", "check", "trace.db"}), "trace.db: sound\n");
  succeed({"trace", "import", from_0_1("trace.jsonl"), "-o", "imported.db"});
  EXPECT_EQ(content_hash(about), content_hash(succeed({"trace", "info", "imported.db"})));
  EXPECT_EQ(content_hash(about), Json::parse(content_of(fixtures / "results.json")).at("trace_hash"));

  EXPECT_THAT(succeed({"analyze", from_0_1("schedule.json")}), ::testing::HasSubstr("acyclic"));

  from_0_1("model.toml");
  from_0_1("machine.toml");
  from_0_1("policy.toml");
  const Words compare{"compare",
                      "--trace",
                      "trace.db",
                      "--model",
                      "./model.toml",
                      "--machine",
                      "./machine.toml",
                      "--policy",
                      "./policy.toml,on-demand",
                      "--json",
                      "now.json",
                      "--store",
                      from_0_1("results.db")};
  const std::string rows = sql("results.db", "SELECT count(*) FROM results");
  succeed(compare);
  EXPECT_EQ(std::stoi(sql("results.db", "SELECT count(*) FROM results")), std::stoi(rows) + 2);
  // Those of before have none, and their own program's version.
  EXPECT_EQ(sql("results.db", "SELECT count(*) FROM results WHERE json LIKE '%format_version%'"), "2");
  EXPECT_EQ(sql("results.db", "SELECT count(DISTINCT version) FROM results"), "2");
  EXPECT_EQ(json("now.json").at("trace_hash"),
            Json::parse(content_of(fixtures / "results.json")).at("trace_hash"));
}

// Whoever reads results of 0.1, which had no format_version, by their keys and columns finds them today: all
// but one.
TEST_F(Formats, KeysOfAnEarlierVersionAreThere) {
  const Json then = Json::parse(content_of(fixtures / "results.json"));
  EXPECT_FALSE(then.contains("format_version"));
  from_0_1("trace.db");
  succeed({"compare", "--trace", "trace.db", "--model", (fixtures / "model.toml").string(), "--policy",
           "gpu-only,on-demand-cache,pre-gated", "--json", "now.json", "--csv", "now.csv"});
  // What does not apply to a policy is left out since.
  EXPECT_THAT(lost(shape_of(then), shape_of(json("now.json"))),
              ::testing::ElementsAre("results[].policy_config.placement.count is gone"));
  write("then.csv", content_of(fixtures / "results.csv"));
  EXPECT_THAT(lost(heads_of("then.csv"), heads_of("now.csv")), ::testing::IsEmpty());
}

}  // namespace
}  // namespace pregate::test
