// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/metrics.hpp"
#include "sim/policy/load_policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "sim/report/report.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

using nlohmann::json;

struct Ran {
  RunConfiguration configuration;
  SimulationResult result;
};

/// Two requests of one prompt of 4 tokens and 6 steps each, 2 of 8 experts in each of 3 layers.
Ran ran(const std::string& policy = "pre-gated-cache") {
  Ran made;
  made.configuration.model = test::tiny_model(3, 8, 2);
  made.configuration.machine = test::tiny_machine();
  test::ListSource source = test::random_source(1, 3, 8, 2, 2, 4, 6);
  made.configuration.trace = source.info();
  made.result = test::run(made.configuration.model, made.configuration.machine, load_policy(policy), source);
  return made;
}

/// The member at a metric's name: dots between levels.
json member(const json& result, const std::string& name) {
  std::string pointer = "/" + name;
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  const json::json_pointer at(pointer);
  return result.contains(at) ? result.at(at) : json("absent");
}

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> all;
  std::stringstream stream(line);
  for (std::string each; std::getline(stream, each, ',');) all.push_back(each);
  return all;
}

TEST(Metrics, AreNamedOnceAndExplained) {
  std::set<std::string> names, heads;
  for (const Metric& metric : metrics()) {
    EXPECT_TRUE(names.insert(metric.name).second) << metric.name << " twice";
    EXPECT_TRUE(metric.csv.empty() || heads.insert(metric.csv).second) << metric.csv << " twice";
    EXPECT_FALSE(metric.help.empty()) << metric.name;
    EXPECT_TRUE(metric.in_json || metric.table || !metric.csv.empty()) << metric.name << " appears nowhere";
    for (const std::string unit : {"ms", "bytes"}) {
      if (metric.unit == unit) {
        EXPECT_THAT(metric.name, testing::HasSubstr("_" + unit));
      }
    }
    if (metric.table) {
      EXPECT_NE(metric.table->print, nullptr) << metric.name;
      EXPECT_GT(metric.table->divisor, 0) << metric.name;
    }
  }
}

// What an entry says is what JSON and CSV hold, where it says.
TEST(Metrics, StandInJsonAndCsvAsTheirEntriesSay) {
  const Ran made = ran();
  const json result = json::parse(results_json(made.configuration, {made.result}))["results"][0];
  std::stringstream csv(results_csv(made.configuration, {made.result}));
  std::string head, row;
  std::getline(csv, head);
  std::getline(csv, row);
  const std::vector<std::string> heads = cells(head), texts = cells(row);
  for (const Metric& metric : metrics()) {
    const MetricValue value = metric.value(made.result);
    const json written = member(result, metric.name);
    if (!metric.in_json || std::holds_alternative<std::monostate>(value)) {
      EXPECT_EQ(written, "absent") << metric.name;
    } else if (const auto* word = std::get_if<std::string>(&value)) {
      EXPECT_EQ(written, *word) << metric.name;
    } else {
      EXPECT_EQ(written.get<double>(), as_number(value)) << metric.name;
    }
    if (metric.csv.empty()) continue;
    const auto column = std::find(heads.begin(), heads.end(), metric.csv) - heads.begin();
    ASSERT_LT(static_cast<std::size_t>(column), texts.size()) << metric.csv;
    const std::string& text = texts[static_cast<std::size_t>(column)];
    if (const auto* word = std::get_if<std::string>(&value)) {
      EXPECT_EQ(text, *word) << metric.name;
    } else if (std::holds_alternative<std::monostate>(value)) {
      EXPECT_EQ(text, "") << metric.name;
    } else {
      EXPECT_EQ(std::stod(text), as_number(value)) << metric.name;
    }
  }
}

// Every number of a result is a metric, but what was configured: no figure is written beside the list.
TEST(Metrics, AreAllNumbersOfAResult) {
  const Ran made = ran();
  json result = json::parse(results_json(made.configuration, {made.result}))["results"][0];
  for (const char* other : {"policy", "status", "evidence", "policy_config", "notes"}) result.erase(other);
  std::set<std::string> names;
  for (const Metric& metric : metrics()) names.insert(metric.name);
  const json flat = result.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    std::string name = pointer.substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    EXPECT_TRUE(names.contains(name)) << name << " = " << value;
  }
}

// Of a result that does not fit, memory is known and nothing else.
TEST(Metrics, OutOfMemoryLeavesThoseOfMemory) {
  Ran made = ran();
  made.result.out_of_memory = true;
  const json result = json::parse(results_json(made.configuration, {made.result}))["results"][0];
  for (const Metric& metric : metrics()) {
    const bool is_there = member(result, metric.name) != "absent";
    EXPECT_EQ(is_there, metric.group == MetricGroup::memory) << metric.name;
  }
}

// By hand: 12 output tokens (6 steps of 2 sequences); every step activates at most 2 x 2 of 8 experts in each
// of 3 layers. Without a cache on-demand copies each miss once, and what is copied is whole experts.
TEST(Metrics, CountsAddUp) {
  const Ran made = ran("on-demand");
  std::map<std::string, double> value;
  for (const Metric& metric : metrics()) value[metric.name] = as_number(metric.value(made.result));
  const double expert = static_cast<double>(
      made.configuration.model.expert_bytes(made.configuration.model.stacks.front()).count);
  EXPECT_EQ(value["output_tokens"], 12);
  EXPECT_NEAR(value["tokens_per_s"], 12e3 / value["total_ms"], 1e-6);
  EXPECT_EQ(value["h2d_bytes"], expert * value["fetches"]);
  EXPECT_EQ(value["h2d_bytes_per_token"], value["h2d_bytes"] / 12);
  EXPECT_EQ(value["fetches"], value["cache.misses"]);
  EXPECT_NEAR(value["exposed_transfer_share"], value["exposed_transfer_ms"] / value["total_ms"], 1e-12);
  EXPECT_EQ(value["decode_ms"] + value["prefill_ms"], value["total_ms"]);
  double by_purpose = 0;
  for (const auto& [name, number] : value)
    by_purpose += name.starts_with("peak_gpu_bytes_by_purpose.") ? number : 0;
  EXPECT_EQ(by_purpose, value["peak_gpu_bytes"]);
}

}  // namespace
}  // namespace pregate::sim
