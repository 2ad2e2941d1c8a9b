// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include "traces/writer.hpp"

namespace pregate::test {

/// A trace in a file, as long as this lives.
class TraceFile {
 public:
  explicit TraceFile(trace::StepSource& source) {
    std::filesystem::remove(path_);
    trace::write_trace(source, {}, path_.string());
  }
  ~TraceFile() { std::filesystem::remove(path_); }
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("pregate-profile-" + std::to_string(getpid()) + ".db");
};

}  // namespace pregate::test
