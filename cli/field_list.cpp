// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/field_list.hpp"

#include <algorithm>
#include <set>

#include "models/fields/read_fields.hpp"

namespace pregate::cli {

namespace {

std::string value_words(const Field& field) {
  switch (field.quantity) {
    case Quantity::text:
      return field.list.empty() ? "text" : field.list;
    case Quantity::choice:
      return "one of";
    case Quantity::flag:
      return "true, false";
    case Quantity::count:
      return "whole number";
    case Quantity::number:
      return "number";
    case Quantity::share:
      return "share";
    case Quantity::bytes:
      return "size: 4 MiB";
    case Quantity::byte_rate:
      return "rate: 25 GB/s";
    case Quantity::flop_rate:
      return "rate: 82 TFLOP/s";
    case Quantity::time:
      return "time: 20 us";
    case Quantity::capacity:
      return "0, 4GiB, 25%, 64 slots";
    case Quantity::table:
      return "tables, in a file";
  }
  return {};
}

std::string condition_words(const Condition& condition) {
  if (!condition.words.empty()) return condition.words;
  std::string words = condition.key + " = ";
  for (const std::string& value : condition.values)
    words += (&value == &condition.values.front() ? "" : " or ") + value;
  return words;
}

std::string default_words(const Field& field) {
  if (field.need == Need::always) return "needed";
  const std::string value = shown_value(field, field.fallback);
  return value.empty() ? "-" : value;
}

std::string meaning(const Field& field) {
  std::vector<std::string> limits;
  if (field.range) limits.push_back(range_words(field));
  if (field.condition) {
    limits.push_back((field.need == Need::with_condition ? "needed with " : "only with ") +
                     condition_words(*field.condition));
  }
  std::string text = field.help;
  for (const std::string& limit : limits) text += (&limit == &limits.front() ? " (" : "; ") + limit;
  return limits.empty() ? text : text + ")";
}

}  // namespace

std::string field_list(const std::vector<const Field*>& fields) {
  std::vector<std::vector<std::string>> rows = {{"key", "value", "default", "meaning"}};
  std::set<std::string> seen;
  for (const Field* field : fields) {
    if (!seen.insert(field->shown).second) continue;
    rows.push_back({field->shown, value_words(*field), default_words(*field), meaning(*field)});
    for (const NamedValue& each : field->names) rows.push_back({"  " + each.name, "", "", each.help});
  }
  return left_aligned(rows);
}

std::string left_aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::vector<std::string>& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const std::vector<std::string>& row : rows) {
    text += "  ";
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      text += row[i] + std::string(widths[i] + 2 - row[i].size(), ' ');
    text += row.back() + "\n";
  }
  return text;
}

}  // namespace pregate::cli
