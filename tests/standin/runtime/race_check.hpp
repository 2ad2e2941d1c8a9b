// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/standin/runtime/memory.hpp"
#include "tests/standin/runtime/operation.hpp"

namespace pregate::standin {

/// Finds operations that touch the same bytes, one of them writing, with nothing that orders them: no stream,
/// event or wait of the host. It does not matter in which order they really ran or whether the result was
/// right.
class RaceCheck {
 public:
  /// Adds a finished operation with all that it touched. Describes the race when there is one, else empty.
  std::string add(const OperationPointer& operation, const std::vector<Range>& touched, const Memory& memory);

  /// Describes an operation that touched the allocation and that `host` does not know to be over, else empty.
  std::string user_of(const Allocation& allocation, const VectorClock& host) const;

  /// Forgets operations that everything known to `host` and to all of `pending` comes after.
  void forget(const VectorClock& host, const std::vector<OperationPointer>& pending);

 private:
  struct Entry {
    OperationPointer operation;
    std::vector<Range> touched;
  };
  std::vector<Entry> entries_;
};

/// "'name' (operation 3, stream 1)"
std::string described(const Operation& operation);

}  // namespace pregate::standin
