// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "tests/standin/ptx/block.hpp"
#include "tests/standin/ptx/ops/address.hpp"
#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

std::uint64_t same(const Instruction&, const Values& v) { return v[0]; }

std::uint64_t part_mask(std::size_t bits) { return bits >= 64 ? ~0ULL : (1ULL << bits) - 1; }

void unpack(BlockRun& block, Thread& thread, const Instruction& i) {
  const std::uint64_t whole = block.value(thread, i.operands[1]);
  const auto& parts = i.operands[0].elements;
  const std::size_t bits = 8 * size_of(i.type) / parts.size();
  for (std::size_t p = 0; p < parts.size(); ++p) {
    block.store(thread, parts[p], (whole >> (bits * p)) & part_mask(bits));
  }
}

void pack(BlockRun& block, Thread& thread, const Instruction& i) {
  const auto& parts = i.operands[1].elements;
  const std::size_t bits = 8 * size_of(i.type) / parts.size();
  std::uint64_t whole = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    whole |= (block.value(thread, parts[p]) & part_mask(bits)) << (bits * p);
  }
  block.store(thread, i.operands[0], whole);
}

std::uint64_t convert_address(const Instruction& i, const Values& v) {
  return i.to_space ? space_address(i.space, v[0]) : generic_address(i.space, v[0]);
}

bool divides(const Operand& vector, Type type) {
  const std::size_t parts = vector.elements.size();
  return (parts == 2 || parts == 4) && size_of(type) % parts == 0 && size_of(type) >= parts;
}

}  // namespace

bool decode_move(Mnemonic& mnemonic, Instruction& instruction) {
  if (instruction.operands.size() != 2) return false;
  if (mnemonic.opcode() == "cvta") {
    instruction.to_space = mnemonic.take("to");
    instruction.space = take_space(mnemonic);
    instruction.type = mnemonic.take_type();
    if (instruction.space == Space::generic || instruction.space == Space::param) return false;
    return instruction.type == Type::u64 && set_compute(instruction, convert_address, 1);
  }
  instruction.type = mnemonic.take_type();
  if (instruction.type == Type::none) return false;
  const Operand& to = instruction.operands[0];
  const Operand& from = instruction.operands[1];
  // An address in .param space has no generic form here.
  if (from.kind == Operand::Kind::address && from.space == Space::param) return false;
  if (to.kind == Operand::Kind::vector) {
    instruction.execute = unpack;
    return divides(to, instruction.type);
  }
  if (from.kind == Operand::Kind::vector) {
    instruction.execute = pack;
    return divides(from, instruction.type);
  }
  return set_compute(instruction, same, 1);
}

}  // namespace pregate::standin::ptx
