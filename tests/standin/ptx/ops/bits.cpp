// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <string>

#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

unsigned width_of(const Instruction& i) { return static_cast<unsigned>(8 * size_of(i.type)); }

std::uint64_t mask_of(unsigned bits) { return bits >= 64 ? ~0ULL : (1ULL << bits) - 1; }

/// The operand as the instruction's type reads it: sign-extended when the type is signed.
std::uint64_t extended(const Instruction& i, std::uint64_t value) {
  const unsigned unused = 64 - width_of(i);
  if (!is_signed(i.type)) return value & mask_of(width_of(i));
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << unused) >> unused);
}

std::uint64_t bit_and(const Instruction&, const Values& v) { return v[0] & v[1]; }
std::uint64_t bit_or(const Instruction&, const Values& v) { return v[0] | v[1]; }
std::uint64_t bit_xor(const Instruction&, const Values& v) { return v[0] ^ v[1]; }

std::uint64_t bit_not(const Instruction& i, const Values& v) {
  return i.type == Type::pred ? (v[0] & 1U) ^ 1U : ~v[0];
}

std::uint64_t logical_not(const Instruction& i, const Values& v) {
  return (v[0] & mask_of(width_of(i))) == 0 ? 1 : 0;
}

// A shift by the width or more gives zero (or the sign); it does not wrap.
std::uint64_t shift_left(const Instruction& i, const Values& v) {
  const std::uint64_t count = v[1] & mask_of(32);
  return count >= width_of(i) ? 0 : v[0] << count;
}

std::uint64_t shift_right(const Instruction& i, const Values& v) {
  const std::uint64_t count = std::min<std::uint64_t>(v[1] & mask_of(32), width_of(i));
  const std::uint64_t value = extended(i, v[0]);
  if (is_signed(i.type)) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value) >> std::min<std::uint64_t>(count, 63));
  }
  return count >= width_of(i) ? 0 : value >> count;
}

enum FunnelVariant : std::uint8_t { funnel_left = 1, funnel_wraps = 2 };

std::uint64_t funnel_shift(const Instruction& i, const Values& v) {
  const std::uint64_t both = (v[0] & mask_of(32)) | (v[1] << 32);
  const auto asked = static_cast<std::uint32_t>(v[2]);
  const std::uint32_t count = (i.variant & funnel_wraps) != 0 ? asked & 31U : std::min(asked, 32U);
  return (i.variant & funnel_left) != 0 ? (both << count) >> 32 : both >> count;
}

std::uint64_t permute_bytes(const Instruction&, const Values& v) {
  const std::uint64_t bytes = (v[0] & mask_of(32)) | (v[1] << 32);
  std::uint64_t result = 0;
  for (unsigned place = 0; place < 4; ++place) {
    const std::uint64_t selector = (v[2] >> (4 * place)) & 15U;
    std::uint64_t byte = (bytes >> (8 * (selector & 7U))) & 255U;
    if ((selector & 8U) != 0) byte = (byte & 128U) != 0 ? 255 : 0;  // replicates the sign
    result |= byte << (8 * place);
  }
  return result;
}

std::uint64_t extract_field(const Instruction& i, const Values& v) {
  const auto position = static_cast<unsigned>(v[1] & 255U);
  const auto length = static_cast<unsigned>(v[2] & 255U);
  const unsigned width = width_of(i);
  const std::uint64_t value = v[0] & mask_of(width);
  const std::uint64_t field = position >= width ? 0 : (value >> position) & mask_of(length);
  if (!is_signed(i.type) || length == 0) return field;
  const unsigned sign_at = std::min(position + length - 1, width - 1);
  const bool negative = ((value >> sign_at) & 1U) != 0;
  const unsigned kept = sign_at < position ? 0 : sign_at - position + 1;
  return negative ? field | ~mask_of(kept) : field;
}

std::uint64_t insert_field(const Instruction& i, const Values& v) {
  const auto position = static_cast<unsigned>(v[2] & 255U);
  const auto length = static_cast<unsigned>(v[3] & 255U);
  if (position >= width_of(i)) return v[1];
  const std::uint64_t mask = mask_of(length) << position;
  return (v[1] & ~mask) | ((v[0] << position) & mask);
}

/// The position of the highest bit that differs from the sign; all ones when there is none.
std::uint64_t find_highest(const Instruction& i, const Values& v) {
  std::uint64_t value = extended(i, v[0]);
  if (is_signed(i.type) && static_cast<std::int64_t>(value) < 0) value = ~value;
  if (value == 0) return ~0ULL;
  const unsigned position = 63U - static_cast<unsigned>(std::countl_zero(value));
  return i.variant == 1 ? width_of(i) - 1 - position : position;
}

std::uint64_t reverse_bits(const Instruction& i, const Values& v) {
  std::uint64_t result = 0;
  for (unsigned bit = 0; bit < width_of(i); ++bit) result = (result << 1) | ((v[0] >> bit) & 1U);
  return result;
}

std::uint64_t leading_zeros(const Instruction& i, const Values& v) {
  const std::uint64_t value = v[0] & mask_of(width_of(i));
  return static_cast<std::uint64_t>(std::countl_zero(value)) - (64 - width_of(i));
}

std::uint64_t count_ones(const Instruction& i, const Values& v) {
  return static_cast<std::uint64_t>(std::popcount(v[0] & mask_of(width_of(i))));
}

/// Any function of three bits: bit (a << 2 | b << 1 | c) of the table.
std::uint64_t three_input_logic(const Instruction&, const Values& v) {
  std::uint64_t result = 0;
  for (unsigned entry = 0; entry < 8; ++entry) {
    if (((v[3] >> entry) & 1U) == 0) continue;
    result |= ((entry & 4U) != 0 ? v[0] : ~v[0]) & ((entry & 2U) != 0 ? v[1] : ~v[1]) &
              ((entry & 1U) != 0 ? v[2] : ~v[2]);
  }
  return result;
}

std::uint64_t bit_mask(const Instruction& i, const Values& v) {
  const bool wraps = i.variant == 1;
  const std::uint64_t position = wraps ? v[0] & 31U : v[0] & mask_of(32);
  const std::uint64_t length = wraps ? v[1] & 31U : std::min<std::uint64_t>(v[1] & mask_of(32), 32);
  return position >= 32 ? 0 : mask_of(static_cast<unsigned>(length)) << position;
}

bool decode_logic(const std::string& opcode, Instruction& instruction) {
  const Type type = instruction.type;
  if (type != Type::pred && type != Type::b16 && type != Type::b32 && type != Type::b64) return false;
  if (opcode == "and") return set_compute(instruction, bit_and, 2);
  if (opcode == "or") return set_compute(instruction, bit_or, 2);
  if (opcode == "xor") return set_compute(instruction, bit_xor, 2);
  if (opcode == "not") return set_compute(instruction, bit_not, 1);
  return type != Type::pred && set_compute(instruction, logical_not, 1);
}

bool decode_funnel(Mnemonic& mnemonic, Instruction& instruction) {
  const int direction = mnemonic.take_one({"r", "l"});
  const int limit = mnemonic.take_one({"clamp", "wrap"});
  if (direction < 0 || limit < 0 || instruction.type != Type::b32) return false;
  instruction.variant =
      static_cast<std::uint8_t>((direction == 1 ? funnel_left : 0) | (limit == 1 ? funnel_wraps : 0));
  return set_compute(instruction, funnel_shift, 3);
}

}  // namespace

bool decode_bits(Mnemonic& mnemonic, Instruction& instruction) {
  const std::string& opcode = mnemonic.opcode();
  instruction.type = mnemonic.take_type();
  const std::size_t size = size_of(instruction.type);
  const bool word_or_longer = size >= 4 && !is_floating(instruction.type);
  if (opcode == "shl") return size >= 2 && set_compute(instruction, shift_left, 2);
  if (opcode == "shr") return size >= 2 && set_compute(instruction, shift_right, 2);
  if (opcode == "shf") return decode_funnel(mnemonic, instruction);
  if (opcode == "prmt") return instruction.type == Type::b32 && set_compute(instruction, permute_bytes, 3);
  if (opcode == "bfe") return word_or_longer && set_compute(instruction, extract_field, 3);
  if (opcode == "bfi") return word_or_longer && set_compute(instruction, insert_field, 4);
  if (opcode == "brev") return word_or_longer && set_compute(instruction, reverse_bits, 1);
  if (opcode == "clz") return word_or_longer && set_compute(instruction, leading_zeros, 1);
  if (opcode == "popc") return word_or_longer && set_compute(instruction, count_ones, 1);
  if (opcode == "lop3")
    return instruction.type == Type::b32 && set_compute(instruction, three_input_logic, 4);
  if (opcode == "bfind") {
    instruction.variant = mnemonic.take("shiftamt") ? 1 : 0;
    return word_or_longer && set_compute(instruction, find_highest, 1);
  }
  if (opcode == "bmsk") {
    const int limit = mnemonic.take_one({"clamp", "wrap"});
    if (limit < 0 || instruction.type != Type::b32) return false;
    instruction.variant = static_cast<std::uint8_t>(limit);
    return set_compute(instruction, bit_mask, 2);
  }
  return decode_logic(opcode, instruction);
}

}  // namespace pregate::standin::ptx
