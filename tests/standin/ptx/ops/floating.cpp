// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <string>

#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

float input(const Instruction& i, std::uint64_t bits) {
  const float value = as_f32(bits);
  return i.flush ? flushed(value) : value;
}

std::uint64_t output(const Instruction& i, float value) {
  if (i.saturate) value = static_cast<float>(saturated(static_cast<double>(value)));
  return result_bits(i.flush ? flushed(value) : value);
}

/// Evaluates `operation` in the instruction's rounding direction. The volatile operands keep the compiler
/// from evaluating before the direction is set.
template <class Operation>
auto rounded(const Instruction& i, Operation operation) {
  if (i.rounding == Rounding::nearest_even) return operation();
  const RoundingScope scope(i.rounding);
  const volatile auto result = operation();
  return +result;
}

template <class T>
struct Reader {
  static T in(const Instruction& i, std::uint64_t bits) {
    if constexpr (sizeof(T) == 4) {
      return input(i, bits);
    } else {
      return as_f64(bits);
    }
  }
  static std::uint64_t out(const Instruction& i, T value) {
    if constexpr (sizeof(T) == 4) {
      return output(i, value);
    } else {
      return result_bits(value);
    }
  }
};

template <class T, class Operation>
std::uint64_t binary(const Instruction& i, const Values& v, Operation operation) {
  const volatile T a = Reader<T>::in(i, v[0]);
  const volatile T b = Reader<T>::in(i, v[1]);
  return Reader<T>::out(i, rounded(i, [&]() -> T { return operation(+a, +b); }));
}

template <class T>
struct Add {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    return binary<T>(i, v, [](T a, T b) { return a + b; });
  }
};

template <class T>
struct Subtract {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    return binary<T>(i, v, [](T a, T b) { return a - b; });
  }
};

template <class T>
struct Multiply {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    return binary<T>(i, v, [](T a, T b) { return a * b; });
  }
};

template <class T>
struct Divide {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    return binary<T>(i, v, [](T a, T b) { return a / b; });
  }
};

template <class T>
struct MultiplyAdd {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    const volatile T c = Reader<T>::in(i, v[2]);
    return binary<T>(i, v, [&](T a, T b) { return std::fma(a, b, +c); });
  }
};

enum ExtremeVariant : std::uint8_t { takes_minimum = 1, passes_nan = 2 };

/// One NaN gives the other operand, unless .NaN asks for NaN; -0 is less than +0.
template <class T>
struct Extreme {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    const T a = Reader<T>::in(i, v[0]);
    const T b = Reader<T>::in(i, v[1]);
    if (std::isnan(a) || std::isnan(b)) {
      if ((i.variant & passes_nan) != 0) return Reader<T>::out(i, a + b);
      return Reader<T>::out(i, std::isnan(a) ? b : a);
    }
    const bool a_is_less = a < b || (a == b && std::signbit(a));
    return Reader<T>::out(i, a_is_less == ((i.variant & takes_minimum) != 0) ? a : b);
  }
};

template <class T>
struct Absolute {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    return bits_of(std::fabs(Reader<T>::in(i, v[0])));
  }
};

template <class T>
struct Negate {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    return bits_of(-Reader<T>::in(i, v[0]));
  }
};

/// The sign of the first source, the magnitude of the second.
template <class T>
struct CopySign {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    return bits_of(std::copysign(Reader<T>::in(i, v[1]), Reader<T>::in(i, v[0])));
  }
};

template <class T>
struct Reciprocal {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    const volatile T a = Reader<T>::in(i, v[0]);
    return Reader<T>::out(i, rounded(i, [&]() -> T { return T{1} / a; }));
  }
};

template <class T>
struct SquareRoot {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    const volatile T a = Reader<T>::in(i, v[0]);
    return Reader<T>::out(i, rounded(i, [&]() -> T { return std::sqrt(+a); }));
  }
};

template <class T>
struct ReciprocalRoot {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    const double a = static_cast<double>(Reader<T>::in(i, v[0]));
    return Reader<T>::out(i, static_cast<T>(1 / std::sqrt(a)));
  }
};

/// rcp.approx.ftz.f64 keeps the upper half only.
std::uint64_t coarse_reciprocal(const Instruction&, const Values& v) {
  const double result = 1 / as_f64(v[0]);
  return std::isnan(result) ? result_bits(result) : bits_of(result) & 0xffffffff00000000ULL;
}

/// Approximations: the correctly rounded value stands for every value within a device's error bound.
template <double (*Function)(double)>
std::uint64_t approximate(const Instruction& i, const Values& v) {
  return output(i, static_cast<float>(Function(static_cast<double>(input(i, v[0])))));
}

template <template <class> class Operation>
Compute for_type(Type type) {
  return type == Type::f32 ? Operation<float>::apply : Operation<double>::apply;
}

bool decode_approximation(Mnemonic& mnemonic, Instruction& instruction) {
  const std::string& opcode = mnemonic.opcode();
  if (!mnemonic.take("approx") || instruction.type != Type::f32) return false;
  if (opcode == "ex2") return set_compute(instruction, approximate<std::exp2>, 1);
  if (opcode == "lg2") return set_compute(instruction, approximate<std::log2>, 1);
  if (opcode == "sin") return set_compute(instruction, approximate<std::sin>, 1);
  if (opcode == "cos") return set_compute(instruction, approximate<std::cos>, 1);
  if (opcode == "tanh") return set_compute(instruction, approximate<std::tanh>, 1);
  return false;
}

}  // namespace

bool decode_floating(Mnemonic& mnemonic, Instruction& instruction) {
  const std::string& opcode = mnemonic.opcode();
  const Type type = instruction.type;
  instruction.flush = mnemonic.take("ftz");
  instruction.saturate = mnemonic.take("sat");
  instruction.rounding = take_rounding(mnemonic);
  if (opcode == "add") return set_compute(instruction, for_type<Add>(type), 2);
  if (opcode == "sub") return set_compute(instruction, for_type<Subtract>(type), 2);
  if (opcode == "mul") return set_compute(instruction, for_type<Multiply>(type), 2);
  if (opcode == "fma" || opcode == "mad") return set_compute(instruction, for_type<MultiplyAdd>(type), 3);
  if (opcode == "div") {
    mnemonic.take_one({"approx", "full"});
    return set_compute(instruction, for_type<Divide>(type), 2);
  }
  if (opcode == "min" || opcode == "max") {
    instruction.variant = static_cast<std::uint8_t>((opcode == "min" ? takes_minimum : 0) |
                                                    (mnemonic.take("NaN") ? passes_nan : 0));
    return set_compute(instruction, for_type<Extreme>(type), 2);
  }
  if (opcode == "abs") return set_compute(instruction, for_type<Absolute>(type), 1);
  if (opcode == "neg") return set_compute(instruction, for_type<Negate>(type), 1);
  if (opcode == "copysign") return set_compute(instruction, for_type<CopySign>(type), 2);
  if (opcode == "rcp") {
    const bool coarse = mnemonic.take("approx") && type == Type::f64;
    return set_compute(instruction, coarse ? coarse_reciprocal : for_type<Reciprocal>(type), 1);
  }
  if (opcode == "sqrt") {
    mnemonic.take("approx");
    return set_compute(instruction, for_type<SquareRoot>(type), 1);
  }
  if (opcode == "rsqrt") {
    return mnemonic.take("approx") && set_compute(instruction, for_type<ReciprocalRoot>(type), 1);
  }
  return decode_approximation(mnemonic, instruction);
}

}  // namespace pregate::standin::ptx
