// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

namespace pregate::test {

struct ChildOutcome {
  int exit_code = -1;  ///< -1: ended by a signal
  bool hung = false;   ///< had to be killed
  std::string err;     ///< its standard error
};

/// Runs a program with these variables added to the environment; kills it after `limit_s`.
ChildOutcome run_child(const std::string& program, const std::vector<std::string>& arguments,
                       const std::map<std::string, std::string>& variables, int limit_s);

/// Of a text that ends with a line end or not.
std::string last_line(const std::string& text);

}  // namespace pregate::test
