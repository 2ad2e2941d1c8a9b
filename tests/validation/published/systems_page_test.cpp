// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// docs/systems.md follows from docs/systems.toml, the policies of the catalogue and what the cases compute.
#include <gtest/gtest.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "models/catalog.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/policy/policy_kind.hpp"
#include "tests/validation/published/evaluated_once.hpp"

namespace pregate::validation {
namespace {

const std::filesystem::path source_folder = PREGATE_SOURCE_DIR;

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream whole;
  whole << file.rdbuf();
  return whole.str();
}

struct System {
  std::string name, policy, does, given, not_modelled;
  std::vector<std::string> cases, tests;
};

std::vector<System> systems() {
  const toml::table root = toml::parse(content(source_folder / "docs" / "systems.toml"));
  std::vector<System> all;
  const auto texts = [](const toml::table& table, const char* key) {
    std::vector<std::string> values;
    if (const toml::array* array = table[key].as_array()) {
      for (const toml::node& each : *array) values.push_back(each.value_or(std::string{}));
    }
    return values;
  };
  for (const toml::node& node : *root["system"].as_array()) {
    const toml::table& table = *node.as_table();
    const auto text = [&table](const char* key) { return table[key].value_or(std::string{}); };
    all.push_back({text("name"), text("policy"), text("does"), text("given"), text("not_modelled"),
                   texts(table, "cases"), texts(table, "tests")});
  }
  return all;
}

/// The parts that a policy chose, as far as they are not what every policy has.
std::string parts_of(const PolicySpec& policy) {
  const sim::Parts& parts = sim::built_in_parts();
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (policy.placement.kind->name != parts.placements.standard().name) add(policy.placement.kind->name);
  if (policy.cache.capacity.kind != CapacityKind::none)
    add("cache " + policy.cache.eviction + (policy.cache.scope == CacheScope::global ? " (global)" : ""));
  if (policy.host_cache.capacity.kind != CapacityKind::none)
    add("drive, " + policy.host_cache.eviction + " in DRAM");
  if (policy.lookahead.predictor->predicts()) {
    add(policy.lookahead.predictor->name);
    if (policy.prefetch.prefetcher->name != parts.prefetchers.standard().name)
      add(policy.prefetch.prefetcher->name);
  }
  if (policy.miss.service->name != parts.miss_services.standard().name) add(policy.miss.service->name);
  return text.empty() ? "fetch" : text;
}

std::string verdicts(const System& system) {
  std::string text;
  for (const std::string& name : system.cases) {
    const CaseResult& result = evaluated(name).result;
    text += (text.empty() ? "" : "; ") + std::string("[") + name + "](validation/" + name + ".md): ";
    std::string failed;
    std::size_t passed = 0;
    for (const GateResult& gate : result.gates) {
      if (gate.passed()) {
        ++passed;
      } else {
        failed += ", " + std::string(gate_word(gate)) + " " + gate.gate.rows() + " " + gate_text(gate);
      }
    }
    text += std::to_string(passed) + " of " + std::to_string(result.gates.size()) + " gates pass" + failed;
  }
  if (!system.tests.empty()) {
    text += text.empty() ? "" : "; ";
    text += "conformance: " + std::to_string(system.tests.size()) +
            (system.tests.size() == 1 ? " test" : " tests");
  }
  return text.empty() ? "none: the source states too little" : text;
}

std::string page() {
  std::string table = "| system | policy | kind | parts | checks and verdicts |\n|---|---|---|---|---|\n";
  std::string lines;
  for (const System& system : systems()) {
    const PolicySpec policy = load_policy(system.policy);
    table += "| " + system.name + " | `" + system.policy + "` | " + to_string(kind_of(policy)) + " | " +
             parts_of(policy) + " | " + verdicts(system) + " |\n";
    lines += "\n## " + system.name + "\n" + policy.source + "\n\n- Does: " + system.does +
             "\n- Taken as given: " + system.given + "\n- Not modelled: " + system.not_modelled + "\n";
    std::string names;
    for (const std::string& test : system.tests) names += (names.empty() ? "`" : ", `") + test + "`";
    if (!names.empty()) lines += "- Tests: " + names + "\n";
  }
  return table + lines;
}

TEST(SystemsPage, IsWhatTheCatalogueAndTheCasesSay) {
  PREGATE_NEEDS_SHARED_DATA();
  const std::filesystem::path path = source_folder / "docs" / "systems.md";
  const std::string text = content(path), mark = "<!-- generated from systems.toml -->\n";
  const std::size_t begin = text.find(mark);
  ASSERT_NE(begin, std::string::npos) << path << " lacks its mark";
  const std::string head = text.substr(0, begin + mark.size()), computed = page();
  if (std::getenv("PREGATE_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << head << computed;
    GTEST_SKIP() << "SKIPPED: wrote " << path;
  }
  EXPECT_EQ(text.substr(begin + mark.size()), computed) << "if this is meant: PREGATE_UPDATE_GOLDEN=1";
}

TEST(SystemsPage, NamesEveryPolicyOfASystemAndTestsThatExist) {
  std::string tests;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source_folder / "tests")) {
    if (entry.path().extension() == ".cpp") tests += content(entry.path());
  }
  std::vector<std::string> named;
  for (const System& system : systems()) {
    named.push_back(system.policy);
    EXPECT_FALSE(system.does.empty() || system.given.empty() || system.not_modelled.empty()) << system.name;
    for (const std::string& test : system.tests) {
      const std::size_t dot = test.find('.');
      ASSERT_NE(dot, std::string::npos) << test;
      EXPECT_NE(tests.find("(" + test.substr(0, dot) + ", " + test.substr(dot + 1) + ")"), std::string::npos)
          << system.name << ": no test is called " << test;
    }
  }
  for (const std::string& policy : policy_names())
    EXPECT_NE(std::find(named.begin(), named.end(), policy), named.end()) << policy << " is in no system";
}

}  // namespace
}  // namespace pregate::validation
