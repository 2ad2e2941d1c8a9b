// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/ptx/numeric.hpp"

#include <cfenv>
#include <cmath>
#include <limits>

namespace pregate::standin::ptx {
namespace {

int host_direction(Rounding rounding) {
  switch (rounding) {
    case Rounding::toward_zero:
      return FE_TOWARDZERO;
    case Rounding::down:
      return FE_DOWNWARD;
    case Rounding::up:
      return FE_UPWARD;
    case Rounding::nearest_even:
      break;
  }
  return FE_TONEAREST;
}

/// Whether a magnitude that lies `fraction` of a quantum above `whole` is rounded away from zero.
bool rounds_away(std::uint64_t whole, double fraction, bool negative, Rounding rounding) {
  switch (rounding) {
    case Rounding::toward_zero:
      return false;
    case Rounding::down:
      return negative && fraction > 0;
    case Rounding::up:
      return !negative && fraction > 0;
    case Rounding::nearest_even:
      break;
  }
  return fraction > 0.5 || (fraction == 0.5 && whole % 2 == 1);
}

}  // namespace

std::uint64_t result_bits(float value) { return std::isnan(value) ? canonical_nan_f32 : bits_of(value); }

std::uint64_t result_bits(double value) { return std::isnan(value) ? 0x7fffffffffffffffULL : bits_of(value); }

float flushed(float value) {
  return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0F, value) : value;
}

double saturated(double value) {
  if (!(value > 0)) return 0;  // also NaN and -0
  return value < 1 ? value : 1;
}

std::uint16_t encode(double value, SmallFormat format, Rounding rounding) {
  if (std::isnan(value)) return 0x7fff;
  const bool negative = std::signbit(value);
  const auto sign = static_cast<std::uint64_t>(negative) << 15;
  const std::uint64_t infinity = ((1ULL << format.exponent_bits) - 1) << format.mantissa_bits;
  if (std::isinf(value)) return static_cast<std::uint16_t>(sign | infinity);
  if (value == 0) return static_cast<std::uint16_t>(sign);
  const double magnitude = std::fabs(value);
  const int lowest = 2 - (1 << (format.exponent_bits - 1));  // exponent of the smallest normal number
  const int exponent = std::max(std::ilogb(magnitude), lowest);
  if (exponent > 1 - lowest + 1) {  // beyond the range, so that the shift below stays small
    const bool away = rounding == Rounding::nearest_even || rounds_away(0, 1, negative, rounding);
    return static_cast<std::uint16_t>(sign | (away ? infinity : infinity - 1));
  }
  const double scaled = std::ldexp(magnitude, format.mantissa_bits - exponent);
  auto whole = static_cast<std::uint64_t>(scaled);
  if (rounds_away(whole, scaled - static_cast<double>(whole), negative, rounding)) ++whole;
  // A normal number's leading one adds itself to the exponent field; a carry does so once more.
  std::uint64_t bits = (static_cast<std::uint64_t>(exponent - lowest) << format.mantissa_bits) + whole;
  if (bits >= infinity) {
    const bool away = rounding == Rounding::nearest_even || rounds_away(0, 1, negative, rounding);
    bits = away ? infinity : infinity - 1;
  }
  return static_cast<std::uint16_t>(sign | bits);
}

double decode(std::uint16_t bits, SmallFormat format) {
  const unsigned mantissa_mask = (1U << format.mantissa_bits) - 1;
  const unsigned exponent_mask = (1U << format.exponent_bits) - 1;
  const unsigned mantissa = bits & mantissa_mask;
  const unsigned exponent = (static_cast<unsigned>(bits) >> format.mantissa_bits) & exponent_mask;
  const bool negative = (bits & 0x8000U) != 0;
  double magnitude = 0;
  if (exponent == exponent_mask) {
    magnitude =
        mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else {
    const int lowest = 2 - (1 << (format.exponent_bits - 1));
    const unsigned whole = exponent == 0 ? mantissa : mantissa | (mantissa_mask + 1);
    const int scale = lowest + (exponent == 0 ? 0 : static_cast<int>(exponent) - 1) - format.mantissa_bits;
    magnitude = std::ldexp(static_cast<double>(whole), scale);
  }
  return negative ? -magnitude : magnitude;
}

double sum_rounded_to_odd(double a, double b) {
  const volatile double left = a;
  const volatile double right = b;
  const RoundingScope scope(Rounding::toward_zero);
  std::feclearexcept(FE_INEXACT);
  const volatile double sum = left + right;
  if (std::fetestexcept(FE_INEXACT) == 0) return sum;
  return as_f64(bits_of(static_cast<double>(sum)) | 1U);
}

RoundingScope::RoundingScope(Rounding rounding) : saved_(std::fegetround()) {
  std::fesetround(host_direction(rounding));
}

RoundingScope::~RoundingScope() { std::fesetround(saved_); }

double rounded_to_integral(double value, Rounding rounding) {
  switch (rounding) {
    case Rounding::toward_zero:
      return std::trunc(value);
    case Rounding::down:
      return std::floor(value);
    case Rounding::up:
      return std::ceil(value);
    case Rounding::nearest_even:
      break;
  }
  return std::nearbyint(value);
}

}  // namespace pregate::standin::ptx
