// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string>

#include "tests/standin/ptx/block.hpp"
#include "tests/standin/ptx/ops/decode.hpp"

namespace pregate::standin::ptx {
namespace {

using Lanes = std::vector<Thread*>;

const Operand& destination(const Operand& operand) {
  return operand.kind == Operand::Kind::vector ? operand.elements[0] : operand;
}

enum ShuffleMode : std::uint8_t { up, down, butterfly, by_index };

/// shfl.sync.mode.b32 d{|p}, a, b, c, mask; see the PTX ISA for how c clamps and segments.
void shuffle(BlockRun& block, const Lanes& lanes, const Instruction& i) {
  std::array<std::uint64_t, 32> values{};
  std::uint32_t present = 0;
  for (Thread* lane : lanes) {
    values[lane->lane()] = block.value(*lane, i.operands[1]);
    present |= 1U << lane->lane();
  }
  for (Thread* lane : lanes) {
    const std::uint32_t own = lane->lane();
    const std::uint32_t b = block.value(*lane, i.operands[2]) & 31U;
    const std::uint64_t c = block.value(*lane, i.operands[3]);
    const std::uint32_t segment = (c >> 8) & 31U;
    const std::uint32_t lowest = own & segment;
    const std::uint32_t highest = lowest | (static_cast<std::uint32_t>(c) & 31U & ~segment);
    std::uint32_t source = own;
    bool inside = false;
    switch (i.variant) {
      case up:
        source = own - b;
        inside = static_cast<std::int32_t>(own) - static_cast<std::int32_t>(b) >=
                 static_cast<std::int32_t>(highest);
        break;
      case down:
        source = own + b;
        inside = source <= highest;
        break;
      case butterfly:
        source = own ^ b;
        inside = source <= highest;
        break;
      default:
        source = lowest | (b & ~segment);
        inside = source <= highest;
        break;
    }
    if (!inside) source = own;
    if ((present >> source & 1U) == 0) {
      block.report(*lane, i, "divergence",
                   "shuffle reads lane " + std::to_string(source) + ", which does not take part");
    }
    block.store(*lane, destination(i.operands[0]), values[source]);
    if (i.operands[0].kind == Operand::Kind::vector) {
      block.store(*lane, i.operands[0].elements[1], inside ? 1 : 0);
    }
  }
}

enum VoteMode : std::uint8_t { all, any, uniform, ballot };

void vote(BlockRun& block, const Lanes& lanes, const Instruction& i) {
  std::uint32_t present = 0;
  std::uint32_t agreeing = 0;
  for (Thread* lane : lanes) {
    present |= 1U << lane->lane();
    if ((block.value(*lane, i.operands[1]) & 1U) != 0) agreeing |= 1U << lane->lane();
  }
  std::uint32_t result = agreeing;
  if (i.variant == all) result = agreeing == present ? 1 : 0;
  if (i.variant == any) result = agreeing != 0 ? 1 : 0;
  if (i.variant == uniform) result = agreeing == present || agreeing == 0 ? 1 : 0;
  for (Thread* lane : lanes) block.store(*lane, i.operands[0], result);
}

/// redux.sync combines with the compute function of the ordinary instruction.
void reduce(BlockRun& block, const Lanes& lanes, const Instruction& i) {
  std::uint64_t result = block.value(*lanes.front(), i.operands[1]);
  for (std::size_t l = 1; l < lanes.size(); ++l) {
    result = i.compute(i, {result, block.value(*lanes[l], i.operands[1]), 0, 0});
  }
  for (Thread* lane : lanes) block.store(*lane, i.operands[0], result);
}

/// match.any (variant 0): the lanes with the same value; match.all: the whole mask or nothing, and a
/// predicate.
void match(BlockRun& block, const Lanes& lanes, const Instruction& i) {
  const std::uint64_t mask = ~0ULL >> (64 - 8 * size_of(i.type));
  std::vector<std::uint32_t> results;
  std::uint32_t present = 0;
  bool equal = true;
  for (Thread* lane : lanes) {
    const std::uint64_t own = block.value(*lane, i.operands[1]) & mask;
    std::uint32_t same = 0;
    for (Thread* other : lanes) {
      if ((block.value(*other, i.operands[1]) & mask) == own) same |= 1U << other->lane();
    }
    present |= 1U << lane->lane();
    equal = equal && same == (results.empty() ? same : results.front());
    results.push_back(same);
  }
  for (std::size_t l = 0; l < lanes.size(); ++l) {
    const std::uint32_t result = i.variant == 0 ? results[l] : equal ? present : 0;
    block.store(*lanes[l], destination(i.operands[0]), result);
    if (i.operands[0].kind == Operand::Kind::vector) {
      block.store(*lanes[l], i.operands[0].elements[1], equal ? 1 : 0);
    }
  }
}

/// elect.sync d|p, mask: the lowest lane is chosen.
void elect(BlockRun& block, const Lanes& lanes, const Instruction& i) {
  for (Thread* lane : lanes) {
    block.store(*lane, i.operands[0].elements[0], lanes.front()->lane());
    block.store(*lane, i.operands[0].elements[1], lane == lanes.front() ? 1 : 0);
  }
}

void set_operation(Instruction& instruction, WarpOperation operation) {
  instruction.combine = static_cast<std::uint8_t>(operation);
}

void wait_for_mask(BlockRun& block, Thread& thread, const Instruction& i) {
  block.wait_for_warp(thread, i, static_cast<std::uint32_t>(block.value(thread, i.operands.back())));
}

/// Which lanes happen to be converged is up to the device; the least is the lane itself.
void active_mask(BlockRun& block, Thread& thread, const Instruction& i) {
  block.store(thread, i.operands[0], 1ULL << thread.lane());
}

/// After it, each lane's earlier accesses are known to the others.
void meet(BlockRun&, const Lanes& lanes, const Instruction&) {
  LaneClocks joined{};
  for (const Thread* lane : lanes) {
    for (std::size_t l = 0; l < joined.size(); ++l) joined[l] = std::max(joined[l], lane->clocks[l]);
  }
  for (const Thread* lane : lanes) joined[lane->lane()] = lane->clocks[lane->lane()] + 1;
  for (Thread* lane : lanes) lane->clocks = joined;
}

bool decode_reduction(Mnemonic& mnemonic, Instruction& instruction) {
  static constexpr std::array<std::string_view, 6> names = {"add", "min", "max", "and", "or", "xor"};
  const int operation = mnemonic.take_one(names);
  instruction.type = mnemonic.take_type();
  const char* type = instruction.type == Type::s32 ? "s32" : instruction.type == Type::u32 ? "u32" : "b32";
  if (operation < 0 || (instruction.type != type_named(type))) return false;
  Mnemonic ordinary(std::string(names.at(static_cast<std::size_t>(operation))) + "." + type);
  Instruction plain;
  plain.operands.resize(3);
  if (!decode(ordinary, plain)) return false;
  instruction.compute = plain.compute;
  return true;
}

}  // namespace

void run_warp_instruction(BlockRun& block, const std::vector<Thread*>& lanes) {
  const Instruction& i = *lanes.front()->waiting;
  switch (static_cast<WarpOperation>(i.combine)) {
    case WarpOperation::barrier:
      meet(block, lanes, i);
      return;
    case WarpOperation::shuffle:
      shuffle(block, lanes, i);
      return;
    case WarpOperation::vote:
      vote(block, lanes, i);
      return;
    case WarpOperation::reduce:
      reduce(block, lanes, i);
      return;
    case WarpOperation::match:
      match(block, lanes, i);
      return;
    case WarpOperation::elect:
      elect(block, lanes, i);
      return;
  }
}

bool decode_warp(Mnemonic& mnemonic, Instruction& instruction) {
  const std::string& opcode = mnemonic.opcode();
  const std::size_t count = instruction.operands.size();
  const bool two_results = count > 0 && instruction.operands[0].kind == Operand::Kind::vector &&
                           instruction.operands[0].elements.size() == 2;
  if (opcode == "activemask") {
    instruction.execute = active_mask;
    return mnemonic.take_type() == Type::b32 && count == 1;
  }
  instruction.execute = wait_for_mask;
  if (!mnemonic.take("sync")) return false;
  if (opcode == "elect") {
    set_operation(instruction, WarpOperation::elect);
    return two_results && count == 2;
  }
  if (opcode == "shfl") {
    const int mode = mnemonic.take_one({"up", "down", "bfly", "idx"});
    instruction.variant = static_cast<std::uint8_t>(mode);
    set_operation(instruction, WarpOperation::shuffle);
    return mode >= 0 && mnemonic.take_type() == Type::b32 && count == 5;
  }
  if (opcode == "vote") {
    const int mode = mnemonic.take_one({"all", "any", "uni", "ballot"});
    instruction.variant = static_cast<std::uint8_t>(mode);
    set_operation(instruction, WarpOperation::vote);
    return mode >= 0 && mnemonic.take_type() == (mode == ballot ? Type::b32 : Type::pred) && count == 3;
  }
  if (opcode == "match") {
    const int mode = mnemonic.take_one({"any", "all"});
    instruction.variant = static_cast<std::uint8_t>(mode);
    set_operation(instruction, WarpOperation::match);
    instruction.type = mnemonic.take_type();
    return mode >= 0 && (instruction.type == Type::b32 || instruction.type == Type::b64) && count == 3;
  }
  set_operation(instruction, WarpOperation::reduce);
  return count == 3 && decode_reduction(mnemonic, instruction);
}

}  // namespace pregate::standin::ptx
