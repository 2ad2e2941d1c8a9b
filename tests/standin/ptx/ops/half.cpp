// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <string>

#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

/// .relu limits negative results to +0.
enum HalfVariant : std::uint8_t { takes_minimum = 1, passes_nan = 2, limits_to_positive = 4 };

SmallFormat format_of(Type type) {
  return type == Type::bf16 || type == Type::bf16x2 ? bf16_format : f16_format;
}

bool is_packed(Type type) { return type == Type::f16x2 || type == Type::bf16x2; }

double input(const Instruction& i, std::uint64_t bits) {
  const SmallFormat format = format_of(i.type);
  const double value = decode(static_cast<std::uint16_t>(bits), format);
  const double smallest_normal = std::ldexp(1.0, 2 - (1 << (format.exponent_bits - 1)));
  return i.flush && std::fabs(value) < smallest_normal ? std::copysign(0.0, value) : value;
}

std::uint64_t output(const Instruction& i, double value) {
  if (i.saturate) value = saturated(value);
  if ((i.variant & limits_to_positive) != 0 && value <= 0) value = 0;
  const std::uint64_t bits = encode(value, format_of(i.type), Rounding::nearest_even);
  return i.flush ? encode(input(i, bits), format_of(i.type), Rounding::nearest_even) : bits;
}

struct Element {
  double a, b, c;
};

// Products of two such numbers are exact in double; sums are rounded to odd first, so the last rounding is
// the only one.
double add(const Instruction&, const Element& e) { return sum_rounded_to_odd(e.a, e.b); }
double subtract(const Instruction&, const Element& e) { return sum_rounded_to_odd(e.a, -e.b); }
double multiply(const Instruction&, const Element& e) { return e.a * e.b; }
double multiply_add(const Instruction&, const Element& e) { return sum_rounded_to_odd(e.a * e.b, e.c); }
double exponential(const Instruction&, const Element& e) { return std::exp2(e.a); }
double hyperbolic_tangent(const Instruction&, const Element& e) { return std::tanh(e.a); }

double extreme(const Instruction& i, const Element& e) {
  if (std::isnan(e.a) || std::isnan(e.b)) {
    if ((i.variant & passes_nan) != 0) return std::nan("");
    return std::isnan(e.a) ? e.b : e.a;
  }
  const bool a_is_less = e.a < e.b || (e.a == e.b && std::signbit(e.a));
  return a_is_less == ((i.variant & takes_minimum) != 0) ? e.a : e.b;
}

template <double (*Operation)(const Instruction&, const Element&)>
std::uint64_t each(const Instruction& i, const Values& v) {
  std::uint64_t result = output(i, Operation(i, {input(i, v[0]), input(i, v[1]), input(i, v[2])}));
  if (is_packed(i.type)) {
    result |= output(i, Operation(i, {input(i, v[0] >> 16), input(i, v[1] >> 16), input(i, v[2] >> 16)}))
              << 16;
  }
  return result;
}

std::uint64_t negate(const Instruction& i, const Values& v) {
  return v[0] ^ (is_packed(i.type) ? 0x80008000ULL : 0x8000ULL);
}

std::uint64_t absolute(const Instruction& i, const Values& v) {
  return v[0] & (is_packed(i.type) ? 0x7fff7fffULL : 0x7fffULL);
}

}  // namespace

bool decode_half(Mnemonic& mnemonic, Instruction& instruction) {
  const std::string& opcode = mnemonic.opcode();
  const bool rounds_to_nearest = mnemonic.take("rn");
  const bool approximate = mnemonic.take("approx");
  mnemonic.take("noftz");  // of atomics, whose default it is
  instruction.flush = mnemonic.take("ftz");
  instruction.saturate = mnemonic.take("sat");
  instruction.variant = static_cast<std::uint8_t>((opcode == "min" ? takes_minimum : 0) |
                                                  (mnemonic.take("NaN") ? passes_nan : 0) |
                                                  (mnemonic.take("relu") ? limits_to_positive : 0));
  if (rounds_to_nearest && approximate) return false;
  if (opcode == "add") return set_compute(instruction, each<add>, 2);
  if (opcode == "sub") return set_compute(instruction, each<subtract>, 2);
  if (opcode == "mul") return set_compute(instruction, each<multiply>, 2);
  if (opcode == "fma") return set_compute(instruction, each<multiply_add>, 3);
  if (opcode == "min" || opcode == "max") return set_compute(instruction, each<extreme>, 2);
  if (opcode == "neg") return set_compute(instruction, negate, 1);
  if (opcode == "abs") return set_compute(instruction, absolute, 1);
  if (opcode == "ex2") return approximate && set_compute(instruction, each<exponential>, 1);
  if (opcode == "tanh") return approximate && set_compute(instruction, each<hyperbolic_tangent>, 1);
  return false;
}

}  // namespace pregate::standin::ptx
