// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>

#include <driver_types.h>

#include "tests/standin/runtime/hidden_lock.hpp"

namespace pregate::standin {

/// Counts the calls into the libraries and makes the n-th of them fail, or all from the n-th on.
class Failures {
 public:
  /// `rule` is "<name or *>:<n>[+][:<error>]", empty for none. A malformed one ends the process with
  /// status 98.
  explicit Failures(const std::string& rule);

  /// Counts a call; the error that it has to return instead of doing its work, if any.
  std::optional<cudaError_t> count(const char* name);

  /// Whether what failed once fails for good: the device is gone.
  bool stays() const { return stays_; }

  /// JSON: {"total": n, "calls": {name: n}}. False when the file cannot be written.
  bool write(const std::string& path);

 private:
  HiddenLock lock_;
  std::string name_;
  long nth_ = 0;
  bool stays_ = false;
  std::optional<cudaError_t> error_;
  long total_ = 0;
  std::map<std::string, long> calls_;
};

}  // namespace pregate::standin
