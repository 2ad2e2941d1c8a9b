// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/element.hpp"

#include <bit>
#include <cmath>

namespace pregate::kernels {

float to_float(Float16 value) {
  const int exponent = (value.bits >> 10) & 0x1f;
  const int fraction = value.bits & 0x3ff;
  const float sign = (value.bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 0x1f) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);  // subnormal
  return sign * std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
}

float to_float(BFloat16 value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16); }

Float16 to_float16(float value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000U : 0U);
  const auto with_sign = [sign](std::uint32_t bits) {
    return Float16{static_cast<std::uint16_t>(sign | bits)};
  };
  if (std::isnan(value)) return with_sign(0x7e00);
  const float size = std::abs(value);
  if (size >= 65520.0F) return with_sign(0x7c00);  // half way from 65504, the largest, to 2^16
  // In units of the last place: 2^-24 for subnormals, 2^(e-10) for 2^e <= size. nearbyint rounds ties to
  // even; a carry out of the fraction moves to the next exponent by itself, as the fields are neighbours.
  const int exponent = size < 0x1p-14F ? -14 : std::ilogb(size);
  const auto units = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  return with_sign((static_cast<std::uint32_t>(exponent + 14) << 10) + units);
}

BFloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};  // quiet, never infinity
  const std::uint32_t to_even = (bits >> 16) & 1U;
  return {static_cast<std::uint16_t>((bits + 0x7fffU + to_even) >> 16)};
}

}  // namespace pregate::kernels
