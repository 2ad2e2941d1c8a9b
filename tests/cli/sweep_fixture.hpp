// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tests/cli/program_test.hpp"

namespace pregate::test {

class Sweep : public ProgramTest {
 protected:
  /// The sweep of a small own shape's routing, of these policies, into this database.
  [[nodiscard]] Words sweep_of(const std::string& policies, const std::string& database, const Words& more,
                               const std::string& output = "6") const {
    Words words{"sweep", "--model",  "switch-base-8", "--prompt", "8",           "--output",
                output,  "--policy", policies,        "-o",       path(database)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  /// 2 policies x 3 links x 2 capacities.
  [[nodiscard]] Words command(const std::string& database, const Words& more = {}) const {
    Words words = sweep_of(
        "on-demand-cache,pre-gated-cache", database,
        {"--vary", "machine.link.h2d.bandwidth=4..16GB/s:3", "--vary", "policy.cache.capacity=25%,50%"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  void expect_sweep_refused(const Words& words, const std::vector<std::string>& mentions) const {
    Words all{"sweep", "--model", "switch-base-8", "--prompt", "8", "--output", "4", "-o", path("s.db")};
    all.insert(all.end(), words.begin(), words.end());
    expect_refused(all, mentions);
  }
};

}  // namespace pregate::test
