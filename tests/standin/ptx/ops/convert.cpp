// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

/// .relu limits to positive; .rni and friends round to an integral value.
enum ConvertVariant : std::uint8_t { to_integral = 1, limits_to_positive = 2 };

unsigned width_of(Type type) { return static_cast<unsigned>(8 * size_of(type)); }

std::uint64_t extended(Type type, std::uint64_t value) {
  const unsigned unused = 64 - width_of(type);
  if (is_signed(type)) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << unused) >> unused);
  }
  return (value << unused) >> unused;
}

double floating_value(const Instruction& i, std::uint64_t bits) {
  switch (i.from) {
    case Type::f64:
      return as_f64(bits);
    case Type::f32: {
      const float value = as_f32(bits);
      return static_cast<double>(i.flush ? flushed(value) : value);
    }
    case Type::bf16:
      return decode(static_cast<std::uint16_t>(bits), bf16_format);
    default:
      return decode(static_cast<std::uint16_t>(bits), f16_format);
  }
}

/// `value` in the destination format, rounded once.
std::uint64_t floating_result(const Instruction& i, double value) {
  if (i.saturate) value = saturated(value);
  if ((i.variant & limits_to_positive) != 0 && value <= 0) value = 0;
  switch (i.type) {
    case Type::f64:
      return result_bits(value);
    case Type::f32: {
      const volatile double wide = value;
      const RoundingScope scope(i.rounding);
      const volatile float narrow = static_cast<float>(wide);
      return result_bits(i.flush ? flushed(narrow) : narrow);
    }
    case Type::bf16:
    case Type::bf16x2:
      return encode(value, bf16_format, i.rounding);
    default:
      return encode(value, f16_format, i.rounding);
  }
}

std::uint64_t float_to_float(const Instruction& i, const Values& v) {
  const double value = floating_value(i, v[0]);
  return floating_result(i, (i.variant & to_integral) != 0 ? rounded_to_integral(value, i.rounding) : value);
}

/// cvt.rn.f16x2.f32 d, a, b: a becomes the upper half.
std::uint64_t pack_floats(const Instruction& i, const Values& v) {
  return (floating_result(i, floating_value(i, v[0])) << 16) | floating_result(i, floating_value(i, v[1]));
}

/// Values out of range give the nearest limit. NaN gives 0, or 1 << (bits - 1) from .f64 or to 64 bits.
std::uint64_t float_to_integer(const Instruction& i, const Values& v) {
  const double value = floating_value(i, v[0]);
  const unsigned width = width_of(i.type);
  if (std::isnan(value)) {
    const bool wide = i.from == Type::f64 || width == 64;
    return wide ? extended(i.type, 1ULL << (width - 1)) : 0;
  }
  const double whole = rounded_to_integral(value, i.rounding);
  if (is_signed(i.type)) {
    const double limit = std::ldexp(1.0, static_cast<int>(width) - 1);
    if (whole >= limit) return (1ULL << (width - 1)) - 1;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(std::max(whole, -limit)));
  }
  if (whole >= std::ldexp(1.0, static_cast<int>(width))) return extended(i.type, ~0ULL);
  return static_cast<std::uint64_t>(std::max(whole, 0.0));
}

std::uint64_t integer_to_float(const Instruction& i, const Values& v) {
  const std::uint64_t bits = extended(i.from, v[0]);
  if (i.type == Type::f64) {
    const volatile std::uint64_t pattern = bits;
    const RoundingScope scope(i.rounding);
    const volatile double result = is_signed(i.from) ? static_cast<double>(static_cast<std::int64_t>(pattern))
                                                     : static_cast<double>(+pattern);
    return bits_of(+result);
  }
  // The halves are exact; their sum keeps a sticky bit, so the final rounding is right for 64-bit sources
  // too.
  const double high = is_signed(i.from) ? static_cast<double>(static_cast<std::int64_t>(bits) >> 32)
                                        : static_cast<double>(bits >> 32);
  const double low = static_cast<double>(bits & 0xffffffffULL);
  return floating_result(i, sum_rounded_to_odd(high * 4294967296.0, low));
}

std::uint64_t integer_to_integer(const Instruction& i, const Values& v) {
  const std::uint64_t bits = extended(i.from, v[0]);
  if (!i.saturate) return extended(i.type, bits);
  const unsigned width = width_of(i.type);
  const auto value = static_cast<std::int64_t>(bits);
  const bool negative = is_signed(i.from) && value < 0;
  if (!is_signed(i.type)) return negative ? 0 : std::min(bits, extended(i.type, ~0ULL));
  const std::uint64_t highest = (1ULL << (width - 1)) - 1;
  if (!negative) return std::min(bits, highest);
  return static_cast<std::uint64_t>(std::max(value, -static_cast<std::int64_t>(highest) - 1));
}

bool is_scalar_floating(Type type) {
  return is_floating(type) && type != Type::f16x2 && type != Type::bf16x2;
}

}  // namespace

bool decode_convert(Mnemonic& mnemonic, Instruction& instruction) {
  const int integral = mnemonic.take_one({"rni", "rzi", "rmi", "rpi"});
  instruction.rounding = integral >= 0 ? static_cast<Rounding>(integral) : take_rounding(mnemonic);
  instruction.flush = mnemonic.take("ftz");
  instruction.saturate = mnemonic.take("sat");
  instruction.variant = static_cast<std::uint8_t>((integral >= 0 ? to_integral : 0) |
                                                  (mnemonic.take("relu") ? limits_to_positive : 0));
  instruction.type = mnemonic.take_type();
  instruction.from = mnemonic.take_type();
  const Type to = instruction.type;
  const Type from = instruction.from;
  if (size_of(to) == 0 || size_of(from) == 0 || to == Type::pred || from == Type::pred) return false;
  if (to == Type::f16x2 || to == Type::bf16x2) {
    return from == Type::f32 && set_compute(instruction, pack_floats, 2);
  }
  if (is_floating(from)) {
    if (!is_scalar_floating(from)) return false;
    if (is_floating(to)) return set_compute(instruction, float_to_float, 1);
    return integral >= 0 && set_compute(instruction, float_to_integer, 1);
  }
  return set_compute(instruction, is_floating(to) ? integer_to_float : integer_to_integer, 1);
}

}  // namespace pregate::standin::ptx
