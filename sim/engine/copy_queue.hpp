// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "sim/cost/price.hpp"
#include "sim/platform/platform.hpp"

namespace pregate::sim {

/// Copies of a stream, as long as it is not decided when they start: they may still be overtaken or taken
/// back. A copy may start when the stream is free and what it waits for is done. In a queue by priority the
/// one of the lowest priority value goes first, then the one that was issued first; in one in order the one
/// that was issued first, and all others wait for it. Nobody may be added who could have started before one
/// that was taken.
class CopyQueue {
 public:
  static constexpr std::size_t most_waits = 4;
  struct Copy {
    OpId id = no_op;
    std::uint8_t priority = 0;
    OpKind kind = OpKind::fetch;
    Bytes fetched{};  ///< of expert weights
    Spending spending{};
    Picoseconds ready{};  ///< when all is done of which that is known
    OpId before = no_op;  ///< the last of that
    std::array<OpId, most_waits> copies{no_op, no_op, no_op,
                                        no_op};  ///< undecided ones that it waits for as well
  };

  explicit CopyQueue(StreamOrder order) : order_(order) {}

  void add(const Copy& copy);
  [[nodiscard]] bool empty() const { return copies_.empty(); }
  [[nodiscard]] bool holds(OpId id) const;
  /// Together, one after the other.
  [[nodiscard]] Picoseconds duration() const;

  /// When the next copy starts and which it is, the stream being free from `free` on; none when all wait for
  /// undecided ones.
  struct Next {
    Picoseconds start;
    std::size_t at;
  };
  [[nodiscard]] std::optional<Next> next(Picoseconds free) const;
  [[nodiscard]] const Copy& at(std::size_t place) const { return copies_[place]; }
  /// Takes it out.
  Copy take(std::size_t at);
  /// `id`, of this queue or another, was decided to end at `finish`.
  void decided(OpId id, Picoseconds finish);
  /// It moves nothing when its turn comes. False when it is not here.
  bool make_empty(OpId id);

 private:
  [[nodiscard]] bool goes_before(const Copy& a, const Copy& b) const;

  StreamOrder order_;
  std::vector<Copy> copies_;  ///< in the order in which they go, were all ready
};

}  // namespace pregate::sim
