// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/document.hpp"

namespace pregate {

/// What a field holds, and so how it is written in a file, in --set and in results.
enum class Quantity {
  text,
  choice,
  flag,
  count,      ///< a whole number
  number,     ///< without a unit
  share,      ///< a number from 0 to 1
  bytes,      ///< results: <key>_bytes
  byte_rate,  ///< results: <key>_bytes_per_s
  flop_rate,  ///< results: <key>_flop_per_s
  time,       ///< results: <key>_us
  capacity,   ///< of a cache (Capacity)
  table,      ///< tables of a shape of their own: no value that --set could give
};

/// Least and most that is believed, both included, in B, B/s, FLOP/s, s or as they are.
struct Range {
  double least, most;
  std::string words;  ///< "from 1 MB/s to 100 TB/s", after "it must be"
};

/// A setting of another field.
struct Condition {
  std::string key;
  std::vector<std::string> values;  ///< any of these
  std::string words;                ///< for people, after "only with"; empty: "<key> = <values>"
};

/// A name that a field may have as its value.
struct NamedValue {
  std::string name, help, former;
};

enum class Need { optional, always, with_condition };

/// One field of a description. All that reads, lists, sets or reports fields does it by this.
struct Field {
  std::string key;    ///< dotted path in the file: "link.h2d.bandwidth"
  std::string shown;  ///< how lists call it; one name for alike fields: "gpu.rates.<precision>"
  std::string json;   ///< dotted path in results, with the unit
  std::string help;   ///< a line
  Quantity quantity = Quantity::text;
  std::optional<Range> range;
  std::vector<NamedValue> names;       ///< of a choice
  std::string list;                    ///< of a text that is one of a list: the command that prints it
  std::optional<Condition> condition;  ///< without it the field means nothing
  Need need = Need::optional;
  bool zero = false;        ///< a bare 0 is also a value, whatever the range
  std::string zero_words;   ///< what 0 means
  Node fallback;            ///< the value where the file has none; null: none, or another field's
  bool is_settable = true;  ///< by --set

  // So that a field is described in one expression.
  Field& needed() { return need = Need::always, *this; }
  Field& only_with(Condition with) { return condition = std::move(with), *this; }
  /// Has a meaning, and must be there, under this condition.
  Field& needed_with(Condition with) { return need = Need::with_condition, only_with(std::move(with)); }
  Field& or_zero(std::string words) { return zero = true, zero_words = std::move(words), *this; }
  Field& one_of(std::vector<NamedValue> values) {
    return quantity = Quantity::choice, names = std::move(values), *this;
  }
  Field& listed_by(std::string command) { return list = std::move(command), *this; }
  Field& called(std::string path) { return json = std::move(path), *this; }

  [[nodiscard]] std::string_view name() const;  ///< last part of the key
};

/// What results append to the key of such a field: "_bytes", "_us", ...
std::string_view unit_suffix(Quantity quantity);

/// `value`, as Fields::Entry::value gives it, as --set takes it: "4096 B", "20 us", "fifo"; empty for null.
std::string written(const Field& field, const Node& value);
/// For people: "20 us", "4 KiB".
std::string shown_value(const Field& field, const Node& value);

/// Is a number in the field's range, if it has one; `value` as Fields::Entry::value gives it.
bool is_in_range(const Field& field, const Node& value);

}  // namespace pregate
