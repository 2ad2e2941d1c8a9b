// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "models/error.hpp"
#include "traces/import.hpp"
#include "traces/reader.hpp"
#include "traces/writer.hpp"

namespace pregate::test {

/// A folder of the test's own, removed at its end.
class TraceTest : public ::testing::Test {
 protected:
  TraceTest() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              ("pregate-" + std::to_string(::getpid()) + "-" + info->test_suite_name() + "-" + info->name());
    std::filesystem::create_directories(folder_);
  }
  ~TraceTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }

  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      names.push_back(entry.path().filename());
    return names;
  }

 private:
  std::filesystem::path folder_;
};

/// What an action complains about; fails the test when it does not throw an InputError.
inline std::string complaint(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no InputError";
  return {};
}

inline std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// A step that owns its entries.
struct OwnedStep {
  trace::Step step;
  std::vector<std::uint16_t> experts, predicted;
  std::vector<float> weights;
};

inline std::vector<OwnedStep> all_steps(trace::StepSource& source) {
  std::vector<OwnedStep> steps;
  source.rewind();
  trace::Step step;
  while (source.next(step))
    steps.push_back({step,
                     {step.experts.begin(), step.experts.end()},
                     {step.predicted.begin(), step.predicted.end()},
                     {step.weights.begin(), step.weights.end()}});
  return steps;
}

/// A decode step with these experts.
inline trace::Step decode(const std::vector<std::uint16_t>& experts, int tokens = 1, int position = 0) {
  trace::Step step;
  step.tokens = step.sequences = tokens;
  step.position = position;
  step.experts = experts;
  return step;
}

inline trace::TraceInfo decoder(std::vector<std::pair<int, int>> experts_and_top_k) {
  trace::TraceInfo info;
  info.stacks = {"decoder"};
  for (const auto& [experts, top_k] : experts_and_top_k)
    info.layers.push_back({0, static_cast<int>(info.layers.size()), experts, top_k, Bytes{}});
  return info;
}

}  // namespace pregate::test
