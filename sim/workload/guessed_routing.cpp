// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/workload/guessed_routing.hpp"

#include <algorithm>
#include <cmath>

namespace pregate::sim {

GuessedRouting::GuessedRouting(double accuracy, std::uint64_t seed, const ExpertMap& map)
    : map_(map), right_below_(static_cast<std::uint64_t>(std::ceil(accuracy * 0x1p53))), random_(seed) {}

trace::Step GuessedRouting::guess(const trace::Step& step) {
  experts_.assign(step.experts.begin(), step.experts.end());
  const auto [first, last] = map_.ordinals(step.stack);
  std::uint16_t* row = experts_.data();
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const MoeLayer& layer = map_.layers()[static_cast<std::size_t>(ordinal)];
    const auto size = static_cast<std::size_t>(layer.top_k);
    for (int token = 0; token < step.tokens; ++token, row += size) guess(row, size, layer.experts);
  }
  trace::Step guessed = step;
  guessed.experts = experts_;
  return guessed;
}

void GuessedRouting::guess(std::uint16_t* row, std::size_t size, int experts) {
  for (std::size_t i = 0; i < size; ++i) {
    if (row[i] == trace::no_expert || random_() >> 11U < right_below_) continue;
    // Of those that the token has not now: the one it loses is among those it had.
    const auto free = static_cast<std::uint64_t>(experts) -
                      static_cast<std::uint64_t>(std::count_if(
                          row, row + size, [](std::uint16_t id) { return id != trace::no_expert; }));
    if (free == 0) continue;
    std::uint64_t drawn =
        std::min(free - 1, static_cast<std::uint64_t>(static_cast<double>(random_() >> 11U) * 0x1p-53 *
                                                      static_cast<double>(free)));
    for (std::uint16_t id = 0;; ++id) {
      if (std::find(row, row + size, id) != row + size) continue;
      if (drawn-- > 0) continue;
      row[i] = id;
      break;
    }
  }
}

}  // namespace pregate::sim
