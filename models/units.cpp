// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/units.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>
#include <string>

#include "models/error.hpp"

namespace pregate {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr double kibi = 1024.0, mebi = kibi * kibi, gibi = kibi * mebi, tebi = kibi * gibi;

constexpr std::array byte_units = {Unit{"B", 1},      Unit{"kB", 1e3},   Unit{"MB", 1e6},
                                   Unit{"GB", 1e9},   Unit{"TB", 1e12},  Unit{"KiB", kibi},
                                   Unit{"MiB", mebi}, Unit{"GiB", gibi}, Unit{"TiB", tebi}};
constexpr std::array byte_rate_units = {Unit{"B/s", 1},      Unit{"kB/s", 1e3},   Unit{"MB/s", 1e6},
                                        Unit{"GB/s", 1e9},   Unit{"TB/s", 1e12},  Unit{"KiB/s", kibi},
                                        Unit{"MiB/s", mebi}, Unit{"GiB/s", gibi}, Unit{"TiB/s", tebi}};
constexpr std::array flop_rate_units = {Unit{"FLOP/s", 1},     Unit{"MFLOP/s", 1e6},  Unit{"GFLOP/s", 1e9},
                                        Unit{"TFLOP/s", 1e12}, Unit{"PFLOP/s", 1e15}, Unit{"MFLOPS", 1e6},
                                        Unit{"GFLOPS", 1e9},   Unit{"TFLOPS", 1e12},  Unit{"PFLOPS", 1e15}};
constexpr std::array duration_units = {Unit{"ps", 1}, Unit{"ns", 1e3}, Unit{"us", 1e6}, Unit{"ms", 1e9},
                                       Unit{"s", 1e12}};

/// What a quantity is called, the units it may have and the least and most that is believable.
struct Dimension {
  std::string_view noun;
  std::span<const Unit> units;
  std::string_view example;
  double least;
  double most;
};

constexpr Dimension sizes{"a size", byte_units, "4 GiB", 0, 1e18};
constexpr Dimension byte_rates{"a transfer rate", byte_rate_units, "25 GB/s", 1, 1e15};
constexpr Dimension flop_rates{"an arithmetic rate", flop_rate_units, "19.5 TFLOP/s", 1, 1e20};
constexpr Dimension durations{"a duration", duration_units, "40 us", 0, 1e18};  // 1e18 ps = 11.6 days
constexpr std::array dimensions = {sizes, byte_rates, flop_rates, durations};

const Unit* find_unit(const Dimension& dimension, std::string_view name) {
  for (const Unit& unit : dimension.units) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

std::string accepted(const Dimension& dimension) {
  std::string text = "write a number and a unit, e.g. " + std::string(dimension.example) + "; units: ";
  for (std::size_t i = 0; i < dimension.units.size(); ++i) {
    if (i > 0) text += ", ";
    text += dimension.units[i].name;
  }
  return text;
}

[[noreturn]] void refuse(std::string_view text, std::string_view where, std::string_view why,
                         const Dimension& dimension) {
  throw InputError(where, "'" + printable(text) + "' " + std::string(why), accepted(dimension));
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

/// The value of `text` in the base unit of `dimension`.
double parse(std::string_view text, std::string_view where, const Dimension& dimension) {
  const std::string_view body = trimmed(text);
  double number = 0;
  const auto [end, fault] = std::from_chars(body.data(), body.data() + body.size(), number);
  if (fault == std::errc::result_out_of_range) refuse(text, where, "is out of range", dimension);
  if (fault != std::errc{}) refuse(text, where, "is not " + std::string(dimension.noun), dimension);
  if (!std::isfinite(number)) refuse(text, where, "is not a finite number", dimension);
  if (std::signbit(number) && number != 0) refuse(text, where, "is negative", dimension);

  const std::string_view name = trimmed(body.substr(static_cast<std::size_t>(end - body.data())));
  if (name.empty()) refuse(text, where, "has no unit", dimension);
  const Unit* unit = find_unit(dimension, name);
  if (unit == nullptr && name == "\u00b5s") unit = find_unit(dimension, "us");
  if (unit == nullptr) {
    for (const Dimension& other : dimensions) {
      if (find_unit(other, name) != nullptr) {
        refuse(text, where, "is " + std::string(other.noun) + ", not " + std::string(dimension.noun),
               dimension);
      }
    }
    refuse(text, where, "has the unknown unit '" + printable(name, 20) + "'", dimension);
  }
  const double value = number * unit->factor;
  if (value > dimension.most) refuse(text, where, "is absurdly large", dimension);
  if (value < dimension.least) refuse(text, where, "is too small (it must be above zero)", dimension);
  return value;
}

/// As std::llround, inline: the simulator rounds a duration a layer. |value| < 2^63.
std::int64_t whole(double value) {
  const auto towards_zero = static_cast<std::int64_t>(value);
  const double rest = value - static_cast<double>(towards_zero);  // exact
  return towards_zero + (rest >= 0.5 ? 1 : 0) - (rest <= -0.5 ? 1 : 0);
}

/// Three significant digits, never an exponent; `value` in [0, 1e6).
std::string three_digits(double value) {
  std::array<char, 32> text{};
  const auto end =
      value >= 999.5
          ? std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, 0)
          : std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, 3);
  return {text.data(), end.ptr};
}

/// `value` in the largest of `units` (ascending, factor `step` apart) in which it is at least 1 when shown.
std::string scaled(double value, std::span<const Unit> units, double step) {
  std::size_t i = 0;
  while (i + 1 < units.size() && value / units[i].factor >= step - 0.5) ++i;
  return three_digits(value / units[i].factor) + " " + std::string(units[i].name);
}

constexpr std::int64_t longest = std::numeric_limits<std::int64_t>::max() / 8;

}  // namespace

Picoseconds time_at(Bytes bytes, BytesPerSecond rate) {
  if (bytes.count <= 0) return {};
  // 64 bits of mantissa: the product is exact below 64 GiB, so the quotient is off by less than 1e-19 of
  // itself.
  const long double exact =
      static_cast<long double>(bytes.count) * 1e12L / static_cast<long double>(rate.value);
  if (!(exact < static_cast<long double>(longest))) return {longest};
  return {static_cast<std::int64_t>(std::ceil(exact))};
}

Picoseconds from_seconds(double seconds) {
  const double exact = seconds * 1e12;
  if (!(std::abs(exact) < static_cast<double>(longest))) return {std::signbit(seconds) ? -longest : longest};
  return {whole(exact)};
}

Bytes parse_bytes(std::string_view text, std::string_view where) {
  const double value = parse(text, where, sizes);
  if (value > 0 && value < 0.5) refuse(text, where, "is less than a byte", sizes);
  return {whole(value)};
}

BytesPerSecond parse_bytes_per_second(std::string_view text, std::string_view where) {
  return {parse(text, where, byte_rates)};
}

FlopPerSecond parse_flop_per_second(std::string_view text, std::string_view where) {
  return {parse(text, where, flop_rates)};
}

Picoseconds parse_duration(std::string_view text, std::string_view where) {
  return {whole(parse(text, where, durations))};
}

std::string to_string(Bytes bytes) {
  constexpr std::array units = {Unit{"B", 1}, Unit{"KiB", kibi}, Unit{"MiB", mebi}, Unit{"GiB", gibi},
                                Unit{"TiB", tebi}};
  if (bytes.count < 0) return "-" + scaled(-static_cast<double>(bytes.count), units, 1024);
  return scaled(static_cast<double>(bytes.count), units, 1024);
}

std::string to_string(BytesPerSecond rate) {
  constexpr std::array units = {Unit{"B/s", 1}, Unit{"kB/s", 1e3}, Unit{"MB/s", 1e6}, Unit{"GB/s", 1e9},
                                Unit{"TB/s", 1e12}};
  return scaled(rate.value, units, 1000);
}

std::string to_string(Picoseconds duration) {
  if (duration.count < 0) return "-" + scaled(-static_cast<double>(duration.count), duration_units, 1000);
  return scaled(static_cast<double>(duration.count), duration_units, 1000);
}

}  // namespace pregate
