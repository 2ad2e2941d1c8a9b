// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <string>

#include "tests/standin/ptx/block.hpp"
#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

std::size_t element_count(const Operand& operand) {
  return operand.kind == Operand::Kind::vector ? operand.elements.size() : 1;
}

const Operand& element(const Operand& operand, std::size_t index) {
  return operand.kind == Operand::Kind::vector ? operand.elements[index] : operand;
}

Ordering ordering_of(const Instruction& i) { return i.relaxed ? Ordering::ordered : Ordering::plain; }

void load(BlockRun& block, Thread& thread, const Instruction& i) {
  Space space = i.space;
  const std::uint64_t at = block.address(thread, i.operands[1], space);
  const std::size_t size = size_of(i.type);
  const std::size_t count = element_count(i.operands[0]);
  const std::byte* bytes = space == Space::param ? block.parameter(thread, i, at, size * count)
                                                 : block.memory(thread, i, space, at, size * count,
                                                                /*write=*/false, ordering_of(i));
  for (std::size_t e = 0; e < count; ++e) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes + e * size, size);
    const std::size_t unused = 64 - 8 * size;
    if (is_signed(i.type)) {
      value = static_cast<std::uint64_t>(static_cast<std::int64_t>(value << unused) >> unused);
    }
    block.store(thread, element(i.operands[0], e), value);
  }
}

void save(BlockRun& block, Thread& thread, const Instruction& i) {
  Space space = i.space;
  const std::uint64_t at = block.address(thread, i.operands[0], space);
  const std::size_t size = size_of(i.type);
  const std::size_t count = element_count(i.operands[1]);
  if (space == Space::param) block.fail(thread, i, "bounds", "write to the kernel's parameters");
  std::byte* bytes = block.memory(thread, i, space, at, size * count, /*write=*/true, ordering_of(i));
  for (std::size_t e = 0; e < count; ++e) {
    const std::uint64_t value = block.value(thread, element(i.operands[1], e));
    std::memcpy(bytes + e * size, &value, size);
  }
}

void do_nothing(BlockRun&, Thread&, const Instruction&) {}

/// Cache operators and eviction priorities change speed only.
void take_cache_hints(Mnemonic& mnemonic) {
  mnemonic.take("nc");
  mnemonic.take_one({"ca", "cg", "cs", "lu", "cv", "wb", "wt"});
  mnemonic.take_one(
      {"L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last", "L1::no_allocate"});
  mnemonic.take_one({"L2::evict_normal", "L2::evict_first", "L2::evict_last"});
  mnemonic.take_one({"L2::64B", "L2::128B", "L2::256B"});
}

}  // namespace

bool decode_memory(Mnemonic& mnemonic, Instruction& instruction) {
  if (mnemonic.opcode() == "prefetch" || mnemonic.opcode() == "prefetchu") {
    instruction.space = take_space(mnemonic);
    instruction.execute = do_nothing;
    return mnemonic.take_one({"L1", "L2"}) >= 0;
  }
  instruction.relaxed = take_memory_order(mnemonic);
  instruction.space = take_space(mnemonic);
  take_cache_hints(mnemonic);
  const int vector = mnemonic.take_one({"v2", "v4", "v8"});
  instruction.type = mnemonic.take_type();
  if (instruction.operands.size() != 2 || size_of(instruction.type) == 0 || instruction.type == Type::pred) {
    return false;
  }
  const bool is_load = mnemonic.opcode() != "st";
  const Operand& at = instruction.operands[is_load ? 1 : 0];
  const Operand& values = instruction.operands[is_load ? 0 : 1];
  const std::size_t expected = vector < 0 ? 1U : 2U << static_cast<unsigned>(vector);
  if (at.kind != Operand::Kind::address || element_count(values) != expected) return false;
  instruction.execute = is_load ? load : save;
  return true;
}

}  // namespace pregate::standin::ptx
