// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Case files that are damaged or mean harm end in an InputError.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/models/error_of.hpp"
#include "validation/published/case.hpp"
#include "validation/published/embedded.hpp"

namespace pregate::validation {
namespace {

using test::error_of;
using testing::HasSubstr;

std::string text_of(std::string_view name) {
  for (const EmbeddedFile& file : embedded_cases()) {
    if (file.name == name) return std::string(file.text);
  }
  ADD_FAILURE() << "no case " << name;
  return {};
}

std::string changed(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) ADD_FAILURE() << "nothing to change: " << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

bool refuses(const std::string& text) {
  try {
    (void)parse_case(text, "case.toml", "case");
  } catch (const InputError&) {
    return true;
  }
  return false;
}

TEST(CaseFile, EveryEmbeddedCaseIsCompleteAndCanFail) {
  ASSERT_GE(case_names().size(), 6U);
  for (const std::string& name : case_names()) {
    const Case published = load_case(name);
    EXPECT_FALSE(published.gates.empty()) << name;
    EXPECT_FALSE(published.source.repository.empty()) << name;
    EXPECT_FALSE(published.assumptions.empty()) << name;
    for (const Gate& gate : published.gates) EXPECT_FALSE(gate.reason.empty()) << name;
  }
  EXPECT_THAT(error_of([] { load_case("pregated-a10"); }), HasSubstr("pregated-a100"));
}

TEST(CaseFile, TruncatedAndDamagedFilesAreRefused) {
  std::mt19937 random(7);
  for (const std::string& name : case_names()) {
    const std::string text = text_of(name);
    std::size_t refused = 0, tried = 0;
    for (std::size_t length = 0; length < text.size(); length += text.size() / 40, ++tried) {
      refused += refuses(text.substr(0, length)) ? 1U : 0U;
    }
    EXPECT_GE(refused, tried / 2) << name;
    const std::string alphabet = "\"'[]{}=.,#-0123456789eix\n\\\x80\xff";
    for (int round = 0; round < 60; ++round) {
      std::string damaged = text;
      for (int i = 0; i < 3; ++i) {
        damaged[random() % damaged.size()] = alphabet[random() % alphabet.size()];
      }
      (void)refuses(damaged);  // any other exception escapes and fails the test
    }
  }
}

TEST(CaseFile, SaysWhatIsWrongAndWhere) {
  const std::string offload = text_of("pregated-a100"), kernels = text_of("kernels-rtxpro6000"),
                    copies = text_of("copies-pcie3"), replay = text_of("cache-replay-qwen3"),
                    systems = text_of("mixtral-offloading"), served = text_of("serving-h100");
  const struct {
    std::string text;
    const char* says;
  } faults[] = {
      {changed(offload, "kind = \"offload\"", "kind = \"offlaod\""), "offload"},
      {changed(offload, "design = \"gpu-only\"", "design = \"gpu-onyl\""), "gpu-only"},
      {changed(offload, "model = \"switch-base-8\"", "model = \"switch-base-9\""), "switch-base-8"},
      {changed(offload, "workload = \"batch-1\"", "workload = \"batch-2\""), "batch-1"},
      {changed(offload, "published = 0.946295", "published = -1"), "not a measurement"},
      {changed(offload, "published = 0.946295", "published = nan"), "finite"},
      {changed(offload, ", fixes = \"layer_launches\"", ""), "fixed by 0 rows"},
      {changed(offload, "limit = 5\n", "limit = -5\n"), "not a threshold"},
      {changed(offload, "measure = \"mape\"", "measure = \"average\""), "not one of its values"},
      {changed(offload, "machine.host.memory=1771 GiB", "machine.overhead.step"), "'='"},
      {changed(offload, "active = 64", "active = 0"), "out of range"},
      {changed(offload, "title = ", "tilte = "), "title"},
      {changed(offload, "\ntraps = [", "\nunknown_key = 1\ntraps = ["), "unknown_key"},
      {changed(kernels, "activated = 16", "activated = 17"), "more experts than routed"},
      {changed(kernels, "us = 50.2297", "us = 0"), "not a time"},
      {changed(kernels, "tokens = 4, activated = 8", "tokens = 1, activated = 8"), "order"},
      {changed(copies, "\"128 B\"", "\"129 B\""), "sizes of the rows"},
      {changed(copies, "bytes = 4, ", "bytes = 2, "), "must increase"},
      {changed(copies, "\"8 KiB\"", "\"8 parsecs\""), "parsecs"},
      {changed(replay, "policy = \"lfu\"", "policy = \"lfx\""), "lfu"},
      {changed(replay, "eviction = \"belady-forced\"", "eviction = \"belady-force\""), "belady-forced"},
      {changed(systems, "machine = \"t4-pcie3\"", "machine = \"t4-pcie4\""), "t4-pcie3"},
      {changed(systems, "systems = [\"T4\"]", "systems = [\"T5\"]"), "T4"},
      {changed(systems, "fixes = \"unpack_t4\"", ""), "fixed by 0 rows"},
      {changed(systems, "published = 3.061", "published = 0"), "not a rate"},
      {changed(systems, "policy.transfer.write_back=swap", "policy.transfer.write_back"), "'='"},
      {changed(systems, "profile = \"mixtral-8x7b\"", "profile = \"mixtral\""), "mixtral-8x7b"},
      {changed(systems, "metric = \"tokens_per_s\"\nsystem", "metric = \"tokens\"\nsystem"), "tokens_per_s"},
      {changed(replay, "all = 25.644", "all = 125.644"), "percentage"},
      {changed(served, "path = \"software.host.step\"", "path = \"model.d_model\""), "sets model.d_model"},
  };
  for (const auto& fault : faults) {
    const std::string message = error_of([&] { (void)parse_case(fault.text, "case.toml", "case"); });
    EXPECT_THAT(message, HasSubstr(fault.says));
    EXPECT_THAT(message, HasSubstr("case.toml")) << "where it is";
  }
}

}  // namespace
}  // namespace pregate::validation
