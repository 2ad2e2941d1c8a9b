// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "traces/output_file.hpp"

namespace pregate::trace {

/// A text file that appears under its name only when complete. Failures to write are InputErrors.
class TextOutput {
 public:
  explicit TextOutput(const std::string& destination);
  void write(std::string_view text);
  void publish();

 private:
  [[noreturn]] void fail() const;
  OutputFile file_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream_;
};

/// Appends a number in the shortest form that reads back the same.
void append_number(std::string& text, std::int64_t value);
void append_number(std::string& text, double value);

}  // namespace pregate::trace
