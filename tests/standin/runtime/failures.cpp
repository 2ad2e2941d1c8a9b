// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/failures.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "tests/standin/runtime/error_names.hpp"

namespace pregate::standin {
namespace {

/// What the call would most likely report.
cudaError_t usual_error(const std::string& name) {
  if (name.find("Alloc") != std::string::npos || name.find("Create") != std::string::npos) {
    return cudaErrorMemoryAllocation;
  }
  return name.find("Launch") != std::string::npos ? cudaErrorLaunchFailure : cudaErrorUnknown;
}

}  // namespace

Failures::Failures(const std::string& rule) {
  if (rule.empty()) return;
  const std::size_t first = rule.find(':');
  const std::size_t second = rule.find(':', first + 1);
  bool good = first != std::string::npos;
  if (good) {
    name_ = rule.substr(0, first);
    char* end = nullptr;
    nth_ = std::strtol(rule.c_str() + first + 1, &end, 10);  // zero is refused below
    stays_ = *end == '+';
    const char* const rest = end + (stays_ ? 1 : 0);
    good = nth_ > 0 && (*rest == '\0' || *rest == ':');
    if (good && second != std::string::npos) {
      error_ = error_named(rule.substr(second + 1));
      good = error_.has_value();
    }
  }
  if (good) return;
  std::fprintf(stderr, "standin: STANDIN_FAIL: '%s' is not <name or *>:<n>[+][:<error>]\n", rule.c_str());
  _exit(98);
}

std::optional<cudaError_t> Failures::count(const char* name) {
  const std::lock_guard guard(lock_);
  const long own = ++calls_[name];
  ++total_;
  if (nth_ == 0) return std::nullopt;
  if (name_ != "*" && name_ != name) return std::nullopt;
  const long number = name_ == "*" ? total_ : own;
  if (stays_ ? number < nth_ : number != nth_) return std::nullopt;
  return error_.value_or(usual_error(name));
}

bool Failures::write(const std::string& path) {
  const std::lock_guard guard(lock_);
  const nlohmann::json document = {{"total", total_}, {"calls", calls_}};
  std::ofstream file(path);
  file << document.dump(1) << '\n';
  file.close();
  return !file.fail();
}

}  // namespace pregate::standin
