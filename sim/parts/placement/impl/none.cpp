// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/placement/placement.hpp"

namespace pregate::sim {

PlacementEntry no_placement() {
  PlacementEntry entry;
  entry.name = "none";
  entry.help = "no expert is there before the run";
  entry.by_counts = true;
  return entry;
}

}  // namespace pregate::sim
