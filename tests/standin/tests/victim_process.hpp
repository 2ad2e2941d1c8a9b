// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

namespace pregate::standin {

struct Outcome {
  int status = 0;  ///< exit status; 128 + n after signal n
  std::string output;
  std::string findings;  ///< standard error
};

/// Runs a test program with the stand-in libraries in front and the given environment variables.
Outcome run_victim(const std::string& program, const std::string& argument,
                   const std::map<std::string, std::string>& environment);

std::string read_whole_file(const std::string& path);

}  // namespace pregate::standin
