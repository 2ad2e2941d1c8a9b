// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>
#include <map>
#include <string>
#include <vector>

#include "tests/standin/runtime/hidden_lock.hpp"
#include "tests/standin/runtime/memory.hpp"
#include "tests/standin/runtime/operation.hpp"
#include "tests/standin/runtime/report.hpp"

namespace pregate::standin {

/// Finds accesses by the host that no device may have: to device memory, to freed pinned memory, and to
/// pinned memory that a copy uses which the host has not waited for. The latter's pages are protected for as
/// long, so the very instruction is caught, in every schedule. A page of which an allocation uses only a part
/// for the copy stays open; ThreadSanitizer, under which this class does nothing for copies, sees single
/// bytes.
class HostGuard {
 public:
  HostGuard(Memory& memory, Reports& reports);

  /// Protects what `operation` uses of pinned memory.
  void close(const OperationPointer& operation);
  /// Opens what `known` has seen the end of.
  void open(const VectorClock& known);

  /// A function of the host runs in a stream: until it ends, what copies behind it use is open, as they have
  /// not begun.
  void begin_function(const OperationPointer& function);
  void end_function(const OperationPointer& function);

  /// Handles a fault at `address`. Does not return when the access was one of those above.
  void explain(std::uintptr_t address, bool write);

 private:
  struct Guard {
    OperationPointer operation;
    Range pages;
  };
  void protect(const Range& pages);
  [[nodiscard]] bool waits_for_a_function(const Operation& operation) const;
  [[noreturn]] void give_up(const std::string& text);

  Memory& memory_;
  Reports& reports_;
  bool guards_copies_;
  HiddenLock lock_;
  std::vector<Guard> guards_;
  std::vector<OperationPointer> functions_;  ///< that run
};

}  // namespace pregate::standin
