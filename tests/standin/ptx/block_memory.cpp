// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <span>

#include "tests/standin/ptx/block.hpp"

namespace pregate::standin::ptx {
namespace {

std::string described(bool write, std::size_t size) {
  return std::string(write ? "write" : "read") + " of " + std::to_string(size) + " bytes";
}

std::string outside(bool write, std::size_t size, std::uint64_t offset, const char* space,
                    std::size_t bytes) {
  return described(write, size) + " at offset " + std::to_string(offset) + " of " + std::to_string(bytes) +
         " bytes of " + space + " memory";
}

bool fits(std::uint64_t offset, std::size_t size, std::size_t bytes) {
  return offset <= bytes && size <= bytes - offset;
}

}  // namespace

std::byte* BlockRun::memory(Thread& thread, const Instruction& instruction, Space space,
                            std::uint64_t address, std::size_t size, bool write, Ordering ordering) {
  if (address % std::min<std::size_t>(size, 16) != 0) {
    fail(thread, instruction, "misaligned",
         described(write, size) + " at address " + std::to_string(address) +
             ", which is not a multiple of it");
  }
  if (space == Space::local) {
    if (!fits(address, size, thread.local.size())) {
      fail(thread, instruction, "bounds", outside(write, size, address, "local", thread.local.size()));
    }
    return thread.local.data() + address;
  }
  if (space == Space::shared) {
    if (!fits(address, size, shared_.size())) {
      fail(thread, instruction, "bounds", outside(write, size, address, "shared", shared_.size()));
    }
    check_race(thread, instruction, space, address, size, write, ordering);
    return shared_.data() + address;
  }
  Resolved resolved = state_.environment->resolve(address, size, write);
  if (!resolved.problem.empty()) {
    report(thread, instruction, resolved.kind, described(write, size) + ": " + resolved.problem);
  }
  if (resolved.data == nullptr) throw KernelFault();
  state_.touched.add(address, size, write);
  check_race(thread, instruction, space, address, size, write, ordering);
  return resolved.data;
}

const std::byte* BlockRun::parameter(Thread& thread, const Instruction& instruction, std::uint64_t offset,
                                     std::size_t size) {
  if (!fits(offset, size, launch_.parameters.size())) {
    fail(thread, instruction, "bounds",
         outside(/*write=*/false, size, offset, "parameter", launch_.parameters.size()));
  }
  return std::as_bytes(std::span(launch_.parameters)).data() + offset;
}

void BlockRun::check_race(Thread& thread, const Instruction& instruction, Space space, std::uint64_t address,
                          std::size_t size, bool write, Ordering ordering) {
  if (!state_.check_races || (space == Space::global && !state_.check_global_races)) return;
  const WordAccess access{
      block_index_, thread.index, barriers_, thread.clocks[thread.lane()], 0, ordering == Ordering::ordered};
  for (std::uint64_t at = address; at < address + size;) {
    const std::uint64_t word = at / 4;
    const std::uint64_t end = std::min(address + size, 4 * (word + 1));
    WordAccess part = access;
    for (; at < end; ++at) part.bytes = static_cast<std::uint8_t>(part.bytes | (1U << (at % 4)));
    WordHistory& history = space == Space::shared ? shared_history_[static_cast<std::size_t>(word)]
                                                  : state_.global_history[word];
    const auto race = add_access(history, part, write, thread.clocks);
    if (!race) continue;
    state_.check_races = false;  // one report a launch
    const bool shared = space == Space::shared;
    report(thread, instruction, "kernel-race",
           described(write, size) +
               (shared ? " at offset " + std::to_string(address) + " of shared memory"
                       : std::string(" of device memory")) +
               " races with an access by thread " + std::to_string(race->thread) + " of block " +
               std::to_string(race->block));
    return;
  }
}

}  // namespace pregate::standin::ptx
