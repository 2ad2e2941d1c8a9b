// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/ptx/block.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "tests/standin/ptx/ops/address.hpp"

namespace pregate::standin::ptx {
namespace {

// Generic addresses of shared and local memory: far outside what a user process can map.
constexpr std::uint64_t shared_window = 0x0700000000000000ULL;
constexpr std::uint64_t local_window = 0x0701000000000000ULL;
constexpr std::uint64_t window_bytes = 1ULL << 24;

// A kernel of a test needs far fewer; an endless loop is stopped after about a minute.
constexpr std::uint64_t step_limit = 3'000'000'000;

bool in_window(std::uint64_t address, std::uint64_t window) {
  return address >= window && address < window + window_bytes;
}

}  // namespace

BlockRun::BlockRun(LaunchState& state, std::uint32_t block_index)
    : state_(state), launch_(*state.launch), kernel_(*state.launch->kernel), block_index_(block_index) {
  const Extent& grid = launch_.grid;
  position_ = {block_index % grid.x, block_index / grid.x % grid.y, block_index / (grid.x * grid.y)};
  const auto count = static_cast<std::size_t>(launch_.block.count());
  const std::size_t registers = kernel_.register_bytes.size();
  registers_.resize(count * registers);
  register_bits_.resize(registers);
  std::transform(kernel_.register_bytes.begin(), kernel_.register_bytes.end(), register_bits_.begin(),
                 [](auto bytes) { return ~0ULL >> (64 - 8 * bytes); });
  for (std::size_t i = 0; i < count; ++i)  // poison
    std::copy(register_bits_.begin(), register_bits_.end(), registers_.data() + i * registers);
  shared_.assign(
      launch_.dynamic_shared > 0 ? dynamic_shared_offset() + launch_.dynamic_shared : kernel_.shared_bytes,
      std::byte{0xff});
  shared_history_.resize((shared_.size() + 3) / 4);
  threads_.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    Thread& thread = threads_[i];
    thread.index = i;
    thread.x = i % launch_.block.x;
    thread.y = i / launch_.block.x % launch_.block.y;
    thread.z = i / (launch_.block.x * launch_.block.y);
    thread.registers = registers_.data() + i * registers;
    thread.local.assign(kernel_.local_bytes, std::byte{0xff});
    thread.clocks[thread.lane()] = 1;
  }
}

// The environment's numbers are shared by all streams and so behind a lock: one of them a block starts a
// sequence.
std::uint32_t BlockRun::random() {  // splitmix64
  random_state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t mixed = random_state_;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
  return static_cast<std::uint32_t>(mixed >> 32);
}

void BlockRun::run() {
  random_state_ = state_.environment->random();
  std::vector<std::uint32_t> order;
  for (;;) {
    order.clear();
    for (const Thread& thread : threads_) {
      if (thread.state == ThreadState::running) order.push_back(thread.index);
    }
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    for (const std::uint32_t index : order) run_thread(threads_[index]);
    bool progress = !order.empty();
    progress = release_warps() || progress;
    progress = release_barrier() || progress;
    const bool finished = std::all_of(threads_.begin(), threads_.end(),
                                      [](const Thread& t) { return t.state == ThreadState::done; });
    if (finished) return;
    if (!progress) fail_deadlock();
  }
}

void execute_compute(BlockRun& block, Thread& thread, const Instruction& instruction) {
  Values values{};
  const Operand* const operands = instruction.operands.data();
  for (std::size_t i = 1; i < instruction.operands.size(); ++i)
    values[i - 1] = block.value(thread, operands[i]);
  block.store(thread, operands[0], instruction.compute(instruction, values));
}

void BlockRun::run_thread(Thread& thread) {
  std::uint32_t quantum = 1 + random() % 256;
  const Instruction* const code = kernel_.code.data();
  while (thread.state == ThreadState::running && quantum-- > 0) {
    const Instruction& instruction = code[thread.pc];
    if (++state_.steps > step_limit) fail(thread, instruction, "endless", "too many steps: an endless loop?");
    ++thread.pc;
    if (instruction.guarded &&
        ((thread.registers[instruction.guard] & 1U) != 0) == instruction.guard_negated) {
      continue;
    }
    if (instruction.execute == execute_compute)  // most are: not called by its address
      execute_compute(*this, thread, instruction);
    else
      instruction.execute(*this, thread, instruction);
  }
}

void BlockRun::fail_deadlock() {
  for (const Thread& thread : threads_) {
    if (thread.state != ThreadState::at_barrier && thread.state != ThreadState::at_warp) continue;
    fail(thread, *thread.waiting, "divergence", "deadlock: waits for threads that never come");
  }
}

std::uint64_t BlockRun::value_of_other(Thread& thread, const Operand& operand) {
  if (operand.kind == Operand::Kind::special) return special(thread, operand.index);
  if (operand.kind != Operand::Kind::address) return 0;
  Space space = operand.space;
  return address(thread, operand, space);
}

std::uint64_t BlockRun::address(Thread& thread, const Operand& operand, Space& space) {
  std::uint64_t result = operand.value;
  if (operand.has_register) result += thread.registers[operand.index];
  if (operand.static_data) result += launch_.module->static_base;
  if (operand.dynamic_shared) result += dynamic_shared_offset();
  if (space != Space::generic) return result;
  if (!operand.has_register && operand.space != Space::generic) {
    space = operand.space;
  } else if (in_window(result, shared_window)) {
    space = Space::shared;
    result -= shared_window;
  } else if (in_window(result, local_window)) {
    space = Space::local;
    result -= local_window;
  } else {
    space = Space::global;
  }
  return result;
}

std::uint64_t generic_address(Space space, std::uint64_t address) {
  if (space == Space::shared) return address + shared_window;
  return space == Space::local ? address + local_window : address;
}

std::uint64_t space_address(Space space, std::uint64_t address) {
  if (space == Space::shared && in_window(address, shared_window)) return address - shared_window;
  if (space == Space::local && in_window(address, local_window)) return address - local_window;
  return address;
}

std::size_t BlockRun::dynamic_shared_offset() const { return (kernel_.shared_bytes + 15) / 16 * 16; }

std::uint64_t BlockRun::special(const Thread& thread, std::uint32_t index) const {
  const std::uint64_t bit = 1ULL << thread.lane();
  switch (static_cast<SpecialRegister>(index)) {
    case SpecialRegister::tid_x:
      return thread.x;
    case SpecialRegister::tid_y:
      return thread.y;
    case SpecialRegister::tid_z:
      return thread.z;
    case SpecialRegister::ntid_x:
      return launch_.block.x;
    case SpecialRegister::ntid_y:
      return launch_.block.y;
    case SpecialRegister::ntid_z:
      return launch_.block.z;
    case SpecialRegister::ctaid_x:
      return position_.x;
    case SpecialRegister::ctaid_y:
      return position_.y;
    case SpecialRegister::ctaid_z:
      return position_.z;
    case SpecialRegister::nctaid_x:
      return launch_.grid.x;
    case SpecialRegister::nctaid_y:
      return launch_.grid.y;
    case SpecialRegister::nctaid_z:
      return launch_.grid.z;
    case SpecialRegister::laneid:
      return thread.lane();
    case SpecialRegister::warpid:
      return thread.warp();
    case SpecialRegister::nwarpid:
      return (threads_.size() + 31) / 32;
    case SpecialRegister::lanemask_eq:
      return bit;
    case SpecialRegister::lanemask_lt:
      return bit - 1;
    case SpecialRegister::lanemask_le:
      return 2 * bit - 1;
    case SpecialRegister::lanemask_gt:
      return ~(2 * bit - 1) & 0xffffffffULL;
    case SpecialRegister::lanemask_ge:
      return ~(bit - 1) & 0xffffffffULL;
    case SpecialRegister::clock:
      return state_.steps;
    case SpecialRegister::dynamic_smem_size:
      return launch_.dynamic_shared;
    case SpecialRegister::total_smem_size:
      return shared_.size();
    case SpecialRegister::nsmid:
      return 1;
    case SpecialRegister::smid:
    case SpecialRegister::gridid:
      return 0;
  }
  return 0;
}

void BlockRun::report(const Thread& thread, const Instruction& instruction, const char* kind,
                      const std::string& text) {
  std::string where = "kernel " + kernel_.name + ", block " + std::to_string(block_index_) + ", thread " +
                      std::to_string(thread.index);
  if (instruction.source_line != 0) where += ", source line " + std::to_string(instruction.source_line);
  where += ", PTX line " + std::to_string(instruction.ptx_line);
  state_.environment->report(kind, where + ": " + text);
}

void BlockRun::fail(const Thread& thread, const Instruction& instruction, const char* kind,
                    const std::string& text) {
  report(thread, instruction, kind, text);
  throw KernelFault();
}

void run_launch(LaunchState& state) {
  std::vector<std::uint32_t> order(static_cast<std::size_t>(state.launch->grid.count()));
  std::iota(order.begin(), order.end(), 0U);
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[state.environment->random() % i]);
  }
  for (const std::uint32_t index : order) BlockRun(state, index).run();
}

}  // namespace pregate::standin::ptx
