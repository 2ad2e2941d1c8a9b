// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/affinity.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

namespace pregate::sim {

namespace {

/// What lines of a table keep beyond their `best` largest cells, summed.
double left_behind(const CountTable& table, std::size_t best, bool by_column) {
  const std::size_t lines = by_column ? table.columns : table.rows;
  const std::size_t width = by_column ? table.rows : table.columns;
  std::vector<double> line(width);
  double sum = 0;
  for (std::size_t i = 0; i < lines; ++i) {
    for (std::size_t j = 0; j < width; ++j) line[j] = by_column ? table.at(j, i) : table.at(i, j);
    if (best >= width) continue;
    const auto rest = line.begin() + static_cast<std::ptrdiff_t>(best);
    std::nth_element(line.begin(), rest, line.end(), std::greater<>());
    sum += std::accumulate(rest, line.end(), 0.0);
  }
  return sum;
}

}  // namespace

int quota(std::size_t experts, int gpus, int gpu) {
  const auto count = static_cast<int>(experts);
  return count / gpus + (gpu < count % gpus ? 1 : 0);
}

double crossings(const LayerChain& chain, const ChainHomes& homes) {
  double sum = 0;
  for (std::size_t layer = 0; layer < chain.next.size(); ++layer) {
    const CountTable& next = *chain.next[layer];
    for (std::size_t i = 0; i < next.rows; ++i)
      for (std::size_t j = 0; j < next.columns; ++j)
        if (homes[layer][i] != homes[layer + 1][j]) sum += next.at(i, j);
  }
  return sum;
}

double crossings_bound(const LayerChain& chain) {
  double sum = 0;
  for (std::size_t layer = 0; layer < chain.next.size(); ++layer) {
    const auto most = [&](std::size_t of) {
      return static_cast<std::size_t>(quota(chain.experts[of], chain.gpus, 0));
    };
    sum += std::max(left_behind(*chain.next[layer], most(layer + 1), false),
                    left_behind(*chain.next[layer], most(layer), true));
  }
  return sum;
}

}  // namespace pregate::sim
