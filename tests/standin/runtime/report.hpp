// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>

namespace pregate::standin {

/// Findings: each goes to standard error as "standin: <kind>: <text>", and any makes the process end with
/// `findings_exit_status`.
class Reports {
 public:
  void add(const char* kind, const std::string& text);
  int count() const { return count_.load(); }

 private:
  std::atomic<int> count_{0};
};

inline constexpr int findings_exit_status = 99;

}  // namespace pregate::standin
