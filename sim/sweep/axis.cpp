// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/sweep/axis.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

constexpr const char* axis_hint =
    "write KEY=LO..HIunit:N (N values), KEY=LO..HIunit:Nlog, or KEY=a,b,c, e.g. "
    "machine.link.h2d.bandwidth=12..64GB/s:14";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

struct Count {
  int values = 0;  ///< 0: not said
  bool logarithmic = false;
};

Count count_of(std::string_view text, const std::string& where) {
  Count count;
  const std::string given(text);
  if (text.ends_with("log")) {
    count.logarithmic = true;
    text.remove_suffix(3);
    if (text.empty()) return count;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count.values);
  if (error != std::errc{} || end != text.data() + text.size() || count.values < 2 ||
      count.values > most_axis_values) {
    throw InputError(where,
                     "'" + printable(given) + "' is not how many values: a whole number from 2 to " +
                         std::to_string(most_axis_values) + ", 'log' after it for logarithmic steps",
                     axis_hint);
  }
  return count;
}

Axis range_axis(std::string key, std::string_view text, std::size_t dots, const std::string& where) {
  const std::size_t colon = text.rfind(':');
  const bool counted = colon != std::string_view::npos && colon > dots;
  const Count count = counted ? count_of(text.substr(colon + 1), where) : Count{};
  const std::string_view ends = counted ? text.substr(0, colon) : text;
  const auto low = measure_of(ends.substr(0, dots)), high = measure_of(ends.substr(dots + 2));
  if (!low || !high) {
    throw InputError(where, "the range '" + printable(text) + "' does not have a number at both ends",
                     axis_hint);
  }
  if (!low->unit.empty() && low->unit != high->unit) {
    throw InputError(where,
                     "the ends of '" + printable(text) + "' are in '" + printable(low->unit) + "' and '" +
                         printable(high->unit) + "'",
                     "give both in one unit; it may be left out at the first");
  }
  if (low->number >= high->number) {
    throw InputError(where,
                     "the range '" + printable(text) + "' is empty: it goes from " +
                         plain_digits(low->number) + " to " + plain_digits(high->number),
                     "the smaller end comes first");
  }
  if (count.logarithmic && low->number <= 0) {
    throw InputError(where, "the logarithmic range '" + printable(text) + "' does not begin above 0",
                     "begin above 0, or leave out 'log'");
  }
  const ValueRange range{low->number, high->number, high->unit, count.logarithmic};
  Axis axis{std::move(key), {}, range};
  for (int i = 0; i < count.values; ++i)
    axis.values.push_back(range.at(static_cast<double>(i) / (count.values - 1)));
  const auto twice = std::adjacent_find(axis.values.begin(), axis.values.end());
  if (twice != axis.values.end())
    throw InputError(where, "the range '" + printable(text) + "' has the value " + *twice + " twice",
                     "ask for fewer values");
  if (!axis.values.empty()) axis.range.reset();
  return axis;
}

}  // namespace

std::string plain_digits(double value) {
  char rounded[40];
  std::snprintf(rounded, sizeof rounded, "%.12g", value);
  char text[400];
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, std::strtod(rounded, nullptr), std::chars_format::fixed);
  return error == std::errc{} ? std::string(text, end) : std::string(rounded);
}

std::optional<Measure> measure_of(std::string_view text) {
  text = trimmed(text);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !std::isfinite(number)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return Measure{number, std::string(trimmed(text))};
}

std::string ValueRange::at(double share) const {
  if (share <= 0) return plain_digits(low) + unit;
  if (share >= 1) return plain_digits(high) + unit;
  const double value = logarithmic ? low * std::pow(high / low, share) : low + share * (high - low);
  return plain_digits(value) + unit;
}

std::string Axis::at(double share) const {
  if (range) return range->at(share);
  const auto place = static_cast<std::size_t>(share * static_cast<double>(values.size()));
  return values[std::min(place, values.size() - 1)];
}

Axis parse_axis(std::string_view text, const std::string& where) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    throw InputError(where, "'" + printable(text) + "' is not KEY=VALUES", axis_hint);
  return parse_axis(std::string(text.substr(0, equals)), text.substr(equals + 1), where);
}

Axis parse_axis(std::string key, std::string_view values, const std::string& where) {
  const std::string named = where + " " + printable(key);
  const std::size_t dots = values.find("..");
  if (dots != std::string_view::npos && dots > 0 && measure_of(values.substr(0, dots)))
    return range_axis(std::move(key), values, dots, named);
  Axis axis{std::move(key), {}, {}};
  for (std::size_t begin = 0; begin <= values.size();) {
    const std::size_t end = std::min(values.find(',', begin), values.size());
    const std::string_view value = trimmed(values.substr(begin, end - begin));
    if (value.empty())
      throw InputError(named, "an empty value in '" + printable(values) + "'",
                       "values are separated by single commas");
    if (std::find(axis.values.begin(), axis.values.end(), value) != axis.values.end())
      throw InputError(named, "the value '" + printable(value) + "' stands there twice", "leave one out");
    axis.values.emplace_back(value);
    if (axis.values.size() > static_cast<std::size_t>(most_axis_values))
      throw InputError(named, "more than " + std::to_string(most_axis_values) + " values", axis_hint);
    begin = end + 1;
  }
  return axis;
}

}  // namespace pregate::sim
