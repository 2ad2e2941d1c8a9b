// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/host_guard.hpp"

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>

#include "tests/standin/runtime/pointers.hpp"
#include "tests/standin/runtime/race_check.hpp"
#include "tests/standin/runtime/tsan.hpp"

namespace pregate::standin {
namespace {

constexpr std::uintptr_t page = 4096;

HostGuard* g_guard = nullptr;  // for the signal handler, which gets no argument
struct sigaction g_previous;

void handle(int signal, siginfo_t* information, void* context) {
  constexpr greg_t write_bit = 2;  // of the page fault's error code
  const auto* machine = static_cast<const ucontext_t*>(context);
  g_guard->explain(address_of(information->si_addr), (machine->uc_mcontext.gregs[REG_ERR] & write_bit) != 0);
  // Not ours: whoever was there before decides; by returning the instruction faults again.
  sigaction(signal, &g_previous, nullptr);
}

/// The pages of which `range` covers all that the allocation has there.
Range whole_pages(const Allocation& allocation, const Range& range) {
  const std::uintptr_t end = allocation.address + allocation.size;
  const std::uintptr_t low = (range.low + page - 1) / page * page;  // allocations begin with a page
  const std::uintptr_t high = range.high == end ? (end + page - 1) / page * page : range.high / page * page;
  return {low, std::max(low, high), range.write};
}

}  // namespace

HostGuard::HostGuard(Memory& memory, Reports& reports)
    : memory_(memory), reports_(reports), guards_copies_(!tsan::is_present()) {
  g_guard = this;
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, &g_previous);
}

void HostGuard::close(const OperationPointer& operation) {
  if (!guards_copies_) return;
  for (const Range& range : operation->request.ranges) {
    const auto allocation = memory_.find(range.low);
    if (!allocation || !allocation->live || allocation->kind != MemoryKind::pinned) continue;
    const Range pages = whole_pages(*allocation, range);
    if (pages.low == pages.high) continue;
    const std::lock_guard guard(lock_);
    guards_.push_back({operation, pages});
    protect(pages);
  }
}

void HostGuard::open(const VectorClock& known) {
  if (!guards_copies_) return;
  const std::lock_guard guard(lock_);
  const auto over = std::stable_partition(guards_.begin(), guards_.end(),
                                          [&](const Guard& g) { return !is_known(*g.operation, known); });
  const std::vector<Guard> opened(over, guards_.end());
  guards_.erase(over, guards_.end());
  for (const Guard& g : opened) protect(g.pages);
}

bool HostGuard::waits_for_a_function(const Operation& operation) const {
  return std::any_of(functions_.begin(), functions_.end(),
                     [&](const OperationPointer& function) { return is_known(*function, operation.clock); });
}

void HostGuard::begin_function(const OperationPointer& function) {
  if (!guards_copies_) return;
  const std::lock_guard guard(lock_);
  functions_.push_back(function);
  for (const Guard& g : guards_) {
    if (is_known(*function, g.operation->clock)) protect(g.pages);
  }
}

void HostGuard::end_function(const OperationPointer& function) {
  if (!guards_copies_) return;
  const std::lock_guard guard(lock_);
  std::erase(functions_, function);
  for (const Guard& g : guards_) {
    if (is_known(*function, g.operation->clock)) protect(g.pages);
  }
}

/// Gives each page the strictest protection that the guards over it ask for.
void HostGuard::protect(const Range& pages) {
  std::vector<std::uintptr_t> cuts = {pages.low, pages.high};
  for (const Guard& g : guards_) {
    cuts.push_back(std::clamp(g.pages.low, pages.low, pages.high));
    cuts.push_back(std::clamp(g.pages.high, pages.low, pages.high));
  }
  std::sort(cuts.begin(), cuts.end());
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    if (cuts[i] == cuts[i + 1]) continue;
    int protection = PROT_READ | PROT_WRITE;
    for (const Guard& g : guards_) {
      if (g.pages.low <= cuts[i] && cuts[i + 1] <= g.pages.high && !waits_for_a_function(*g.operation))
        protection &= g.pages.write ? PROT_NONE : PROT_READ;
    }
    mprotect(pointer_to(cuts[i]), cuts[i + 1] - cuts[i], protection);
  }
}

void HostGuard::give_up(const std::string& text) {
  reports_.add("host-access", text);
  std::fflush(stderr);
  _exit(findings_exit_status);
}

void HostGuard::explain(std::uintptr_t address, bool write) {
  const std::string verb = write ? "the host writes to " : "the host reads ";
  const auto allocation = memory_.find(address);
  if (memory_.is_device_address(address)) {
    give_up(verb +
            (allocation ? described(*allocation, address) : "device memory that belongs to no allocation"));
  }
  if (!allocation) return;
  if (!allocation->live) give_up(verb + described(*allocation, address) + ", which has been freed");
  const std::lock_guard guard(lock_);
  for (const Guard& g : guards_) {
    if (address < g.pages.low || address >= g.pages.high || (!write && !g.pages.write)) continue;
    give_up(verb + described(*allocation, address) + " while " + described(*g.operation) +
            " uses it, which it has not waited for");
  }
}

}  // namespace pregate::standin
