// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "tests/standin/ptx/block.hpp"
#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

void branch(BlockRun&, Thread& thread, const Instruction& i) { thread.pc = i.target; }

/// Copies that nobody waited for are lost: the block's shared memory goes with it.
void leave(BlockRun&, Thread& thread, const Instruction&) { thread.state = ThreadState::done; }

void do_nothing(BlockRun&, Thread&, const Instruction&) {}

void trap(BlockRun& block, Thread& thread, const Instruction& i) {
  block.fail(thread, i, "trap", "trap instruction");
}

void wait_at_barrier(BlockRun& block, Thread& thread, const Instruction& i) {
  block.wait_at_barrier(thread, i);
}

void wait_for_warp(BlockRun& block, Thread& thread, const Instruction& i) {
  block.wait_for_warp(thread, i, static_cast<std::uint32_t>(block.value(thread, i.operands[0])));
}

enum BarrierReduction : std::uint8_t { none, count_true, all_true, any_true };

bool decode_barrier(Mnemonic& mnemonic, Instruction& instruction) {
  const std::size_t count = instruction.operands.size();
  if (mnemonic.take("warp")) {
    instruction.execute = wait_for_warp;
    instruction.combine = static_cast<std::uint8_t>(WarpOperation::barrier);
    return mnemonic.take("sync") && count == 1;
  }
  mnemonic.take("cta");
  mnemonic.take("aligned");
  instruction.execute = wait_at_barrier;
  // A second number would be a count of threads: a barrier of a part of the block, which is not modelled.
  if (mnemonic.take("sync")) return count == 1;
  if (!mnemonic.take("red")) return false;
  const int reduction = mnemonic.take_one({"popc", "and", "or"});
  instruction.variant = static_cast<std::uint8_t>(reduction + 1);
  const Type type = mnemonic.take_type();
  return reduction >= 0 && type == (reduction == 0 ? Type::u32 : Type::pred) && count == 3;
}

}  // namespace

void finish_barrier(BlockRun& block, const std::vector<Thread*>& threads) {
  const Instruction& i = *threads.front()->waiting;
  if (i.variant == none) return;
  std::uint64_t agreeing = 0;
  for (Thread* thread : threads) agreeing += block.value(*thread, i.operands[2]) & 1U;
  std::uint64_t result = agreeing;
  if (i.variant == all_true) result = agreeing == threads.size() ? 1 : 0;
  if (i.variant == any_true) result = agreeing > 0 ? 1 : 0;
  for (Thread* thread : threads) block.store(*thread, i.operands[0], result);
}

bool decode_control(Mnemonic& mnemonic, Instruction& instruction) {
  const std::string& opcode = mnemonic.opcode();
  const std::size_t count = instruction.operands.size();
  if (opcode == "bra") {
    mnemonic.take("uni");
    instruction.execute = branch;
    return count == 1 && instruction.operands[0].kind == Operand::Kind::label;
  }
  if (opcode == "ret" || opcode == "exit") {
    mnemonic.take("uni");
    instruction.execute = leave;
    return count == 0;
  }
  if (opcode == "bar" || opcode == "barrier") return decode_barrier(mnemonic, instruction);
  if (opcode == "trap") {
    instruction.execute = trap;
    return count == 0;
  }
  instruction.execute = do_nothing;
  if (opcode == "nanosleep") return mnemonic.take_type() == Type::u32;
  // Memory fences: the interpreter's memory is sequentially consistent.
  if (opcode == "membar") return mnemonic.take_one({"cta", "gl", "sys"}) >= 0 && count == 0;
  if (opcode == "fence") {
    take_memory_order(mnemonic);
    return count == 0;
  }
  return false;
}

}  // namespace pregate::standin::ptx
