// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "traces/import/text_input.hpp"

namespace pregate::trace {

using Json = nlohmann::json;

/// One line as JSON. InputError at the line: not JSON, or a key twice in an object.
Json parse_json_line(std::string_view line, const LineReader& lines);

/// The members of one record, taken one by one; whoever takes says by that what is known. Every error is an
/// InputError at the record's line.
class Fields {
 public:
  /// `name` starts the messages: "the step ".
  Fields(const Json& object, const LineReader& lines, std::string name);

  [[noreturn]] void fail(const std::string& problem, const std::string& hint = {}) const;

  /// nullptr when it is absent.
  const Json* take(const char* key);
  const Json& require(const char* key);
  std::int64_t integer(const char* key, std::int64_t low, std::int64_t high);
  std::int64_t integer_or(const char* key, std::int64_t low, std::int64_t high, std::int64_t otherwise);
  /// Empty when it is absent.
  std::string text_or_empty(const char* key);
  bool flag(const char* key);
  /// A list of expert ids below max_experts, at most max_top_k. An entry of -1 or null is no expert.
  void experts(const Json& list, const char* key, std::vector<std::uint16_t>& ids) const;
  /// A list of gate weights, one for each of `ids` (sane_weight()).
  void weights(const Json& list, const char* key, std::size_t count, std::vector<float>& values) const;

  /// An unknown key is an error.
  void finish() const;
  /// Adds the keys that nobody took to `unread`, each once.
  void leave(std::vector<std::string>& unread) const;

 private:
  std::int64_t to_integer(const Json& value, const char* key, std::int64_t low, std::int64_t high) const;

  const Json& object_;
  const LineReader& lines_;
  std::string name_;
  std::vector<std::string> known_;
};

}  // namespace pregate::trace
