// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstring>
#include <string>

#include "tests/standin/ptx/block.hpp"
#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

std::uint64_t exchange(const Instruction&, const Values& v) { return v[1]; }

std::uint64_t compare_and_swap(const Instruction& i, const Values& v) {
  const std::uint64_t mask = ~0ULL >> (64 - 8 * size_of(i.type));
  return v[0] == (v[1] & mask) ? v[2] : v[0];
}

std::uint64_t increment(const Instruction&, const Values& v) {
  return v[0] >= (v[1] & 0xffffffffULL) ? 0 : v[0] + 1;
}

std::uint64_t decrement(const Instruction&, const Values& v) {
  const std::uint64_t limit = v[1] & 0xffffffffULL;
  return v[0] == 0 || v[0] > limit ? limit : v[0] - 1;
}

/// `atom d, [a], b {, c}` and `red [a], b`: combine 1 when there is a destination. The compute function sees
/// the old value as its first source.
void update(BlockRun& block, Thread& thread, const Instruction& i) {
  const std::size_t first = i.combine;
  Space space = i.space;
  const std::uint64_t at = block.address(thread, i.operands[first], space);
  if (space == Space::param || space == Space::local) {
    block.fail(thread, i, "bounds", "atomic on memory that is neither global nor shared");
  }
  const std::size_t size = size_of(i.type);
  block.memory(thread, i, space, at, size, /*write=*/false, Ordering::ordered);
  std::byte* bytes = block.memory(thread, i, space, at, size, /*write=*/true, Ordering::ordered);
  Values values{};
  std::memcpy(values.data(), bytes, size);
  const std::uint64_t old = values[0];
  for (std::size_t s = first + 1; s < i.operands.size(); ++s) {
    values[s - first] = block.value(thread, i.operands[s]);
  }
  const std::uint64_t updated = i.compute(i, values);
  std::memcpy(bytes, &updated, size);
  if (first == 1) block.store(thread, i.operands[0], old);
}

/// The compute function of an ordinary instruction such as "add.f32", with the options that it sets.
bool borrow_compute(const std::string& text, Instruction& instruction) {
  Mnemonic mnemonic(text);
  Instruction plain;
  plain.operands.resize(3);
  if (!decode(mnemonic, plain)) return false;
  instruction.compute = plain.compute;
  instruction.variant = plain.variant;
  return true;
}

}  // namespace

bool decode_atomic(Mnemonic& mnemonic, Instruction& instruction) {
  instruction.relaxed = take_memory_order(mnemonic);
  instruction.space = take_space(mnemonic);
  static constexpr std::array<std::string_view, 10> names = {"exch", "cas", "inc", "dec", "add",
                                                             "min",  "max", "and", "or",  "xor"};
  const int operation = mnemonic.take_one(names);
  if (operation < 0) return false;
  mnemonic.take("noftz");
  instruction.type = mnemonic.take_type();
  if (size_of(instruction.type) < 2 || instruction.type == Type::pred) return false;
  const bool has_result = mnemonic.opcode() == "atom";
  instruction.combine = has_result ? 1 : 0;
  const std::size_t sources = operation == 1 ? 2 : 1;
  if (instruction.operands.size() != instruction.combine + 1 + sources) return false;
  if (instruction.operands[instruction.combine].kind != Operand::Kind::address) return false;
  instruction.execute = update;
  switch (operation) {
    case 0:
      instruction.compute = exchange;
      return true;
    case 1:
      instruction.compute = compare_and_swap;
      return true;
    case 2:
      instruction.compute = increment;
      return instruction.type == Type::u32;
    case 3:
      instruction.compute = decrement;
      return instruction.type == Type::u32;
    default:
      break;
  }
  const std::string name(names.at(static_cast<std::size_t>(operation)));
  // Spelled with the type of the ordinary instruction: atom.add.f16x2 is add.f16x2.
  static constexpr std::array<std::string_view, 15> types = {"b16",   "b32",  "b64",    "u16", "u32",
                                                             "u64",   "s16",  "s32",    "s64", "f16",
                                                             "f16x2", "bf16", "bf16x2", "f32", "f64"};
  for (const std::string_view type : types) {
    if (type_named(type) == instruction.type)
      return borrow_compute(name + "." + std::string(type), instruction);
  }
  return false;
}

}  // namespace pregate::standin::ptx
