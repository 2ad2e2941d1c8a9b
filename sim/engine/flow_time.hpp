// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace pregate::sim {

/// Later than all times, in picoseconds.
inline constexpr std::int64_t never = INT64_MAX;

/// InputError: time would pass 106 days.
[[noreturn]] void refuse_time();

/// InputError when time would pass 106 days.
inline std::int64_t later(std::int64_t now, std::int64_t duration) {
  if (duration >= never - now) refuse_time();
  return now + duration;
}

/// Whole picoseconds in which `bytes` pass at `rate`, rounded up. A small allowance keeps rounding of the
/// quotient from adding a picosecond to a result that is whole in arithmetic.
std::int64_t time_left(double bytes, double rate);

/// Bytes left of a flow that had `bytes` left at `settled` and ran at `rate` since.
inline double bytes_left(double bytes, double rate, std::int64_t settled, std::int64_t now) {
  const double left = bytes - rate * (static_cast<double>(now - settled) * 1e-12);
  return left > 0.0 ? left : 0.0;
}

}  // namespace pregate::sim
