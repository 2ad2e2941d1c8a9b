// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/expert_placement/placement_kinds.hpp"

namespace pregate::sim {

// One of each kind; placement_kinds() is the list.
PlacementKind dealt_in_turn();
PlacementKind dealt_in_blocks();
PlacementKind by_load();
PlacementKind by_load_and_correlation();
PlacementKind by_affinity();
PlacementKind in_two_stages();
PlacementKind with_copies();

/// Room for the answer: every expert on the first GPU.
PlacedExperts unplaced(const ExpertMap& map, const PlacementRequest& request);

/// Writes the homes of one layer.
void set_layer(ExpertHomes& homes, const MoeLayer& layer, const std::vector<std::uint8_t>& gpus);

}  // namespace pregate::sim
