// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Calibration reads its own rows only, and finds constants that are known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "validation/published/case.hpp"

namespace pregate::validation {
namespace {

/// A case of four designs whose figures are those of a machine with the given constants.
std::string small_case(const std::map<std::string, double>& published, const std::string& set = "") {
  std::string text = R"(
title = "t"
kind = "offload"
hardware = "h"
software = "s"
model = "m"
workload = "w"
machine = "a100-80g-pcie4"
set = ["machine.gpu.grouped_gemm_tile_rows=128", "machine.gpu.grouped_gemm_tile_columns=128")" +
                     set + R"(]
[source]
paper = "p"
table = "t"
repository = "r"
commit = "c"
licence = "l"
[metrics]
block_latency_ms = "d"
[[gate]]
metric = "block_latency_ms"
measure = "worst"
limit = 0.01
reason = "r"
[[run]]
name = "one"
routing = "forced"
active = 1
decode_steps = 4
[[run]]
name = "three"
routing = "forced"
batch = 8
active = 3
decode_steps = 4
)";
  const auto constant = [&text](const char* name, const char* unit, const char* path, const char* range) {
    text += std::string("[[constant]]\nname = \"") + name + "\"\nunit = \"" + unit + "\"\nmeaning = \"m\"\n" +
            range + "\nsets = [{ path = \"" + path + "\", factor = 1 }]\n";
  };
  constant("copy", "us", "machine.link.h2d.per_copy", "start = 5\nleast = 0\nmost = 900");
  constant("readback", "us", "machine.overhead.gate_readback", "start = 5\nleast = 0\nmost = 900");
  constant("tile", "", "machine.gpu.grouped_gemm_efficiency", "start = 0.5\nleast = 0.05\nmost = 1");
  text += "[[series]]\nfigure = \"F\"\nmetric = \"block_latency_ms\"\nfile = \"f\"\nrows = [\n";
  const std::map<std::string, const char*> fixes = {
      {"prefetch-all/one", "copy"}, {"on-demand/one", "readback"}, {"gpu-only/one", "tile"}};
  for (const char* workload : {"one", "three"}) {
    for (const char* design : {"gpu-only", "on-demand", "prefetch-all", "pre-gated"}) {
      const std::string key = std::string(design) + "/" + workload;
      char value[32];
      std::snprintf(value, sizeof value, "%.12g", published.contains(key) ? published.at(key) : 1.0);
      text += "{ model = \"switch-base-8\", design = \"" + std::string(design) + "\", workload = \"" +
              workload + "\", published = " + value + ", column = \"c\"" +
              (fixes.contains(key) ? std::string(", fixes = \"") + fixes.at(key) + "\"" : "") + " },\n";
    }
  }
  return text + "]\n";
}

CaseResult evaluate_text(const std::string& text) { return evaluate(parse_case(text, "t.toml", "t"), {}); }

/// What the same case predicts with constants that are set rather than fitted: a world in which they are
/// true.
std::map<std::string, double> world() {
  std::string text = small_case({},
                                ", \"machine.link.h2d.per_copy=71 us\", "
                                "\"machine.overhead.gate_readback=44 us\", "
                                "\"machine.gpu.grouped_gemm_efficiency=0.61\"");
  const auto drop = [&text](const std::string& from, const std::string& to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
      text.erase(at, text.find(to, at + 1) - at);
    }
  };
  drop("[[constant]]", "[[");
  drop(", fixes =", " }");
  std::map<std::string, double> figures;
  for (const Row& row : evaluate_text(text).rows) {
    figures[row.variant + (figures.contains(row.variant + "/one") ? "/three" : "/one")] = row.predicted;
  }
  return figures;
}

TEST(Calibration, RecoversConstantsOfAKnownWorld) {
  const CaseResult result = evaluate_text(small_case(world()));
  ASSERT_EQ(result.constants.size(), 3U);
  EXPECT_NEAR(result.constants[0].value, 71, 1e-3);
  EXPECT_NEAR(result.constants[1].value, 44, 1e-3);
  EXPECT_NEAR(result.constants[2].value, 0.61, 1e-6);
  for (const Row& row : result.rows) EXPECT_NEAR(row.error(), 0, 1e-3) << row.variant;
  EXPECT_EQ(result.gates[0].rows, 5);
  EXPECT_TRUE(result.gates[0].passed());
}

TEST(Calibration, PredictedRowsDoNotEnter) {
  std::map<std::string, double> figures = world();
  const CaseResult before = evaluate_text(small_case(figures));
  figures["pre-gated/one"] *= 3;
  figures["on-demand/three"] /= 2;
  const CaseResult after = evaluate_text(small_case(figures));
  for (std::size_t i = 0; i < before.constants.size(); ++i) {
    EXPECT_EQ(before.constants[i].value, after.constants[i].value);
  }
  for (std::size_t i = 0; i < before.rows.size(); ++i) {
    EXPECT_EQ(before.rows[i].predicted, after.rows[i].predicted);
  }
  EXPECT_FALSE(after.gates[0].passed());
}

TEST(Calibration, AWrongConstantFailsTheGate) {
  // A link of half the world's rate: its copies take longer than the calibration row, whatever the fixed
  // time.
  const std::string text = small_case(world(), ", \"machine.link.h2d.bandwidth=12 GB/s\"");
  EXPECT_FALSE(evaluate_text(text).gates[0].passed());
}

// Two machines with a constant each: both are found, whatever the other machine and the predicted rows say.
TEST(SystemCase, FindsEachMachinesConstantFromItsOwnRow) {
  const auto text = [](const std::string& slow, const std::string& fast, const std::string& predicted) {
    const auto constant = [](const std::string& name) {
      return "[[constant]]\nname = \"" + name + "\"\nunit = \"ms\"\nstart = 50\nleast = 0\nmost = 1000\n" +
             "meaning = \"m\"\nsystems = [\"" + name +
             "\"]\nsets = [{ path = \"machine.overhead.step\", factor = 1 }]\n";
    };
    const auto row = [](const std::string& system, const std::string& rate, const std::string& more) {
      return "[[row]]\nseries = \"s\"\nmetric = \"tokens_per_s\"\nsystem = \"" + system +
             "\"\nrun = \"r\"\npolicy = \"on-demand\"\nvariant = \"v\"\npublished = " + rate + "\n" + more;
    };
    return "title = \"t\"\nkind = \"systems\"\nhardware = \"h\"\nsoftware = \"s\"\nmodel = \"m\"\n"
           "workload = \"w\"\n[source]\npaper = \"p\"\ntable = \"t\"\nrepository = \"r\"\ncommit = \"c\"\n"
           "licence = \"l\"\n[metrics]\ntokens_per_s = \"d\"\n[[gate]]\nmetric = \"tokens_per_s\"\n"
           "measure = \"mape\"\nlimit = 1\nreason = \"r\"\n"
           "[[system]]\nname = \"slow\"\nmachine = \"t4-pcie3\"\n"
           "[[system]]\nname = \"fast\"\nmachine = \"a100-80g-pcie4\"\n"
           "[[run]]\nname = \"r\"\nmodel = \"olmoe-1b-7b\"\nactive = 8\ndecode_steps = 4\n" +
           constant("slow") + constant("fast") + row("slow", slow, "fixes = \"slow\"\n") +
           row("fast", fast, "fixes = \"fast\"\n") +
           row("fast", predicted, "set = [\"policy.miss.service=compute-on-cpu\"]\n");
  };
  const auto constants = [&](const std::string& slow, const std::string& fast, const std::string& predicted) {
    const Case published = parse_case(text(slow, fast, predicted), "case.toml", "case");
    const CaseResult result = evaluate(published, {});
    EXPECT_NEAR(result.rows[0].error(), 0, 1e-3);
    EXPECT_NEAR(result.rows[1].error(), 0, 1e-3);
    return std::pair{result.constants.at(0).value, result.constants.at(1).value};
  };
  const auto [slow, fast] = constants("2", "5", "4");
  EXPECT_GT(slow, fast);
  // The machine's step takes that much longer: 1/4 - 1/5 s.
  EXPECT_NEAR(constants("2", "4", "4").second - fast, 50, 0.01);
  EXPECT_EQ(constants("2", "4", "4").first, slow);
  EXPECT_EQ(constants("2", "5", "400"), std::pair(slow, fast));

  // 10,000 tokens/s is beyond the machine even with nothing spent beside: said, not hidden.
  const Case beyond = parse_case(text("2", "10000", "4"), "case.toml", "case");
  const CaseResult result = evaluate(beyond, {});
  EXPECT_THAT(result.rows[1].note, testing::HasSubstr("which no value does"));
}

}  // namespace
}  // namespace pregate::validation
