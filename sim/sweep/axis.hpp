// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pregate::sim {

/// A number and what stands behind it.
struct Measure {
  double number = 0;
  std::string unit;
};
/// Nothing: the text does not begin with a finite number.
std::optional<Measure> measure_of(std::string_view text);
/// Twelve significant digits without an exponent, as units are written after them.
std::string plain_digits(double value);

/// Numbers between two ends, with a unit that all of them have.
struct ValueRange {
  double low = 0, high = 0;  ///< low < high; both above 0 where they are spaced by their logarithms
  std::string unit;          ///< as written: "GB/s", "%"; empty: none
  bool logarithmic = false;
  /// The value at `share` of the way, from 0 to 1, as --set takes it: twelve significant digits, the ends as
  /// they were given.
  [[nodiscard]] std::string at(double share) const;
};

/// What a sweep varies: a key of --set, or one of the options that name a run's inputs ("policy", "trace").
struct Axis {
  std::string key;
  std::vector<std::string> values;    ///< empty: any of `range`
  std::optional<ValueRange> range{};  ///< without a number of values, for samples

  /// The value that a sample takes, `share` in [0, 1).
  [[nodiscard]] std::string at(double share) const;
};

/// Most values of an axis.
inline constexpr int most_axis_values = 100'000;

/// `KEY=LO..HI[unit]:N` (linear), `KEY=LO..HI[unit]:Nlog`, `KEY=a,b,c`; for samples also `KEY=LO..HI[unit]`
/// and `KEY=LO..HI[unit]:log`. InputError at `where` for what is none of these, an empty or reversed range,
/// or ends in different units. Whether there is such a key, and whether it takes the values, is found when
/// they are set.
Axis parse_axis(std::string_view text, const std::string& where);
/// Its part after the '='.
Axis parse_axis(std::string key, std::string_view values, const std::string& where);

}  // namespace pregate::sim
