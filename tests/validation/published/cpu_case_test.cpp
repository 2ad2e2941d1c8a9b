// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Dense models on a CPU: constants that are known come back, and llama.cpp's description has those of its
// case.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/catalog.hpp"
#include "tests/models/error_of.hpp"
#include "tests/validation/published/evaluated_once.hpp"
#include "validation/published/case.hpp"

namespace pregate::validation {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// 4 cores of 250 GFLOP/s, 20 GB/s.
const char* const some_case = R"(
title = "t"
kind = "cpu-products"
hardware = "h"
software = "s"
model = "m"
workload = "w"
software_name = "llama-cpp"
[source]
paper = "p"
table = "t"
repository = "r"
commit = "c"
licence = "l"
[metrics]
rate = "d"
[[gate]]
metric = "rate"
measure = "worst"
limit = 0.1
reason = "r"
[[host]]
name = "box"
cpu = "c"
cores = 4
memory = "16 GiB"
memory_bandwidth = "20 GB/s"
rate = "1 TFLOP/s"
[[dense_model]]
name = "m"
weights = 7
head = 1
layers = 10
[[constant]]
name = "k"
unit = ""
meaning = "m"
sets = "super_blocks"
start = 0.5
least = 0.05
most = 1
[[series]]
name = "known"
metric = "rate"
host = "box"
model = "m"
role = "calibrate"
rows = [{ format = "q4_k", head = "q4_k", threads = 2, published = 5.0 }]
[[series]]
name = "others"
metric = "rate"
host = "box"
model = "m"
role = "predict"
rows = [{ format = "q4_k", head = "q4_k", bits = 2.25, threads = 4, tokens = 10, published = 10.0 }]
)";

CaseResult evaluated_text(const std::string& text) {
  return evaluate(parse_case(text, "mine.toml", "mine"), DataFolder{});
}

std::string cpu_case_with(std::string text, const std::string& from, const std::string& to) {
  EXPECT_NE(text.find(from), std::string::npos) << from;
  return text.replace(text.find(from), from.size(), to);
}

// Two of four threads have half of the arithmetic and all of the memory; 10 layers take 60 us each beside
// their products, and limits join as the software says.
TEST(CpuCase, FindsWhatIsKnownAndPredictsByTheSameFormula) {
  const SoftwareSpec::Cpu cpu = load_software("llama-cpp").cpu;
  const auto joined = [&](double a, double b) {
    return std::pow(std::pow(a, cpu.join) + std::pow(b, cpu.join), 1 / cpu.join);  // of times
  };
  const auto seconds = [&](double weights, double bits, double tokens, double rate) {
    return joined(weights * bits / 8 / (20e9 * cpu.bandwidth), weights * 2 * tokens / rate);
  };
  constexpr double share = 0.3;
  const double layers = 10 * cpu.layer.seconds();
  const double known = 1 / (seconds(8e9, 4.5, 1, 0.5e12 * share) + layers);
  const CaseResult result =
      evaluated_text(cpu_case_with(some_case, "published = 5.0", "published = " + std::to_string(known)));
  ASSERT_EQ(result.constants.size(), 1U);
  EXPECT_NEAR(result.constants[0].value, share, 1e-3);
  ASSERT_EQ(result.rows.size(), 2U);
  EXPECT_EQ(result.rows[0].role, Role::calibrate);
  EXPECT_NEAR(result.rows[0].predicted, known, 1e-5);
  // Ten tokens by all threads, weights of half as many bits; of the head one token.
  const double ten = seconds(7e9, 2.25, 10, 1e12 * share) + seconds(1e9, 4.5, 1, 1e12 * share) + layers;
  EXPECT_NEAR(result.rows[1].predicted, 10 / ten, 0.01 / ten);
}

TEST(CpuCase, WhatIsWrongIsSaidWithItsPlace) {
  const auto refused = [](const char* from, const char* to) {
    return test::error_of([&] { evaluated_text(cpu_case_with(some_case, from, to)); });
  };
  EXPECT_THAT(refused("threads = 4", "threads = 5"), AllOf(HasSubstr("mine.toml"), HasSubstr("threads")));
  EXPECT_THAT(refused("format = \"q4_k\", head", "format = \"q4_x\", head"), HasSubstr("q4_x"));
  EXPECT_THAT(refused("host = \"box\"", "host = \"bx\""), AllOf(HasSubstr("bx"), HasSubstr("box")));
  EXPECT_THAT(refused("sets = \"super_blocks\"", "sets = \"blocs\""), HasSubstr("blocs"));
  EXPECT_THAT(refused("start = 0.5", "start = 0.01"), HasSubstr("start"));
  EXPECT_THAT(refused("published = 10.0", "published = 0"), HasSubstr("published"));
  EXPECT_THAT(refused("weights = 7", "weights = 0"), HasSubstr("weights"));
  EXPECT_THAT(refused("rate = \"1 TFLOP/s\"", "rates = \"1 TFLOP/s\""), HasSubstr("rate"));
}

// The description's constants are those of the case, to the digits that it is given in.
TEST(CpuCase, DescriptionsHaveItsConstants) {
  const auto agree = [](const char* name, const char* software) {
    const SoftwareSpec::Cpu said = load_software(software).cpu;
    const std::map<std::string, double> values = {
        {"blocks", said.packed.blocks},         {"super_blocks", said.packed.super_blocks},
        {"codebook_8", said.packed.codebook_8}, {"codebook_4", said.packed.codebook_4},
        {"whole", said.packed.whole},           {"join", said.join},
        {"bandwidth", said.bandwidth}};
    for (const FittedConstant& constant : evaluated(name).result.constants) {
      const auto known = values.find(constant.name);
      if (known != values.end()) {
        EXPECT_NEAR(constant.value / known->second, 1, 0.01) << constant.name;
      }
    }
  };
  agree("llamacpp-cpu-formats", "llama-cpp");
  agree("ikllamacpp-cpu-formats", "ik-llama-cpp");
}

}  // namespace
}  // namespace pregate::validation
