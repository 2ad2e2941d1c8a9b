// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pregate::trace {

/// The keys of the first JSON object of a text that may end anywhere, by which a format is recognised. It is
/// not parsed: what follows may be malformed.
class RecordStart {
 public:
  explicit RecordStart(std::string_view text);

  /// Whether the text starts with an object.
  [[nodiscard]] bool is_object() const { return is_object_; }
  /// Whether another object follows the first on a later line: JSON lines.
  [[nodiscard]] bool is_lines() const { return is_lines_; }
  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] bool has_all(std::initializer_list<std::string_view> keys) const;
  /// The raw value of a key whose value is a text without escapes, else empty.
  [[nodiscard]] std::string_view text(std::string_view key) const;
  /// Of the first object, in order, as far as the text goes; at most 64.
  [[nodiscard]] const std::vector<std::string_view>& keys() const { return keys_; }

 private:
  std::vector<std::string_view> keys_, values_;  ///< views of the text; a value is its first bytes
  bool is_object_ = false, is_lines_ = false;
};

}  // namespace pregate::trace
