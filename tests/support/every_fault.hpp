// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>

namespace pregate::test {

/// Whether faults are tried with each kind at each place (PREGATE_EVERY_FAULT set: minutes), or every place
/// with some kind and every kind at some places, as continuous integration does.
inline bool tries_every_fault() { return std::getenv("PREGATE_EVERY_FAULT") != nullptr; }

/// Of `count` like places that are tried in turn, whether the one at `index` (from 0) is among those that are
/// always tried: the first and last ones, where things are made and given back, and a quarter between.
inline bool is_tried(int index, int count) {
  constexpr int ends = 12, share = 4;
  return tries_every_fault() || index < ends || index >= count - ends || index % share == 0;
}

}  // namespace pregate::test
