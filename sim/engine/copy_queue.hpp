// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "sim/cost/price.hpp"

namespace pregate::sim {

/// Copies of a stream that takes the most urgent first, as long as it is not decided when they start. A copy
/// may start when the stream is free and what it waits for is done; of several, the one of the lowest
/// priority value goes first, then the one that was issued first. Nobody may be added who could have started
/// before one that was taken.
class CopyQueue {
 public:
  struct Copy {
    OpId id = no_op;
    std::uint8_t priority = 0;
    Spending spending{};
    Picoseconds ready{};                       ///< when all is done of which that is known
    OpId before = no_op;                       ///< the last of that
    std::array<OpId, 2> copies{no_op, no_op};  ///< others of the queue that it waits for as well
  };

  void add(const Copy& copy);
  [[nodiscard]] bool empty() const { return copies_.empty(); }
  [[nodiscard]] bool holds(OpId id) const;

  /// When the next copy starts and which it is, the stream being free from `free` on. Precondition: !empty().
  struct Next {
    Picoseconds start;
    std::size_t at;
  };
  [[nodiscard]] Next next(Picoseconds free) const;
  [[nodiscard]] const Copy& at(std::size_t place) const { return copies_[place]; }
  /// Takes it out; it ends at `finish`.
  Copy take(std::size_t at, Picoseconds finish);

 private:
  std::vector<Copy> copies_;  ///< by priority, then identifier
};

}  // namespace pregate::sim
