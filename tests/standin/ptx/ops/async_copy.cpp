// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <string>

#include "tests/standin/ptx/block.hpp"
#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

void arrive(BlockRun& block, Thread& thread, const AsyncCopy& copy) {
  std::byte* to = block.memory(thread, *copy.instruction, Space::shared, copy.to, copy.size, /*write=*/true,
                               Ordering::plain);
  std::memset(to, 0, copy.size);
  if (copy.filled == 0) return;
  // Read in words: only as much as asked for, and each word is aligned.
  for (std::uint32_t done = 0; done < copy.filled; done += 4) {
    const std::byte* from = block.memory(thread, *copy.instruction, Space::global, copy.from + done, 4,
                                         /*write=*/false, Ordering::plain);
    std::memcpy(to + done, from, std::min(4U, copy.filled - done));
  }
}

/// The bytes arrive when a wait asks for them and not before, so a missing wait shows.
void start_copy(BlockRun& block, Thread& thread, const Instruction& i) {
  Space shared = Space::shared;
  Space global = Space::global;
  AsyncCopy copy;
  copy.to = block.address(thread, i.operands[0], shared);
  copy.from = block.address(thread, i.operands[1], global);
  copy.size = static_cast<std::uint32_t>(block.value(thread, i.operands[2]));
  copy.filled = copy.size;
  if (i.operands.size() == 4) {
    copy.filled = std::min(copy.size, static_cast<std::uint32_t>(block.value(thread, i.operands[3])));
  }
  if (copy.size != 4 && copy.size != 8 && copy.size != 16) {
    block.fail(thread, i, "bounds", "cp.async of " + std::to_string(copy.size) + " bytes");
  }
  if (copy.from % copy.size != 0 || copy.to % copy.size != 0) {
    block.fail(thread, i, "misaligned", "cp.async between addresses that are not multiples of its size");
  }
  copy.group = thread.copy_groups;
  copy.instruction = &i;
  thread.copies.push_back(copy);
}

void commit(BlockRun&, Thread& thread, const Instruction&) { ++thread.copy_groups; }

/// wait_group n lets the n youngest groups go on; wait_all (variant 1) waits for uncommitted copies too.
void wait(BlockRun& block, Thread& thread, const Instruction& i) {
  const std::uint64_t allowed = i.variant == 1 ? 0 : block.value(thread, i.operands[0]);
  const std::uint64_t below = i.variant == 1                 ? std::uint64_t{thread.copy_groups} + 1
                              : allowed < thread.copy_groups ? thread.copy_groups - allowed
                                                             : 0;
  auto& copies = thread.copies;
  const auto rest = std::stable_partition(copies.begin(), copies.end(),
                                          [&](const AsyncCopy& copy) { return copy.group < below; });
  for (auto copy = copies.begin(); copy != rest; ++copy) arrive(block, thread, *copy);
  copies.erase(copies.begin(), rest);
}

}  // namespace

bool decode_async_copy(Mnemonic& mnemonic, Instruction& instruction) {
  if (!mnemonic.take("async")) return false;
  if (mnemonic.take("commit_group")) {
    instruction.execute = commit;
    return instruction.operands.empty();
  }
  if (mnemonic.take("wait_group")) {
    instruction.execute = wait;
    return instruction.operands.size() == 1;
  }
  if (mnemonic.take("wait_all")) {
    instruction.execute = wait;
    instruction.variant = 1;
    return instruction.operands.empty();
  }
  const bool cached = mnemonic.take_one({"ca", "cg"}) >= 0;
  const bool spaces = mnemonic.take_one({"shared", "shared::cta"}) >= 0 && mnemonic.take("global");
  mnemonic.take_one({"L2::64B", "L2::128B", "L2::256B"});
  instruction.execute = start_copy;
  const std::size_t count = instruction.operands.size();
  if (!cached || !spaces || (count != 3 && count != 4)) return false;
  return instruction.operands[0].kind == Operand::Kind::address &&
         instruction.operands[1].kind == Operand::Kind::address;
}

}  // namespace pregate::standin::ptx
