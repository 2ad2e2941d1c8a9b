// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>

#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

__extension__ typedef __int128 Wide;

template <class T>
std::uint64_t widened(T value) {
  return static_cast<std::uint64_t>(value);
}

// Sums and low products wrap; a register keeps the bits that it can hold.
std::uint64_t add(const Instruction&, const Values& v) { return v[0] + v[1]; }
std::uint64_t subtract(const Instruction&, const Values& v) { return v[0] - v[1]; }
std::uint64_t multiply_low(const Instruction&, const Values& v) { return v[0] * v[1]; }
std::uint64_t mad_low(const Instruction&, const Values& v) { return v[0] * v[1] + v[2]; }
std::uint64_t negate(const Instruction&, const Values& v) { return 0 - v[0]; }

std::uint64_t limited_to_s32(std::int64_t value) {
  using Limits = std::numeric_limits<std::int32_t>;
  return widened(std::clamp<std::int64_t>(value, Limits::min(), Limits::max()));
}

std::uint64_t add_saturated(const Instruction&, const Values& v) {
  return limited_to_s32(std::int64_t{static_cast<std::int32_t>(v[0])} + static_cast<std::int32_t>(v[1]));
}

std::uint64_t subtract_saturated(const Instruction&, const Values& v) {
  return limited_to_s32(std::int64_t{static_cast<std::int32_t>(v[0])} - static_cast<std::int32_t>(v[1]));
}

template <class T>
struct MultiplyWide {
  static std::uint64_t apply(const Instruction&, const Values& v) {
    return static_cast<std::uint64_t>(Wide{static_cast<T>(v[0])} * Wide{static_cast<T>(v[1])});
  }
};

template <class T>
struct MadWide {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    return MultiplyWide<T>::apply(i, v) + v[2];
  }
};

template <class T>
struct MultiplyHigh {
  static std::uint64_t apply(const Instruction&, const Values& v) {
    // An unsigned 64-bit product passes the signed 128 bits, but its upper half is still right after
    // truncation.
    __extension__ typedef unsigned __int128 Pattern;
    const Pattern product =
        static_cast<Pattern>(Wide{static_cast<T>(v[0])}) * static_cast<Pattern>(Wide{static_cast<T>(v[1])});
    return static_cast<std::uint64_t>(product >> (8 * sizeof(T)));
  }
};

template <class T>
struct MadHigh {
  static std::uint64_t apply(const Instruction& i, const Values& v) {
    return MultiplyHigh<T>::apply(i, v) + v[2];
  }
};

/// Division by zero gives an unspecified value in PTX; all ones is what devices give.
template <class T>
struct Divide {
  static std::uint64_t apply(const Instruction&, const Values& v) {
    const T divisor = static_cast<T>(v[1]);
    if (divisor == 0) return ~0ULL;
    if constexpr (std::is_signed_v<T>) {
      if (divisor == -1) return 0 - v[0];  // the most negative number wraps
    }
    return widened(static_cast<T>(static_cast<T>(v[0]) / divisor));
  }
};

template <class T>
struct Remainder {
  static std::uint64_t apply(const Instruction&, const Values& v) {
    const T divisor = static_cast<T>(v[1]);
    if (divisor == 0) return v[0];
    if constexpr (std::is_signed_v<T>) {
      if (divisor == -1) return 0;
    }
    return widened(static_cast<T>(static_cast<T>(v[0]) % divisor));
  }
};

template <class T>
struct Minimum {
  static std::uint64_t apply(const Instruction&, const Values& v) {
    return widened(std::min(static_cast<T>(v[0]), static_cast<T>(v[1])));
  }
};

template <class T>
struct Maximum {
  static std::uint64_t apply(const Instruction&, const Values& v) {
    return widened(std::max(static_cast<T>(v[0]), static_cast<T>(v[1])));
  }
};

template <class T>
struct Absolute {
  static std::uint64_t apply(const Instruction&, const Values& v) {
    return static_cast<T>(v[0]) < T{0} ? 0 - v[0] : v[0];
  }
};

template <template <class> class Operation>
Compute for_type(Type type) {
  switch (type) {
    case Type::u16:
      return Operation<std::uint16_t>::apply;
    case Type::s16:
      return Operation<std::int16_t>::apply;
    case Type::u32:
      return Operation<std::uint32_t>::apply;
    case Type::s32:
      return Operation<std::int32_t>::apply;
    case Type::u64:
      return Operation<std::uint64_t>::apply;
    case Type::s64:
      return Operation<std::int64_t>::apply;
    default:
      return nullptr;
  }
}

bool decode_product(Mnemonic& mnemonic, Instruction& instruction, bool with_sum) {
  const Type type = instruction.type;
  const std::size_t sources = with_sum ? 3 : 2;
  if (mnemonic.take("lo")) return set_compute(instruction, with_sum ? mad_low : multiply_low, sources);
  if (mnemonic.take("hi")) {
    return set_compute(instruction, with_sum ? for_type<MadHigh>(type) : for_type<MultiplyHigh>(type),
                       sources);
  }
  if (!mnemonic.take("wide") || size_of(type) == 8) return false;
  return set_compute(instruction, with_sum ? for_type<MadWide>(type) : for_type<MultiplyWide>(type), sources);
}

}  // namespace

bool decode_integer(Mnemonic& mnemonic, Instruction& instruction) {
  const std::string& opcode = mnemonic.opcode();
  const Type type = instruction.type;
  if (for_type<Minimum>(type) == nullptr) return false;
  if (opcode == "add" || opcode == "sub") {
    if (mnemonic.take("sat")) {
      if (type != Type::s32) return false;
      return set_compute(instruction, opcode == "add" ? add_saturated : subtract_saturated, 2);
    }
    return set_compute(instruction, opcode == "add" ? add : subtract, 2);
  }
  if (opcode == "mul") return decode_product(mnemonic, instruction, false);
  if (opcode == "mad") return decode_product(mnemonic, instruction, true);
  if (opcode == "div") return set_compute(instruction, for_type<Divide>(type), 2);
  if (opcode == "rem") return set_compute(instruction, for_type<Remainder>(type), 2);
  if (opcode == "min") return set_compute(instruction, for_type<Minimum>(type), 2);
  if (opcode == "max") return set_compute(instruction, for_type<Maximum>(type), 2);
  if (opcode == "abs") return is_signed(type) && set_compute(instruction, for_type<Absolute>(type), 1);
  if (opcode == "neg") return is_signed(type) && set_compute(instruction, negate, 1);
  return false;
}

}  // namespace pregate::standin::ptx
