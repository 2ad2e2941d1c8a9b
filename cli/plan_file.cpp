// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_file.hpp"

#include <algorithm>
#include <charconv>

#include "models/catalog.hpp"
#include "models/error.hpp"

namespace pregate::cli {

namespace {

constexpr Bytes largest_plan{1 << 20};

std::string scalar_of(const Node& node) {
  switch (node.kind) {
    case Node::Kind::text:
      return node.text;
    case Node::Kind::integer:
      return std::to_string(node.integer);
    case Node::Kind::boolean:
      return node.boolean ? "true" : "false";
    case Node::Kind::real: {
      char text[64];
      const auto [end, error] = std::to_chars(text, text + sizeof text, node.real);
      if (error == std::errc{}) return {text, end};
      break;
    }
    default:
      break;
  }
  throw InputError(node.where, "neither a text nor a number", "lists hold texts and numbers");
}

/// Values of a list with commas between.
std::string words_of(const Node& node) {
  if (node.kind != Node::Kind::array) return scalar_of(node);
  std::string all;
  for (const Node& item : node.items) {
    const std::string value = scalar_of(item);
    if (value.find(',') != std::string::npos)
      throw InputError(item.where, "the value '" + printable(value) + "' has a comma",
                       "lists have a value in each place");
    all += (all.empty() ? "" : ",") + value;
  }
  return all;
}

void add_keys(const Node& table, const std::string& prefix, const std::string& option,
              std::vector<std::string>& words) {
  for (const Member& member : table.members) {
    const std::string key = prefix.empty() ? member.key : prefix + "." + member.key;
    if (member.value.kind == Node::Kind::table) {
      add_keys(member.value, key, option, words);
    } else {
      words.push_back("--" + option);
      words.push_back(key + "=" + words_of(member.value));
    }
  }
}

}  // namespace

std::vector<std::string> arguments_of_plan(const std::string& path,
                                           const boost::program_options::options_description& options) {
  const Node plan = parse_toml_document(read_text_file(path, largest_plan), path);
  std::vector<std::string> names;
  for (const auto& option : options.options()) {
    if (option->long_name() != "plan") names.push_back(option->long_name());
  }
  std::vector<std::string> words;
  for (const auto& [key, value] : plan.members) {
    if (std::find(names.begin(), names.end(), key) == names.end())
      throw InputError(value.where, "no option of sweep is called '" + printable(key) + "'",
                       suggest(key, names));
    if (key == "set" || key == "vary") {
      if (value.kind != Node::Kind::table)
        throw InputError(value.where, "'" + key + "' is not a table",
                         "write [" + key + "] and a line KEY = VALUE for each key");
      add_keys(value, {}, key, words);
    } else if (key == "yes") {
      throw InputError(value.where, "'yes' is for whoever starts the sweep to say",
                       "give --yes as an option");
    } else {
      words.push_back("--" + key);
      words.push_back(words_of(value));
    }
  }
  return words;
}

}  // namespace pregate::cli
