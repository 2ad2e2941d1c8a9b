// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/json_record.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "traces/layout.hpp"
#include "traces/trace.hpp"

namespace pregate::trace {

Json parse_json_line(std::string_view line, const LineReader& lines) {
  try {
    // A key twice in an object would silently hide the first; the parser's events tell.
    std::vector<std::vector<std::string>> keys;
    const Json::parser_callback_t once = [&](int depth, Json::parse_event_t event, Json& parsed) {
      static_cast<void>(depth);
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      if (event == Json::parse_event_t::key) {
        auto& names = keys.back();
        const auto& name = parsed.get_ref<const std::string&>();
        if (std::find(names.begin(), names.end(), name) != names.end())
          throw InputError(lines.where(), "the key '" + printable(name, 40) + "' occurs twice");
        if (names.size() > 1000) throw InputError(lines.where(), "an object of over 1000 keys");
        names.push_back(name);
      }
      return true;
    };
    return Json::parse(line.begin(), line.end(), once);
  } catch (const Json::exception& error) {
    throw InputError(lines.where(), "is not valid JSON: " + printable(error.what(), 200),
                     "is the file truncated? every line is one object");
  }
}

Fields::Fields(const Json& object, const LineReader& lines, std::string name)
    : object_(object), lines_(lines), name_(std::move(name)) {
  if (!object.is_object()) fail("is not an object");
}

void Fields::fail(const std::string& problem, const std::string& hint) const {
  throw InputError(lines_.where(), name_ + problem, hint);
}

const Json* Fields::take(const char* key) {
  known_.emplace_back(key);
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

const Json& Fields::require(const char* key) {
  if (const Json* value = take(key)) return *value;
  fail("lacks '" + std::string(key) + "'");
}

std::int64_t Fields::integer(const char* key, std::int64_t low, std::int64_t high) {
  return to_integer(require(key), key, low, high);
}

std::int64_t Fields::integer_or(const char* key, std::int64_t low, std::int64_t high,
                                std::int64_t otherwise) {
  const Json* value = take(key);
  return value == nullptr ? otherwise : to_integer(*value, key, low, high);
}

std::string Fields::text_or_empty(const char* key) {
  const Json* value = take(key);
  if (value == nullptr) return {};
  if (!value->is_string()) fail("has a '" + std::string(key) + "' that is not a text");
  return value->get<std::string>();
}

bool Fields::flag(const char* key) {
  const Json* value = take(key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) fail("has a '" + std::string(key) + "' that is neither true nor false");
  return value->get<bool>();
}

void Fields::experts(const Json& list, const char* key, std::vector<std::uint16_t>& ids) const {
  if (!list.is_array() || list.size() > static_cast<std::size_t>(max_top_k))
    fail("has '" + std::string(key) + "' that is not a list of at most " + std::to_string(max_top_k) +
         " experts");
  ids.clear();
  for (const Json& value : list) {
    if (value.is_null() || (value.is_number_integer() && value.get<std::int64_t>() == -1)) {
      ids.push_back(no_expert);
      continue;
    }
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= static_cast<std::uint64_t>(max_experts))
      fail("has expert " + printable(value.dump(-1, ' ', true, Json::error_handler_t::replace), 40) +
           "; an id is 0 to " + std::to_string(max_experts - 1));
    ids.push_back(value.get<std::uint16_t>());
  }
}

void Fields::weights(const Json& list, const char* key, std::size_t count, std::vector<float>& values) const {
  if (!list.is_array() || list.size() != count)
    fail("has '" + std::string(key) + "' that is not a list of " + std::to_string(count) +
         " weights, one an expert");
  values.clear();
  for (const Json& value : list) {
    const double weight = value.is_null() ? 0 : value.is_number() ? value.get<double>() : -1;
    if (!sane_weight(weight))
      fail("has weight " + printable(value.dump(-1, ' ', true, Json::error_handler_t::replace), 40),
           weight_hint);
    values.push_back(static_cast<float>(weight));
  }
}

void Fields::finish() const {
  for (const auto& [key, value] : object_.items())
    if (std::find(known_.begin(), known_.end(), key) == known_.end())
      fail("has an unknown key '" + printable(key, 40) + "'", suggest(key, known_));
}

void Fields::leave(std::vector<std::string>& unread) const {
  constexpr std::size_t most_named = 16;
  for (const auto& [key, value] : object_.items())
    if (unread.size() < most_named && std::find(known_.begin(), known_.end(), key) == known_.end() &&
        std::find(unread.begin(), unread.end(), key) == unread.end())
      unread.push_back(key);
}

std::int64_t Fields::to_integer(const Json& value, const char* key, std::int64_t low,
                                std::int64_t high) const {
  const bool fits = value.is_number_unsigned()
                        ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(high)
                        : value.is_number_integer();
  if (!fits || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high)
    fail("has '" + std::string(key) + "' " +
             printable(value.dump(-1, ' ', true, Json::error_handler_t::replace), 40),
         "a whole number from " + std::to_string(low) + " to " + std::to_string(high) + " belongs there");
  return value.get<std::int64_t>();
}

}  // namespace pregate::trace
