// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pregate {

/// The regular expressions that lists of modules in a config.json use: characters, `.`, classes `[a-z]`,
/// `\d`,
/// `\w`, `\s`, groups, `|`, `*`, `+`, `?`, and `^` and `$` at the ends. All ways are followed at once, so the
/// time is at most length x size, whatever a file holds.
class NameRegex {
 public:
  /// InputError at `where` for what is not understood, or is longer than 512 characters.
  NameRegex(std::string_view text, const std::string& where);

  /// As Python's re.match: from the beginning, not necessarily to the end. Adds the work done to `steps`.
  [[nodiscard]] bool matches(std::string_view name, std::int64_t& steps) const;

 private:
  /// What one state takes, and where it leads; -1: nowhere.
  struct State {
    enum class Kind { character, any, set, split, end, accept } kind = Kind::accept;
    char character = 0;
    bool negated = false;
    std::string set = {};  ///< characters and, doubled, ranges: "az" of [a-z]
    int next = -1, other = -1;
  };
  class Parser;

  [[nodiscard]] static bool takes(const State& state, char c);

  std::vector<State> states_;
  int start_ = 0;
};

}  // namespace pregate
