// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "models/capacity.hpp"
#include "models/fields/choice.hpp"
#include "models/fields/field.hpp"
#include "models/table_reader.hpp"
#include "models/units.hpp"

// The types that a described member may have: how each is read and what results show of it.
namespace pregate {

Node node_of(std::string text);
Node node_of(double number);
Node node_of(std::int64_t number);

void read_value(TableReader& table, const Field& field, std::string& value);
void read_value(TableReader& table, const Field& field, bool& value);
void read_value(TableReader& table, const Field& field, int& value);
void read_value(TableReader& table, const Field& field, std::int64_t& value);
void read_value(TableReader& table, const Field& field, std::uint64_t& value);
void read_value(TableReader& table, const Field& field, double& value);
void read_value(TableReader& table, const Field& field, std::optional<double>& value);
void read_value(TableReader& table, const Field& field, Bytes& value);
void read_value(TableReader& table, const Field& field, BytesPerSecond& value);
void read_value(TableReader& table, const Field& field, FlopPerSecond& value);
void read_value(TableReader& table, const Field& field, Picoseconds& value);
void read_value(TableReader& table, const Field& field, Capacity& value);

Node value_of(const std::string& value);
Node value_of(bool value);
Node value_of(int value);
Node value_of(std::int64_t value);
Node value_of(std::uint64_t value);
Node value_of(double value);
Node value_of(const std::optional<double>& value);
Node value_of(Bytes value);
Node value_of(BytesPerSecond value);
Node value_of(FlopPerSecond value);
Node value_of(Picoseconds value);
Node value_of(const Capacity& value);

/// Index of the name that `text` is; InputError at `where` otherwise.
std::size_t chosen(const std::vector<NamedValue>& names, const std::string& text, const std::string& where);

template <typename Value>
requires std::is_enum_v<Value>
void read_value(TableReader& table, const Field& field, Value& value) {
  value = choices<Value>()[chosen(field.names, table.text(field.name()), table.where(field.name()))].value;
}

template <typename Value>
requires std::is_enum_v<Value> Node value_of(Value value) { return node_of(name_of(value)); }

template <typename Value>
Quantity quantity_of(const std::optional<Range>& range) {
  if constexpr (std::is_enum_v<Value>) return Quantity::choice;
  if constexpr (std::is_same_v<Value, bool>) return Quantity::flag;
  if constexpr (std::is_same_v<Value, std::string>) return Quantity::text;
  if constexpr (std::is_same_v<Value, Bytes>) return Quantity::bytes;
  if constexpr (std::is_same_v<Value, BytesPerSecond>) return Quantity::byte_rate;
  if constexpr (std::is_same_v<Value, FlopPerSecond>) return Quantity::flop_rate;
  if constexpr (std::is_same_v<Value, Picoseconds>) return Quantity::time;
  if constexpr (std::is_same_v<Value, Capacity>) return Quantity::capacity;
  if constexpr (std::is_integral_v<Value>) return Quantity::count;
  return range && range->most <= 1 ? Quantity::share : Quantity::number;
}

template <typename Value>
std::vector<NamedValue> named_values() {
  std::vector<NamedValue> names;
  if constexpr (std::is_enum_v<Value>) {
    for (const Choice<Value>& choice : choices<Value>())
      names.push_back({std::string(choice.name), std::string(choice.help), std::string(choice.former)});
  }
  return names;
}

/// The value of that name; InputError at `where` otherwise.
template <typename Value>
Value parse_choice(const std::string& text, const std::string& where) {
  return choices<Value>()[chosen(named_values<Value>(), text, where)].value;
}

}  // namespace pregate
