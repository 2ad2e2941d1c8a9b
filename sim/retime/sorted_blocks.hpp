// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/engine/histogram.hpp"

namespace pregate::sim {

/// MoE layers whose experts are copied while nothing else happens: each takes what it takes without copies,
/// and one copy an expert that it misses. Sorted, so that the distribution of their latencies on another link
/// costs a search for each bucket of it, not a look at each layer.
class SortedBlocks {
 public:
  struct Layers {
    std::int64_t misses = 0;
    Picoseconds without_copies;
    std::int64_t count = 0;
  };
  explicit SortedBlocks(std::vector<Layers> layers);

  /// What Histogram::add() of each gives.
  [[nodiscard]] Histogram of(Picoseconds copy) const;

 private:
  struct Group {
    std::int64_t misses = 0;
    std::size_t first = 0, last = 0;  ///< in without_copies_
    Histogram::Wide sum = 0;          ///< of without_copies over its layers
  };
  std::vector<Group> groups_;
  std::vector<std::int64_t> without_copies_;
  std::vector<std::int64_t> before_;  ///< layers before each, over all groups; and one more
};

}  // namespace pregate::sim
