// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace pregate {

/// Bad input or usage: something the user can mend. The program prints it and exits with code 2.
/// what() is `<where>: <problem>` followed, when there is a hint, by a second line `       hint: <hint>`;
/// each is one line, fit for a terminal (one_line()).
class InputError : public std::runtime_error {
 public:
  /// `where` names a file, file:line, option or key path; it may be empty.
  InputError(std::string_view where, std::string_view problem, std::string_view hint = {});
  /// Each as it stands in what(); `where` and `hint` may be empty.
  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] const std::string& hint() const { return hint_; }

 private:
  std::string where_, problem_, hint_;
};

/// The names closest to `name` (edit distance, at most `limit`), nearest first; for "did you mean".
std::vector<std::string> nearest_names(std::string_view name, std::span<const std::string> valid,
                                       std::size_t limit = 3);

/// `did you mean 'a' or 'b'?` when something is near, else `valid: a, b, c, ...`.
std::string suggest(std::string_view name, std::span<const std::string> valid);

/// `text` fit to be shown in a message: control characters and bytes that are not ASCII become '?', and what
/// is longer than `limit` is cut and ends in "...". Every piece of a user's file goes through this.
std::string printable(std::string_view text, std::size_t limit = 60);

}  // namespace pregate
