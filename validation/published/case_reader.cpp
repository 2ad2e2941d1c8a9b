// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/case_reader.hpp"

#include "models/error.hpp"

namespace pregate::validation {

std::vector<std::string> read_texts(TableReader& table, std::string_view key) {
  const Node* node = table.find(key);
  if (node == nullptr) return {};
  const std::string wanted = "must be an array of texts in quotes";
  if (node->kind != Node::Kind::array) throw InputError(table.where(key), wanted);
  std::vector<std::string> texts;
  for (const Node& item : node->items) {
    if (item.kind != Node::Kind::text) throw InputError(table.where(key), wanted);
    texts.push_back(item.text);
  }
  return texts;
}

std::vector<Override> read_overrides(TableReader& table, std::string_view key) {
  std::vector<Override> overrides;
  for (const std::string& text : read_texts(table, key)) {
    try {
      overrides.push_back(parse_override(text));
    } catch (const InputError& error) {
      throw InputError(table.where(key), error.what());
    }
  }
  return overrides;
}

namespace {

std::size_t index_of(const TableReader& table, std::string_view key, const std::string& name,
                     const std::vector<std::string>& valid) {
  const auto found = std::find(valid.begin(), valid.end(), name);
  if (found == valid.end())
    throw InputError(table.where(key), "'" + printable(name) + "' is not known", suggest(name, valid));
  return static_cast<std::size_t>(found - valid.begin());
}

}  // namespace

std::size_t known(TableReader& table, std::string_view key, const std::vector<std::string>& valid) {
  return index_of(table, key, table.text(key), valid);
}

std::string name_or_path(TableReader& table, std::string_view key, const std::vector<std::string>& valid) {
  std::string name = table.text(key);
  if (!is_path(name)) std::ignore = index_of(table, key, name, valid);
  return name;
}

std::vector<std::string> read_known_texts(TableReader& table, std::string_view key,
                                          const std::vector<std::string>& valid) {
  std::vector<std::string> texts = read_texts(table, key);
  for (const std::string& text : texts) std::ignore = index_of(table, key, text, valid);
  return texts;
}

Constant read_constant(TableReader& table, const std::vector<std::string>& systems) {
  Constant constant;
  constant.unknown = {table.text("name"), table.number("start"), table.number("least"), table.number("most")};
  constant.unit = table.text("unit");
  constant.meaning = table.text("meaning");
  const Unknown& unknown = constant.unknown;
  if (!(unknown.least < unknown.most && unknown.least <= unknown.start && unknown.start <= unknown.most))
    throw InputError(table.where("start"), "least, start and most are not in order");
  if (!systems.empty()) constant.systems = read_known_texts(table, "systems", systems);
  for (TableReader& target : table.tables("sets")) {
    const double factor = target.number("factor");
    if (!(factor > 0 && factor <= 1e6)) throw InputError(target.where("factor"), "must be above 0");
    constant.targets.push_back({target.text("path"), factor});
    try {
      std::ignore = parse_override(constant.targets.back().path + "=0");
    } catch (const InputError& error) {
      throw InputError(target.where("path"), error.what());
    }
    target.finish();
  }
  if (constant.targets.empty()) throw InputError(table.where("sets"), "the constant sets nothing");
  table.finish();
  return constant;
}

void refuse_constant(const TableReader& top, const Constant& constant, std::ptrdiff_t rows) {
  throw InputError(top.where("constant"), "the constant '" + printable(constant.unknown.name) +
                                              "' is fixed by " + std::to_string(rows) + " rows, not one");
}

}  // namespace pregate::validation
