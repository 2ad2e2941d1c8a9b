// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace pregate::standin::ptx {

/// One thread's access to a word of memory, with what orders it against others of the same kernel.
struct WordAccess {
  std::uint32_t block = 0;
  std::uint32_t thread = 0;
  std::uint32_t barriers = 0;    ///< block barriers that the thread has passed
  std::uint32_t warp_clock = 0;  ///< warp barriers that the thread has passed, counted for its lane
  std::uint8_t bytes = 0;        ///< one bit a byte; 0: no access
  bool ordered = false;          ///< atomic, volatile or relaxed
};

/// The last write and two of the reads since then of four bytes. Remembering few accesses can miss a race,
/// never invent one.
struct WordHistory {
  WordAccess write;
  std::array<WordAccess, 2> reads;
};

/// Lane clocks that a thread knows of its own warp: clocks[i] is what lane i had when they last met.
using LaneClocks = std::array<std::uint32_t, 32>;

/// Adds `access` to `history`. Returns the earlier access that it races with, if any: by another thread, on a
/// common byte, one of them writing, not both atomic, with no barrier between. Threads of different blocks
/// are never ordered.
std::optional<WordAccess> add_access(WordHistory& history, const WordAccess& access, bool write,
                                     const LaneClocks& known);

}  // namespace pregate::standin::ptx
