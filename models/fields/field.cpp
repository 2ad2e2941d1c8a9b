// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/fields/field.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "models/units.hpp"

namespace pregate {
namespace {

/// As many digits as give the same number back.
std::string digits(double number) {
  std::array<char, 40> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
}

double number_of_node(const Node& value) {
  return value.kind == Node::Kind::integer ? static_cast<double>(value.integer) : value.real;
}

std::string plain(const Node& value) {
  switch (value.kind) {
    case Node::Kind::text:
      return value.text;
    case Node::Kind::integer:
      return std::to_string(value.integer);
    case Node::Kind::real:
      return digits(value.real);
    case Node::Kind::boolean:
      return value.boolean ? "true" : "false";
    default:
      return {};
  }
}

}  // namespace

std::string_view Field::name() const {
  const std::string_view path = key;
  return path.substr(path.find_last_of('.') + 1);  // npos + 1 = 0: the whole of it
}

std::string_view unit_suffix(Quantity quantity) {
  switch (quantity) {
    case Quantity::bytes:
      return "_bytes";
    case Quantity::byte_rate:
      return "_bytes_per_s";
    case Quantity::flop_rate:
      return "_flop_per_s";
    case Quantity::time:
      return "_us";
    default:
      return {};
  }
}

std::string written(const Field& field, const Node& value) {
  std::string text = plain(value);
  if (text.empty()) return text;
  switch (field.quantity) {
    case Quantity::bytes:
      return text + " B";
    case Quantity::byte_rate:
      return text + " B/s";
    case Quantity::flop_rate:
      return text + " FLOP/s";
    case Quantity::time:
      return text + " us";
    default:
      return text;
  }
}

std::string shown_value(const Field& field, const Node& value) {
  if (value.kind == Node::Kind::null) return {};
  if (field.zero && number_of_node(value) == 0) return "0";
  switch (field.quantity) {
    case Quantity::bytes:
      return to_string(Bytes{value.integer});
    case Quantity::byte_rate:
      return to_string(BytesPerSecond{value.real});
    case Quantity::time:
      return to_string(from_seconds(value.real * 1e-6));
    default:
      return written(field, value);
  }
}

bool is_in_range(const Field& field, const Node& value) {
  if (!field.range || value.kind == Node::Kind::null) return true;
  const double number = number_of_node(value) * (field.quantity == Quantity::time ? 1e-6 : 1);
  if (field.zero && number == 0) return true;
  return number >= field.range->least && number <= field.range->most;  // false for NaN
}

}  // namespace pregate
