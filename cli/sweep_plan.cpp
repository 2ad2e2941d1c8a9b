// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Options of sweep, and the file that may hold them.
#include <algorithm>
#include <charconv>

#include "cli/sweep_inputs.hpp"
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

void add_keys(const Node& table, const std::string& prefix, const std::string& option, Arguments& words) {
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

Arguments arguments_of_plan(const std::string& path, const po::options_description& options) {
  const Node plan = parse_toml_document(read_text_file(path, largest_plan), path);
  std::vector<std::string> names;
  for (const auto& option : options.options()) {
    if (option->long_name() != "plan") names.push_back(option->long_name());
  }
  Arguments words;
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

po::options_description sweep_options() {
  po::options_description options = scenario_options();
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()  //
      ("policy", text()->default_value("gpu-only,on-demand,prefetch-all,pre-gated"),
       "policies, comma-separated; so are --model, --trace, --machine, --seed, --gpus, --tp, --pp, --ep, "
       "--dp")  //
      ("vary", po::value<std::vector<std::string>>()->composing(),
       "a key of --set: KEY=LO..HIunit:N, :Nlog for logarithmic steps, or KEY=a,b,c; repeatable")       //
      ("sample", text(), "grid, lhs:N (Latin hypercube) or sobol:N of the varied keys (default grid)")  //
      ("sample-seed", text(), "seed of a Latin hypercube (default 1)")                                  //
      ("plan", text(), "read options from this .toml (docs/sweep.md)")                                  //
      ("database,o", text(), "SQLite database of the results; goes on where it was left")               //
      ("csv", text(), "write all points as CSV to this file at the end; - is standard output")          //
      ("json-lines", text(), "write all points as JSON, one a line; - is standard output")              //
      ("json", text(), "write what the sweep comes to as JSON to this file; - is standard output")      //
      ("report", text(), "write a page with it to this .html")                                          //
      ("threads", text(), "points at once (default: the machine's cores)")                              //
      ("yes", po::bool_switch(), "run however many points there are");
  return options;
}

}  // namespace pregate::cli
