// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/document.hpp"
#include "models/error.hpp"
#include "models/units.hpp"

namespace pregate {

/// Reads one table strictly: a wrong type, a wrong unit or a missing key is an InputError that names file,
/// line and key; finish() refuses the keys that nobody asked for. Keys asked for are the valid ones of the
/// suggestions.
class TableReader {
 public:
  /// `path` is the dotted path of the table ("" for the document), used in messages only.
  TableReader(const Node& table, std::string path);

  /// Absent, or null in JSON: nullptr.
  const Node* find(std::string_view key);
  bool has(std::string_view key) { return find(key) != nullptr; }

  std::string text(std::string_view key);
  std::string text_or(std::string_view key, std::string fallback);
  /// A whole number of at least `least` and at most `most`.
  std::int64_t integer(std::string_view key, std::int64_t least, std::int64_t most);
  std::int64_t integer_or(std::string_view key, std::int64_t least, std::int64_t most, std::int64_t fallback);
  /// A finite number.
  double number(std::string_view key);
  double number_or(std::string_view key, double fallback);
  bool boolean_or(std::string_view key, bool fallback);
  Bytes bytes(std::string_view key);
  BytesPerSecond byte_rate(std::string_view key);
  FlopPerSecond flop_rate(std::string_view key);
  Picoseconds duration(std::string_view key);
  /// One of the spellings of `choices`.
  template <typename Value>
  Value choice_or(std::string_view key, std::initializer_list<std::pair<const char*, Value>> choices,
                  Value fallback) {
    if (!has(key)) return fallback;
    const std::string chosen = text(key);
    std::vector<std::string> names;
    for (const auto& [name, value] : choices) {
      if (chosen == name) return value;
      names.emplace_back(name);
    }
    refuse_choice(key, chosen, names);
  }

  /// The table under `key`; a missing one is an error.
  TableReader table(std::string_view key);
  std::optional<TableReader> table_if(std::string_view key);
  /// The tables of an array; empty when absent.
  std::vector<TableReader> tables(std::string_view key);

  /// Every key of this table that was not asked for is an error.
  void finish() const;

  /// The keys that were asked for.
  [[nodiscard]] const std::vector<std::string>& known() const { return known_; }
  [[nodiscard]] bool knows(std::string_view key) const;

  /// `file:line: path.key`, for errors about the value of `key` (or about the table when it is absent).
  [[nodiscard]] std::string where(std::string_view key) const;
  [[nodiscard]] std::string where() const;
  [[nodiscard]] const Node& node() const { return *table_; }

 private:
  const Node& require(std::string_view key);
  [[nodiscard]] std::string path_of(std::string_view key) const;
  [[noreturn]] void refuse(std::string_view key, const std::string& wanted) const;
  [[noreturn]] void refuse_choice(std::string_view key, const std::string& chosen,
                                  const std::vector<std::string>& names) const;
  TableReader child(const Node& node, std::string_view key) const;
  std::string quantity(std::string_view key, const char* example);

  const Node* table_;
  std::string path_;
  std::vector<std::string> known_;
};

}  // namespace pregate
