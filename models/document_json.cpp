// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <nlohmann/json.hpp>

#include "models/document.hpp"
#include "models/error.hpp"

namespace pregate {
namespace {

constexpr int deepest = 32;
constexpr std::size_t largest = 16 << 20;
/// What stands for Python's Infinity and NaN, which are no JSON: text that no file can hold as it is.
constexpr std::string_view infinite = "\x01Infinity", not_a_number = "\x01NaN";

/// `text` with the bare words Infinity, -Infinity and NaN, as Python writes them, in quotes and marked.
std::string without_bare_words(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\' && i + 1 < text.size()) {
      result += c;
      result += text[++i];
      continue;
    }
    if (c == '"') quoted = !quoted;
    const std::string_view rest = text.substr(i);
    const auto replace = [&](std::string_view word, std::string_view by) {
      if (quoted || !rest.starts_with(word)) return false;
      result.append("\"\\u0001").append(by.substr(1)).append("\"");
      i += word.size() - 1;
      return true;
    };
    if (replace("-Infinity", infinite) || replace("Infinity", infinite) || replace("NaN", not_a_number))
      continue;
    result += c;
  }
  return result;
}

Node convert(const nlohmann::json& from, const std::string& where, int depth) {
  if (depth > deepest)
    throw InputError(where, "nested too deeply", "at most " + std::to_string(deepest) + " levels");
  using Type = nlohmann::json::value_t;
  Node node;
  node.where = where;
  switch (from.type()) {
    case Type::object:
      node.kind = Node::Kind::table;
      for (const auto& [key, value] : from.items())
        node.members.push_back({key, convert(value, where, depth + 1)});
      break;
    case Type::array:
      node.kind = Node::Kind::array;
      for (const auto& value : from) node.items.push_back(convert(value, where, depth + 1));
      break;
    case Type::string:
      node.kind = Node::Kind::text;
      node.text = from.get<std::string>();
      if (node.text == infinite || node.text == not_a_number) {
        node.kind = Node::Kind::real;
        node.real = std::numeric_limits<double>::quiet_NaN();  // refused wherever a number is wanted
        node.text.clear();
      }
      break;
    case Type::boolean:
      node.kind = Node::Kind::boolean;
      node.boolean = from.get<bool>();
      break;
    case Type::number_unsigned:
      if (from.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        node.kind = Node::Kind::real;
        node.real = from.get<double>();
        break;
      }
      [[fallthrough]];
    case Type::number_integer:
      node.kind = Node::Kind::integer;
      node.integer = from.get<std::int64_t>();
      break;
    case Type::number_float:
      node.kind = Node::Kind::real;
      node.real = from.get<double>();
      break;
    case Type::null:
    case Type::binary:
    case Type::discarded:
      break;
  }
  return node;
}

}  // namespace

Node parse_json_document(std::string_view text, const std::string& where) {
  if (text.size() > largest) throw InputError(where, "larger than 16 MiB: this is not a config.json");
  try {
    return convert(nlohmann::json::parse(without_bare_words(text)), where, 0);
  } catch (const nlohmann::json::exception& fault) {
    throw InputError(where, "not valid JSON: " + printable(fault.what(), 200));
  }
}

}  // namespace pregate
