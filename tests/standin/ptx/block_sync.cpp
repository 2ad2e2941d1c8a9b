// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/standin/ptx/block.hpp"

namespace pregate::standin::ptx {

void BlockRun::wait_for_warp(Thread& thread, const Instruction& instruction, std::uint32_t mask) {
  if ((mask >> thread.lane() & 1U) == 0) {
    fail(thread, instruction, "divergence", "the mask does not name the calling lane");
  }
  thread.state = ThreadState::at_warp;
  thread.mask = mask;
  thread.waiting = &instruction;
}

void BlockRun::wait_at_barrier(Thread& thread, const Instruction& instruction) {
  thread.state = ThreadState::at_barrier;
  thread.waiting = &instruction;
}

namespace {

/// Warp barriers may meet from different places of the program; other warp instructions must be the same one.
bool meets(const Thread& a, const Thread& b) {
  if (b.state != ThreadState::at_warp || a.mask != b.mask) return false;
  constexpr auto barrier = static_cast<std::uint8_t>(WarpOperation::barrier);
  return a.waiting == b.waiting || (a.waiting->combine == barrier && b.waiting->combine == barrier);
}

}  // namespace

bool BlockRun::release_warps() {
  bool released = false;
  const std::span<Thread> all(threads_);
  for (std::size_t first = 0; first < all.size(); first += 32)
    released = release_warp(all.subspan(first, std::min<std::size_t>(32, all.size() - first))) || released;
  return released;
}

bool BlockRun::release_warp(std::span<Thread> warp) {
  std::uint32_t elsewhere = 0;  // lanes that run on or wait for the block: who waits for one waits on
  for (const Thread& lane : warp) {
    if (lane.state != ThreadState::at_warp && lane.state != ThreadState::done) elsewhere |= 1U << lane.lane();
  }
  bool released = false;
  std::vector<Thread*> lanes;
  for (const Thread& thread : warp) {
    if (thread.state != ThreadState::at_warp || (thread.mask & elsewhere) != 0) continue;
    lanes.clear();
    bool complete = true;
    for (Thread& other : warp) {
      if ((thread.mask >> other.lane() & 1U) == 0 || other.state == ThreadState::done) continue;
      complete = complete && meets(thread, other);
      lanes.push_back(&other);
    }
    if (!complete) continue;
    for (Thread* lane : lanes) {
      lane->state = ThreadState::running;
      elsewhere |= 1U << lane->lane();
    }
    run_warp_instruction(*this, lanes);
    released = true;
  }
  return released;
}

bool BlockRun::release_barrier() {
  std::vector<Thread*> waiting;
  for (Thread& thread : threads_) {
    if (thread.state == ThreadState::done) continue;
    if (thread.state != ThreadState::at_barrier) return false;
    waiting.push_back(&thread);
  }
  if (waiting.empty()) return false;
  check_barrier(waiting);
  finish_barrier(*this, waiting);
  ++barriers_;
  for (Thread* thread : waiting) thread->state = ThreadState::running;
  return true;
}

void BlockRun::check_barrier(const std::vector<Thread*>& waiting) {
  const Thread& first = *waiting.front();
  if (waiting.size() != threads_.size()) {
    fail(first, *first.waiting, "divergence",
         "barrier reached by " + std::to_string(waiting.size()) + " of " + std::to_string(threads_.size()) +
             " threads; the others have exited");
  }
  for (const Thread* thread : waiting) {
    if (thread->waiting == first.waiting) continue;
    fail(*thread, *thread->waiting, "divergence",
         "divergent barrier: thread " + std::to_string(first.index) + " waits at PTX line " +
             std::to_string(first.waiting->ptx_line));
  }
}

}  // namespace pregate::standin::ptx
