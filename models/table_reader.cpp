// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/table_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace pregate {
namespace {

/// The whole of `text` as a number; nothing else around it.
template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number value{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

const char* kind_name(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::table:
      return "a table";
    case Node::Kind::array:
      return "an array";
    case Node::Kind::text:
      return "text";
    case Node::Kind::integer:
      return "a whole number";
    case Node::Kind::real:
      return "a number with a fraction";
    case Node::Kind::boolean:
      return "true or false";
    case Node::Kind::date:
      return "a date";
  }
  return "something else";
}

}  // namespace

TableReader::TableReader(const Node& table, std::string path) : table_(&table), path_(std::move(path)) {
  if (table.kind != Node::Kind::table) {
    throw InputError(table.where, (path_.empty() ? "the document" : "'" + path_ + "'") + " is " +
                                      kind_name(table.kind) + ", not a table of keys");
  }
}

std::string TableReader::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

std::string TableReader::where(std::string_view key) const {
  const Node* node = table_->find(key);
  if (node == nullptr) return table_->where + ": " + path_of(key);
  return node->from_option ? node->where : node->where + ": " + path_of(key);
}

std::string TableReader::where() const {
  return path_.empty() ? table_->where : table_->where + ": " + path_;
}

bool TableReader::knows(std::string_view key) const {
  return std::find(known_.begin(), known_.end(), key) != known_.end();
}

const Node* TableReader::find(std::string_view key) {
  if (!knows(key)) known_.emplace_back(key);
  const Node* node = table_->find(key);
  return node == nullptr || node->kind == Node::Kind::null ? nullptr : node;
}

const Node& TableReader::require(std::string_view key) {
  const Node* node = find(key);
  if (node == nullptr) {
    throw InputError(table_->where, "the key '" + path_of(key) + "' is missing",
                     path_.empty() ? "" : "add it to the table [" + path_ + "]");
  }
  return *node;
}

void TableReader::refuse(std::string_view key, const std::string& wanted) const {
  const Node* node = table_->find(key);
  const std::string is =
      node->kind == Node::Kind::text ? "'" + printable(node->text) + "'" : kind_name(node->kind);
  throw InputError(where(key), "must be " + wanted + ", but is " + is);
}

void TableReader::refuse_choice(std::string_view key, const std::string& chosen,
                                const std::vector<std::string>& names) const {
  std::string valid = "valid: ";
  for (const std::string& name : names) valid += (&name == &names.front() ? "" : ", ") + name;
  throw InputError(where(key), "'" + printable(chosen) + "' is not one of its values", valid);
}

std::string TableReader::text(std::string_view key) {
  const Node& node = require(key);
  if (node.kind != Node::Kind::text) refuse(key, "text in quotes");
  return node.text;
}

std::string TableReader::text_or(std::string_view key, std::string fallback) {
  return has(key) ? text(key) : std::move(fallback);
}

std::int64_t TableReader::integer(std::string_view key, std::int64_t least, std::int64_t most) {
  const Node& node = require(key);
  std::optional<std::int64_t> value;
  if (node.kind == Node::Kind::integer) value = node.integer;
  if (node.from_option) value = number_in<std::int64_t>(node.text);
  if (!value) refuse(key, "a whole number");
  if (*value < least || *value > most) {
    throw InputError(where(key), std::to_string(*value) + " is out of range",
                     "it must be from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return *value;
}

std::int64_t TableReader::integer_or(std::string_view key, std::int64_t least, std::int64_t most,
                                     std::int64_t fallback) {
  return has(key) ? integer(key, least, most) : fallback;
}

double TableReader::number(std::string_view key) {
  const Node& node = require(key);
  std::optional<double> value;
  if (node.kind == Node::Kind::integer) value = static_cast<double>(node.integer);
  if (node.kind == Node::Kind::real) value = node.real;
  if (node.from_option) value = number_in<double>(node.text);
  if (!value) refuse(key, "a number");
  if (!std::isfinite(*value)) throw InputError(where(key), "is not a finite number");
  return *value;
}

double TableReader::number_or(std::string_view key, double fallback) {
  return has(key) ? number(key) : fallback;
}

bool TableReader::boolean_or(std::string_view key, bool fallback) {
  const Node* node = find(key);
  if (node == nullptr) return fallback;
  if (node->kind == Node::Kind::boolean) return node->boolean;
  if (node->from_option && (node->text == "true" || node->text == "false")) return node->text == "true";
  refuse(key, "true or false");
}

std::string TableReader::quantity(std::string_view key, const char* example) {
  const Node& node = require(key);
  if (node.kind != Node::Kind::text)
    refuse(key, std::string("a number with its unit in quotes, e.g. ") + example);
  return node.text;
}

Bytes TableReader::bytes(std::string_view key) {
  return parse_bytes(quantity(key, "\"24 GiB\""), where(key));
}

BytesPerSecond TableReader::byte_rate(std::string_view key) {
  return parse_bytes_per_second(quantity(key, "\"25 GB/s\""), where(key));
}

FlopPerSecond TableReader::flop_rate(std::string_view key) {
  return parse_flop_per_second(quantity(key, "\"19.5 TFLOP/s\""), where(key));
}

Picoseconds TableReader::duration(std::string_view key) {
  return parse_duration(quantity(key, "\"40 us\""), where(key));
}

TableReader TableReader::child(const Node& node, std::string_view key) const { return {node, path_of(key)}; }

TableReader TableReader::table(std::string_view key) { return child(require(key), key); }

std::optional<TableReader> TableReader::table_if(std::string_view key) {
  const Node* node = find(key);
  if (node == nullptr) return std::nullopt;
  return child(*node, key);
}

std::vector<TableReader> TableReader::tables(std::string_view key) {
  const Node* node = find(key);
  if (node == nullptr) return {};
  if (node->kind != Node::Kind::array) refuse(key, "an array of tables");
  std::vector<TableReader> result;
  for (const Node& item : node->items) result.push_back(child(item, key));
  return result;
}

void TableReader::finish() const {
  for (const auto& [key, value] : table_->members) {
    if (!knows(key)) {
      throw InputError(value.where, "unknown key '" + printable(path_of(key)) + "'", suggest(key, known_));
    }
  }
}

}  // namespace pregate
