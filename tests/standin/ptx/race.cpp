// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/ptx/race.hpp"

namespace pregate::standin::ptx {
namespace {

bool conflicts(const WordAccess& earlier, const WordAccess& now, const LaneClocks& known) {
  if ((earlier.bytes & now.bytes) == 0 || (earlier.ordered && now.ordered)) return false;
  if (earlier.block != now.block) return true;
  if (earlier.thread == now.thread || earlier.barriers != now.barriers) return false;
  const bool same_warp = earlier.thread / 32 == now.thread / 32;
  return !same_warp || known[earlier.thread % 32] <= earlier.warp_clock;
}

}  // namespace

std::optional<WordAccess> add_access(WordHistory& history, const WordAccess& access, bool write,
                                     const LaneClocks& known) {
  std::optional<WordAccess> race;
  if (conflicts(history.write, access, known)) race = history.write;
  if (write) {
    for (const WordAccess& read : history.reads) {
      if (!race && conflicts(read, access, known)) race = read;
    }
    history = {};
    history.write = access;
    return race;
  }
  WordAccess& first = history.reads[0];
  if (first.bytes != 0 && (first.thread != access.thread || first.block != access.block)) {
    history.reads[1] = first;
  }
  first = access;
  return race;
}

}  // namespace pregate::standin::ptx
