// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/parts/placement/placement.hpp"

namespace pregate::sim {

PlacementEntry all_resident() {
  PlacementEntry entry;
  entry.name = "all";
  entry.help = "every expert is resident for the run";
  entry.mechanism = "gpu-only";
  entry.keeps_all = true;
  entry.by_counts = true;
  entry.place = [](const std::any&, const Unplaced&, Placed& placed) {
    std::fill(placed.resident.begin(), placed.resident.end(), 1);
  };
  return entry;
}

}  // namespace pregate::sim
