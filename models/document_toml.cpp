// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <toml++/toml.h>

#include <algorithm>
#include <string>

#include "models/document.hpp"
#include "models/error.hpp"

namespace pregate {
namespace {

constexpr int deepest = 32;
constexpr int longest_dotted_key = 16;
constexpr std::size_t largest = 1 << 20;

std::string at_line(const std::string& where, std::size_t line) { return where + ":" + std::to_string(line); }

/// Position after the string that starts at `at`, or npos when it does not end.
std::size_t skip_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const std::string three(3, quote);
  const bool long_form = text.substr(at, 3) == three;
  std::size_t i = at + (long_form ? 3 : 1);
  while (i < text.size()) {
    if (quote == '"' && text[i] == '\\') {
      i += 2;
    } else if (long_form ? text.substr(i, 3) == three : text[i] == quote) {
      return i + (long_form ? 3 : 1);
    } else if (!long_form && text[i] == '\n') {
      return std::string_view::npos;
    } else {
      ++i;
    }
  }
  return std::string_view::npos;
}

/// toml++ 3.3 bounds nested values but not dotted keys, and frees its tree recursively: a file of one long
/// dotted key would exhaust the stack. So depth is bounded before the library sees the text.
void check_depth(std::string_view text, const std::string& where) {
  int depth = 0;
  int dots = 0;
  std::size_t line = 1;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      const std::size_t end = skip_string(text, i);
      if (end == std::string_view::npos) return;  // the library reports it
      line += static_cast<std::size_t>(std::count(text.begin() + static_cast<std::ptrdiff_t>(i),
                                                  text.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
      i = end;
      continue;
    }
    if (c == '#') {
      i = text.find('\n', i);
      if (i == std::string_view::npos) return;
      continue;
    }
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (c == '.') {
      ++dots;
    } else if (c == '=' || c == ',' || c == '\n' || c == '[' || c == ']' || c == '{' || c == '}') {
      dots = 0;
    }
    if (c == '\n') ++line;
    if (depth > deepest || dots > longest_dotted_key) {
      throw InputError(at_line(where, line), "nested too deeply",
                       "at most " + std::to_string(deepest) + " levels and " +
                           std::to_string(longest_dotted_key) + " dots in a key");
    }
    ++i;
  }
}

Node convert(const toml::node& from, const std::string& where) {
  Node node;
  node.where = at_line(where, from.source().begin.line);
  if (const auto* table = from.as_table()) {
    node.kind = Node::Kind::table;
    for (const auto& [key, value] : *table)
      node.members.push_back({std::string(key.str()), convert(value, where)});
  } else if (const auto* array = from.as_array()) {
    node.kind = Node::Kind::array;
    for (const auto& value : *array) node.items.push_back(convert(value, where));
  } else if (const auto* text = from.as_string()) {
    node.kind = Node::Kind::text;
    node.text = text->get();
  } else if (const auto* integer = from.as_integer()) {
    node.kind = Node::Kind::integer;
    node.integer = integer->get();
  } else if (const auto* real = from.as_floating_point()) {
    node.kind = Node::Kind::real;
    node.real = real->get();
  } else if (const auto* boolean = from.as_boolean()) {
    node.kind = Node::Kind::boolean;
    node.boolean = boolean->get();
  } else {
    node.kind = Node::Kind::date;
  }
  return node;
}

}  // namespace

Node parse_toml_document(std::string_view text, const std::string& where) {
  if (text.size() > largest) throw InputError(where, "larger than 1 MiB: this is not a description in TOML");
  check_depth(text, where);
  try {
    return convert(toml::parse(text), where);
  } catch (const toml::parse_error& fault) {
    throw InputError(at_line(where, fault.source().begin.line),
                     "not valid TOML: " + printable(fault.description(), 200));
  }
}

}  // namespace pregate
