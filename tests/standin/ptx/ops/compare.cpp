// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <compare>
#include <string>

#include "tests/standin/ptx/block.hpp"
#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

/// In the order of the list in decode_test; `lo` .. `hs` are unsigned whatever the type says.
enum Test : std::uint8_t { eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan, lo, ls, hi, hs };
enum Combine : std::uint8_t { plain, with_and, with_or, with_xor };

bool holds(std::uint8_t test, std::partial_ordering order) {
  const bool unordered = order == std::partial_ordering::unordered;
  switch (test) {
    case eq:
      return std::is_eq(order);
    case ne:
      return std::is_neq(order) && !unordered;
    case lt:
    case lo:
      return std::is_lt(order);
    case le:
    case ls:
      return std::is_lteq(order);
    case gt:
    case hi:
      return std::is_gt(order);
    case ge:
    case hs:
      return std::is_gteq(order);
    case equ:
      return unordered || std::is_eq(order);
    case neu:
      return unordered || std::is_neq(order);
    case ltu:
      return unordered || std::is_lt(order);
    case leu:
      return unordered || std::is_lteq(order);
    case gtu:
      return unordered || std::is_gt(order);
    case geu:
      return unordered || std::is_gteq(order);
    case num:
      return !unordered;
    default:
      return unordered;
  }
}

std::partial_ordering order_of(const Instruction& i, Type type, std::uint64_t a, std::uint64_t b) {
  const auto floats = [&](float value) { return i.flush ? flushed(value) : value; };
  switch (type) {
    case Type::f64:
      return as_f64(a) <=> as_f64(b);
    case Type::f32:
      return floats(as_f32(a)) <=> floats(as_f32(b));
    case Type::f16:
    case Type::f16x2:
      return decode(static_cast<std::uint16_t>(a), f16_format) <=>
             decode(static_cast<std::uint16_t>(b), f16_format);
    case Type::bf16:
    case Type::bf16x2:
      return decode(static_cast<std::uint16_t>(a), bf16_format) <=>
             decode(static_cast<std::uint16_t>(b), bf16_format);
    default:
      break;
  }
  const std::size_t unused = 64 - 8 * size_of(type);
  a <<= unused;
  b <<= unused;
  if (is_signed(type) && i.variant < lo) return static_cast<std::int64_t>(a) <=> static_cast<std::int64_t>(b);
  return a <=> b;
}

bool decode_test(Mnemonic& mnemonic, Instruction& instruction) {
  const int test = mnemonic.take_one({"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu",
                                      "geu", "num", "nan", "lo", "ls", "hi", "hs"});
  const int combine = mnemonic.take_one({"and", "or", "xor"});
  instruction.flush = mnemonic.take("ftz");
  instruction.variant = static_cast<std::uint8_t>(test);
  instruction.combine = static_cast<std::uint8_t>(combine + 1);
  return test >= 0;
}

bool combined(const Instruction& i, bool result, bool other) {
  switch (i.combine) {
    case with_and:
      return result && other;
    case with_or:
      return result || other;
    case with_xor:
      return result != other;
    default:
      return result;
  }
}

void set_predicates(BlockRun& block, Thread& thread, const Instruction& i) {
  const bool result = holds(
      i.variant, order_of(i, i.type, block.value(thread, i.operands[1]), block.value(thread, i.operands[2])));
  const bool other = i.combine != plain && (block.value(thread, i.operands[3]) & 1U) != 0;
  const Operand& destination = i.operands[0];
  if (destination.kind != Operand::Kind::vector) {
    block.store(thread, destination, combined(i, result, other) ? 1 : 0);
    return;
  }
  block.store(thread, destination.elements[0], combined(i, result, other) ? 1 : 0);
  block.store(thread, destination.elements[1], combined(i, !result, other) ? 1 : 0);
}

std::uint64_t true_value(Type type) {
  switch (type) {
    case Type::f32:
      return bits_of(1.0F);
    case Type::f16:
    case Type::f16x2:
      return 0x3c00;
    case Type::bf16:
    case Type::bf16x2:
      return 0x3f80;
    default:
      return 0xffffffff;
  }
}

std::uint64_t set_value(const Instruction& i, const Values& v) {
  const bool packed = i.from == Type::f16x2 || i.from == Type::bf16x2;
  std::uint64_t result = holds(i.variant, order_of(i, i.from, v[0], v[1])) ? true_value(i.type) : 0;
  if (packed && holds(i.variant, order_of(i, i.from, v[0] >> 16, v[1] >> 16))) {
    result |= true_value(i.type) << 16;
  }
  return result;
}

std::uint64_t select_by_predicate(const Instruction&, const Values& v) {
  return (v[2] & 1U) != 0 ? v[0] : v[1];
}

std::uint64_t select_by_sign(const Instruction& i, const Values& v) {
  const bool first = i.from == Type::f32 ? as_f32(v[2]) >= 0 : static_cast<std::int32_t>(v[2]) >= 0;
  return first ? v[0] : v[1];
}

enum Class : std::uint8_t { finite, infinite, number, notanumber, normal, subnormal };

template <class T>
bool is_in_class(std::uint8_t wanted, T value) {
  switch (wanted) {
    case finite:
      return std::isfinite(value);
    case infinite:
      return std::isinf(value);
    case number:
      return !std::isnan(value);
    case notanumber:
      return std::isnan(value);
    case normal:
      return std::isnormal(value);
    default:
      return std::fpclassify(value) == FP_SUBNORMAL;
  }
}

std::uint64_t test_class(const Instruction& i, const Values& v) {
  return (i.type == Type::f32 ? is_in_class(i.variant, as_f32(v[0])) : is_in_class(i.variant, as_f64(v[0])))
             ? 1
             : 0;
}

bool decode_setp(Mnemonic& mnemonic, Instruction& instruction) {
  if (!decode_test(mnemonic, instruction)) return false;
  instruction.type = mnemonic.take_type();
  const Type type = instruction.type;
  if (size_of(type) < 2 || type == Type::f16x2 || type == Type::bf16x2) return false;
  if (instruction.operands.size() != (instruction.combine == plain ? 3U : 4U)) return false;
  const Operand& destination = instruction.operands[0];
  if (destination.kind == Operand::Kind::vector && destination.elements.size() != 2) return false;
  instruction.execute = set_predicates;
  return true;
}

bool decode_set(Mnemonic& mnemonic, Instruction& instruction) {
  if (!decode_test(mnemonic, instruction) || instruction.combine != plain) return false;
  instruction.type = mnemonic.take_type();
  instruction.from = mnemonic.take_type();
  const bool packed = instruction.from == Type::f16x2 || instruction.from == Type::bf16x2;
  if (packed && instruction.type != instruction.from) return false;
  const bool known = instruction.type == Type::u32 || instruction.type == Type::s32 ||
                     instruction.type == Type::f32 || instruction.type == instruction.from;
  return known && size_of(instruction.from) >= 2 && set_compute(instruction, set_value, 2);
}

}  // namespace

bool decode_compare(Mnemonic& mnemonic, Instruction& instruction) {
  const std::string& opcode = mnemonic.opcode();
  if (opcode == "setp") return decode_setp(mnemonic, instruction);
  if (opcode == "set") return decode_set(mnemonic, instruction);
  if (opcode == "testp") {
    const int wanted =
        mnemonic.take_one({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
    instruction.type = mnemonic.take_type();
    instruction.variant = static_cast<std::uint8_t>(wanted);
    const bool known = instruction.type == Type::f32 || instruction.type == Type::f64;
    return wanted >= 0 && known && set_compute(instruction, test_class, 1);
  }
  instruction.type = mnemonic.take_type();
  if (instruction.type == Type::none) return false;
  if (opcode == "selp") return set_compute(instruction, select_by_predicate, 3);
  instruction.from = mnemonic.take_type();
  const bool known = instruction.from == Type::s32 || instruction.from == Type::f32;
  return known && set_compute(instruction, select_by_sign, 3);
}

}  // namespace pregate::standin::ptx
