// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/fields/member_value.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

#include "models/error.hpp"

namespace pregate {
namespace {

/// The quantity under the field's key, or its bare 0 where that is a value.
template <typename Value>
Value read_quantity(TableReader& table, const Field& field, Value (TableReader::*read)(std::string_view)) {
  const Node* node = table.find(field.name());
  const bool is_zero = node != nullptr && ((node->kind == Node::Kind::integer && node->integer == 0) ||
                                           (node->kind == Node::Kind::text && node->text == "0"));
  return field.zero && is_zero ? Value{} : (table.*read)(field.name());
}

template <typename Value>
void read_whole(TableReader& table, const Field& field, Value& value) {
  constexpr auto most = std::min<std::uint64_t>(std::numeric_limits<Value>::max(), INT64_MAX);
  const std::int64_t least = field.range ? static_cast<std::int64_t>(field.range->least) : 0;
  const std::int64_t highest =
      field.range ? static_cast<std::int64_t>(field.range->most) : static_cast<std::int64_t>(most);
  value = static_cast<Value>(table.integer(field.name(), least, highest));
}

}  // namespace

Node node_of(std::string text) {
  Node node;
  node.kind = Node::Kind::text;
  node.text = std::move(text);
  return node;
}

Node node_of(double number) {
  Node node;
  node.kind = Node::Kind::real;
  node.real = number;
  return node;
}

Node node_of(std::int64_t number) {
  Node node;
  node.kind = Node::Kind::integer;
  node.integer = number;
  return node;
}

std::size_t chosen(const std::vector<NamedValue>& names, const std::string& text, const std::string& where) {
  std::string valid;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const NamedValue& each = names[i];
    if (text == each.name) return i;
    valid += (i == 0 ? "valid: " : ", ") + each.name;
    if (!each.former.empty() && text == each.former)
      throw InputError(where, "'" + text + "' is not one of its values",
                       "it is called '" + each.name + "' now");
  }
  throw InputError(where, "'" + printable(text) + "' is not one of its values", valid);
}

void read_value(TableReader& table, const Field& field, std::string& value) {
  value = table.text(field.name());
  if (!field.names.empty()) std::ignore = chosen(field.names, value, table.where(field.name()));
}
void read_value(TableReader& table, const Field& field, bool& value) {
  value = table.boolean_or(field.name(), value);
}
void read_value(TableReader& table, const Field& field, int& value) { read_whole(table, field, value); }
void read_value(TableReader& table, const Field& field, std::int64_t& value) {
  read_whole(table, field, value);
}
void read_value(TableReader& table, const Field& field, std::uint64_t& value) {
  read_whole(table, field, value);
}
void read_value(TableReader& table, const Field& field, double& value) { value = table.number(field.name()); }
void read_value(TableReader& table, const Field& field, std::optional<double>& value) {
  value = table.number(field.name());
}
void read_value(TableReader& table, const Field& field, Bytes& value) {
  value = read_quantity(table, field, &TableReader::bytes);
}
void read_value(TableReader& table, const Field& field, BytesPerSecond& value) {
  value = read_quantity(table, field, &TableReader::byte_rate);
}
void read_value(TableReader& table, const Field& field, FlopPerSecond& value) {
  value = read_quantity(table, field, &TableReader::flop_rate);
}
void read_value(TableReader& table, const Field& field, Picoseconds& value) {
  value = read_quantity(table, field, &TableReader::duration);
}
void read_value(TableReader& table, const Field& field, Capacity& value) {
  value = parse_capacity(table.text(field.name()), table.where(field.name()));
}

Node value_of(const std::string& value) { return node_of(value); }
Node value_of(bool value) {
  Node node;
  node.kind = Node::Kind::boolean;
  node.boolean = value;
  return node;
}
Node value_of(int value) { return node_of(std::int64_t{value}); }
Node value_of(std::int64_t value) { return node_of(value); }
Node value_of(std::uint64_t value) { return node_of(static_cast<std::int64_t>(value)); }
Node value_of(double value) { return node_of(value); }
Node value_of(const std::optional<double>& value) { return value ? node_of(*value) : Node{}; }
Node value_of(Bytes value) { return node_of(value.count); }
Node value_of(BytesPerSecond value) { return node_of(value.value); }
Node value_of(FlopPerSecond value) { return node_of(value.value); }
Node value_of(Picoseconds value) { return node_of(static_cast<double>(value.count) * 1e-6); }
Node value_of(const Capacity& value) {
  std::string text = to_string(value);
  // Sizes are shown with three digits: one that these do not give back is written out.
  if (value.kind == CapacityKind::bytes && parse_bytes(text, "cache.capacity") != value.bytes)
    text = std::to_string(value.bytes.count) + " B";
  return node_of(std::move(text));
}

}  // namespace pregate
