// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Files that mean harm: whatever they hold, reading them ends in a description or in an InputError.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "models/catalog.hpp"
#include "models/embedded.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::HasSubstr;

std::string embedded(std::span<const EmbeddedFile> files, std::string_view name) {
  for (const EmbeddedFile& file : files) {
    if (file.name == name) return std::string(file.text);
  }
  ADD_FAILURE() << "no catalogue file " << name;
  return {};
}

/// True when `action` throws InputError; any other exception escapes and fails the test.
template <typename Action>
bool refuses(Action&& action) {
  try {
    action();
  } catch (const InputError&) {
    return true;
  }
  return false;
}

TEST(Hostile, ATruncatedFileIsRefusedOrStillWhole) {
  const std::string model = embedded(embedded_models(), "deepseek-v2-lite");
  const std::string machine = embedded(embedded_machines(), "rtx4090-pcie4");
  std::size_t refused = 0;
  for (std::size_t length = 0; length < model.size(); ++length) {
    refused += refuses([&] { parse_model_toml(model.substr(0, length), "m.toml"); }) ? 1U : 0U;
  }
  EXPECT_GT(refused, model.size() * 9 / 10);
  refused = 0;
  for (std::size_t length = 0; length < machine.size(); length += 3) {
    refused += refuses([&] { parse_machine_toml(machine.substr(0, length), "m.toml"); }) ? 1U : 0U;
  }
  EXPECT_GT(refused, machine.size() / 6);
}

TEST(Hostile, DamagedBytesNeverEscapeAsAnotherException) {
  std::mt19937 random(20240607);
  const std::string texts[] = {embedded(embedded_models(), "gpt-oss-20b"),
                               embedded(embedded_models(), "deepseek-v3")};
  const std::string policy = embedded(embedded_policies(), "pre-gated-cache");
  const std::string alphabet = "\"'[]{}=.,#-+0123456789eEinfax\n\\\x80\xff";
  std::size_t refused = 0;
  for (int round = 0; round < 600; ++round) {
    for (std::string text : texts) {
      for (int i = 0; i < 3; ++i) text[random() % text.size()] = alphabet[random() % alphabet.size()];
      refused +=
          refuses([&] { static_cast<void>(parse_model_toml(text, "m.toml").parameter_count()); }) ? 1U : 0U;
    }
    std::string text = policy;
    text[random() % text.size()] = alphabet[random() % alphabet.size()];
    refused += refuses([&] { parse_policy_toml(text, "p.toml"); }) ? 1U : 0U;
  }
  EXPECT_GT(refused, 200U);
}

TEST(Hostile, DepthIsBoundedBeforeTheStackIs) {
  std::string dotted = "a";
  for (int i = 0; i < 100'000; ++i) dotted += ".a";
  EXPECT_THAT(error_of([&] { parse_model_toml(dotted + " = 1", "m.toml"); }),
              HasSubstr("m.toml:1: nested too deeply"));
  EXPECT_THAT(error_of([&] { parse_model_toml("\n[" + dotted + "]", "m.toml"); }),
              HasSubstr("m.toml:2: nested"));
  std::string quoted = "\"=\"";
  for (int i = 0; i < 100'000; ++i) quoted += ".\"=\"";
  EXPECT_THAT(error_of([&] { parse_model_toml(quoted + " = 1", "m.toml"); }), HasSubstr("nested too deeply"));
  EXPECT_THAT(error_of([&] { parse_model_toml("a = " + std::string(100'000, '['), "m.toml"); }),
              HasSubstr("nested"));
  const std::string arrays = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_THAT(error_of([&] { parse_model_config_json(arrays, "config.json"); }),
              HasSubstr("nested too deeply"));
  // Text that merely looks deep is text.
  EXPECT_THAT(error_of([] {
                parse_policy_toml(
                    "description = \"[[[[{{{{ a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t\"\n"
                    "x = '''\n" +
                        std::string(50, '[') + "'''",
                    "p.toml");
              }),
              HasSubstr("unknown key 'x'"));
}

TEST(Hostile, NumbersThatCannotBe) {
  const auto refused = [](const std::string& key, const std::string& value) {
    const std::string text = embedded(embedded_models(), "olmoe-1b-7b");
    const std::size_t line = text.find("\n" + key + " = ");
    EXPECT_NE(line, std::string::npos) << key;
    const std::size_t end = text.find('\n', line + 1);
    return error_of([&] {
      parse_model_toml(text.substr(0, line) + "\n" + key + " = " + value + text.substr(end), "m.toml");
    });
  };
  EXPECT_THAT(refused("d_model", "99999999999999999999"), HasSubstr("not valid TOML"));
  EXPECT_THAT(refused("d_model", "9223372036854775807"), HasSubstr("out of range"));
  EXPECT_THAT(refused("d_model", "-2048"), HasSubstr("out of range"));
  EXPECT_THAT(refused("d_model", "0"), HasSubstr("out of range"));
  EXPECT_THAT(refused("d_model", "2048.0"), HasSubstr("must be a whole number"));
  EXPECT_THAT(refused("d_model", "nan"), HasSubstr("must be a whole number"));
  EXPECT_THAT(refused("d_model", "[2048]"), HasSubstr("must be a whole number"));
  EXPECT_THAT(refused("d_model", "1979-05-27"), HasSubstr("is a date"));
  EXPECT_THAT(refused("parameters", "nan"), HasSubstr("not a finite number"));
  EXPECT_THAT(refused("parameters", "-1"), HasSubstr("published.parameters"));
  EXPECT_THAT(refused("layers", "100000"), HasSubstr("out of range"));
}

// All dimensions at their largest would overflow a 64-bit count; it is refused, not wrapped.
TEST(Hostile, TheLargestDimensionsTogetherAreRefused) {
  EXPECT_THAT(error_of([] {
                parse_model_toml(R"(
family = "test"
d_model = 1048576
vocabulary = 100000000
weights = { experts = "fp32", dense = "fp32", kv_cache = "fp32" }
[decoder]
layers = 10000
attention = { heads = 65536, head_dim = 65536 }
moe = { experts = 65536, top_k = 65536, ffn_dim = 1048576, gated = true }
)",
                                 "m.toml");
              }),
              HasSubstr("more than 10^15 parameters"));
}

}  // namespace
}  // namespace pregate
