// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/standin/ptx/environment.hpp"
#include "tests/standin/ptx/program.hpp"
#include "tests/standin/ptx/race.hpp"
#include "tests/standin/ptx/touched_ranges.hpp"

namespace pregate::standin::ptx {

struct Extent {
  std::uint32_t x = 1;
  std::uint32_t y = 1;
  std::uint32_t z = 1;
  std::uint64_t count() const { return std::uint64_t{x} * y * z; }
};

/// A kernel launch as the interpreter sees it.
struct Launch {
  const Module* module = nullptr;
  const Kernel* kernel = nullptr;
  Extent grid;
  Extent block;
  std::size_t dynamic_shared = 0;        ///< bytes
  std::vector<std::uint8_t> parameters;  ///< laid out as Kernel::parameters says
};

/// State of a launch that outlives its blocks.
struct LaunchState {
  const Launch* launch = nullptr;
  Environment* environment = nullptr;
  TouchedRanges touched;
  std::unordered_map<std::uintptr_t, WordHistory> global_history;  ///< by address / 4
  bool check_races = true;                                         ///< until the first is found
  bool check_global_races = true;                                  ///< in device memory too
  std::uint64_t steps = 0;
};

enum class ThreadState : std::uint8_t { running, at_barrier, at_warp, done };

/// A cp.async that has been issued but whose bytes have not arrived.
struct AsyncCopy {
  std::uint64_t to = 0;
  std::uint64_t from = 0;
  std::uint32_t size = 0;    ///< bytes written
  std::uint32_t filled = 0;  ///< bytes read; the rest becomes zero
  std::uint32_t group = 0;
  const Instruction* instruction = nullptr;
};

struct Thread {
  std::uint32_t index = 0;
  std::uint32_t x = 0, y = 0, z = 0;
  std::uint32_t pc = 0;
  ThreadState state = ThreadState::running;
  std::uint32_t mask = 0;                ///< lanes that it waits for, when at_warp
  const Instruction* waiting = nullptr;  ///< at_barrier and at_warp
  std::uint64_t* registers = nullptr;
  std::vector<std::byte> local;
  LaneClocks clocks{};
  std::vector<AsyncCopy> copies;
  std::uint32_t copy_groups = 0;  ///< committed

  std::uint32_t lane() const { return index % 32; }
  std::uint32_t warp() const { return index / 32; }
};

/// How an access is made: atomic and volatile ones do not race with each other.
enum class Ordering : std::uint8_t { plain, ordered };

/// Runs the threads of one block. Every thread has its own program counter, as since Volta; they meet at
/// barriers and at warp instructions only. The order in between is random by the environment's numbers.
class BlockRun {
 public:
  BlockRun(LaunchState& state, std::uint32_t block_index);
  void run();

  /// Operand access, for instructions.
  std::uint64_t value(Thread& thread, const Operand& operand) {
    if (operand.kind == Operand::Kind::immediate) return operand.value;
    if (operand.kind != Operand::Kind::register_) return value_of_other(thread, operand);
    const std::uint64_t bits = thread.registers[operand.index];
    return operand.negated ? (bits & 1U) ^ 1U : bits;
  }
  void store(Thread& thread, const Operand& operand, std::uint64_t value) {
    if (operand.kind != Operand::Kind::register_) return;  // the sink `_`
    thread.registers[operand.index] = value & register_bits_[operand.index];
  }
  /// The address that a memory operand names; makes `space` definite when it is generic.
  std::uint64_t address(Thread& thread, const Operand& operand, Space& space);
  /// The bytes behind an address, after every check.
  std::byte* memory(Thread& thread, const Instruction& instruction, Space space, std::uint64_t address,
                    std::size_t size, bool write, Ordering ordering);

  /// The launch's parameter bytes [offset, offset + size).
  const std::byte* parameter(Thread& thread, const Instruction& instruction, std::uint64_t offset,
                             std::size_t size);

  /// Stops `thread` until every lane of `mask` that has not exited waits at the same instruction.
  void wait_for_warp(Thread& thread, const Instruction& instruction, std::uint32_t mask);
  void wait_at_barrier(Thread& thread, const Instruction& instruction);

  [[noreturn]] void fail(const Thread& thread, const Instruction& instruction, const char* kind,
                         const std::string& text);
  void report(const Thread& thread, const Instruction& instruction, const char* kind,
              const std::string& text);

 private:
  /// Of neither a register nor an immediate.
  std::uint64_t value_of_other(Thread& thread, const Operand& operand);
  std::uint64_t special(const Thread& thread, std::uint32_t index) const;
  std::size_t dynamic_shared_offset() const;
  std::uint32_t random();
  void run_thread(Thread& thread);
  bool release_warps();
  bool release_warp(std::span<Thread> warp);
  bool release_barrier();
  void fail_deadlock();
  void check_barrier(const std::vector<Thread*>& waiting);
  void check_race(Thread& thread, const Instruction& instruction, Space space, std::uint64_t address,
                  std::size_t size, bool write, Ordering ordering);

  LaunchState& state_;
  const Launch& launch_;
  const Kernel& kernel_;
  std::uint32_t block_index_;
  Extent position_;
  std::vector<Thread> threads_;
  std::vector<std::uint64_t> register_bits_;  ///< which bits a register has
  std::vector<std::uint64_t> registers_;
  std::vector<std::byte> shared_;
  std::vector<WordHistory> shared_history_;
  std::uint32_t barriers_ = 0;
  std::uint64_t random_state_ = 0;  ///< of the order of threads
};

/// What the lanes of a warp do where they meet: Instruction::combine of an instruction that waits for a warp.
enum class WarpOperation : std::uint8_t { barrier, shuffle, vote, reduce, match, elect };

/// Execute function of instructions that have a Compute function.
void execute_compute(BlockRun& block, Thread& thread, const Instruction& instruction);

/// Carries out a warp instruction for `lanes`, which have all arrived at it.
void run_warp_instruction(BlockRun& block, const std::vector<Thread*>& lanes);

/// The result of bar.red for all of `threads`; nothing for a plain barrier.
void finish_barrier(BlockRun& block, const std::vector<Thread*>& threads);

/// Runs all blocks, one after the other. `touched` of the state then has the device memory that the kernel
/// touched.
void run_launch(LaunchState& state);

}  // namespace pregate::standin::ptx
