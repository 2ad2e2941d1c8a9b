// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Parameters of parts of the user's own.
#include "python/src/own_parameters.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "models/error.hpp"
#include "models/fields/fields.hpp"
#include "models/table_reader.hpp"

namespace nb = nanobind;

namespace pregate::python {

namespace {

/// Values of the parameters of `owner` that were given; what is not there is as its description says.
struct OwnValues {
  std::string owner;
  std::map<std::string, Node> given;

  [[nodiscard]] const Node& of(const std::string& part, const Field& field) const {
    const auto found = owner == part ? given.find(field.key) : given.end();
    return found == given.end() ? field.fallback : found->second;
  }
};

/// A default, and with it what kind of value the parameter takes.
void set_fallback(Field& field, nb::handle value, const std::string& where) {
  if (nb::isinstance<nb::bool_>(value)) {
    field.quantity = Quantity::flag;
    field.fallback = value_of(nb::cast<bool>(value));
  } else if (nb::isinstance<nb::int_>(value)) {
    field.quantity = Quantity::count;
    field.fallback = node_of(nb::cast<std::int64_t>(value));
  } else if (nb::isinstance<nb::float_>(value)) {
    field.quantity = Quantity::number;
    field.fallback = node_of(nb::cast<double>(value));
    if (!std::isfinite(field.fallback.real)) throw InputError(where, "its default is not finite");
  } else if (nb::isinstance<nb::str>(value)) {
    field.quantity = field.names.empty() ? Quantity::text : Quantity::choice;
    field.fallback = node_of(nb::cast<std::string>(value));
  } else {
    throw InputError(where, "its default is no truth value, number or text");
  }
}

/// What is believed of a number; whole ones are those that a double counts.
Range range_of(const Field& field, std::optional<double> least, std::optional<double> most) {
  const auto text = [&](double number) {
    const bool is_whole = field.quantity == Quantity::count;
    return written(field, is_whole ? node_of(static_cast<std::int64_t>(number)) : node_of(number));
  };
  constexpr double countable = 9007199254740992;
  const double widest =
      field.quantity == Quantity::count ? countable : std::numeric_limits<double>::infinity();
  Range range{std::max(least.value_or(-widest), -widest), std::min(most.value_or(widest), widest), ""};
  if (field.quantity == Quantity::count) range = {std::ceil(range.least), std::floor(range.most), ""};
  if (least && most) {
    range.words = "from " + text(range.least) + " to " + text(range.most);
  } else if (least) {
    range.words = "at least " + text(range.least);
  } else if (most) {
    range.words = "at most " + text(range.most);
  } else {
    range.words = "a whole number of at most 2^53";
  }
  return range;
}

Node read_node(TableReader& table, const Field& field) {
  const auto read = [&](auto value) {
    read_value(table, field, value);
    return value_of(value);
  };
  switch (field.quantity) {
    case Quantity::flag:
      return read(false);
    case Quantity::count:
      return read(std::int64_t{});
    case Quantity::number:
      return read(double{});
    case Quantity::choice: {
      const std::string text = table.text(field.name());
      return node_of(field.names[chosen(field.names, text, table.where(field.name()))].name);
    }
    default:
      return read(std::string());
  }
}

bool is_key_name(const std::string& name) {
  return !name.empty() && name.size() <= 60 && name.front() >= 'a' && name.front() <= 'z' &&
         name.find("__") == std::string::npos &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

}  // namespace

OwnParameters::OwnParameters(std::string where, nb::list described) : where_(std::move(where)) {
  for (const nb::handle each : described) {
    const auto [name, value, help, least, most, names] =
        nb::cast<std::tuple<std::string, nb::object, std::string, std::optional<double>,
                            std::optional<double>, std::vector<std::string>>>(each);
    const std::string at = where_ + ", argument '" + printable(name) + "'";
    if (!is_key_name(name)) {
      throw InputError(at, "is no name for a key",
                       "small letters, digits and single '_', at most 60; or '_' in front: then it is none");
    }
    Field field;
    field.key = field.shown = field.json = name;
    field.help = help;
    for (const std::string& choice : names) field.names.push_back({choice, "", ""});
    set_fallback(field, value, at);
    const bool is_number = field.quantity == Quantity::count || field.quantity == Quantity::number;
    if ((least || most) && !is_number) throw InputError(at, "has a range, and is no number");
    if (least || most || field.quantity == Quantity::count) field.range = range_of(field, least, most);
    if (!is_in_range(field, field.fallback))
      throw InputError(at, "its default is out of range", "it must be " + field.range->words);
    if (field.quantity == Quantity::choice) std::ignore = chosen(field.names, field.fallback.text, at);
    fields_.push_back(std::move(field));
  }
}

sim::PartParameters OwnParameters::described() const {
  Fields<OwnValues> fields;
  for (const Field& field : fields_) {
    fields.add_entry({field,
                      [field, owner = where_](const OwnValues& values) { return values.of(owner, field); },
                      [owner = where_](OwnValues& values, TableReader& table, const Field& its) {
                        if (values.owner != owner) values = {owner, {}};
                        values.given[its.key] = read_node(table, its);
                      }});
  }
  return sim::PartParameters(fields);
}

nb::dict OwnParameters::arguments(const std::any& values) const {
  const auto* const given = std::any_cast<OwnValues>(&values);
  nb::dict all;
  for (const Field& field : fields_) {
    const Node& value = given == nullptr ? field.fallback : given->of(where_, field);
    const nb::str name(field.key.c_str());
    switch (field.quantity) {
      case Quantity::flag:
        all[name] = value.boolean;
        break;
      case Quantity::count:
        all[name] = value.integer;
        break;
      case Quantity::number:
        all[name] = value.kind == Node::Kind::integer ? static_cast<double>(value.integer) : value.real;
        break;
      default:
        all[name] = value.text;
    }
  }
  return all;
}

bool OwnParameters::are_alike(const Field& a, const Field& b) {
  const auto is_number = [](const Field& field) {
    return field.quantity == Quantity::number || field.quantity == Quantity::share;
  };
  return a.quantity == b.quantity || (is_number(a) && is_number(b));
}

bool OwnParameters::is_key(const std::string& key) {
  const auto& entries = policy_fields().entries();
  return std::any_of(entries.begin(), entries.end(),
                     [&](const auto& entry) { return entry.field.key == key; });
}

void OwnParameters::refuse_taken(const Field& own, const std::string& by) const {
  throw InputError(where_ + ", argument '" + own.key + "'", "is " + by + " already", "choose another name");
}

}  // namespace pregate::python
