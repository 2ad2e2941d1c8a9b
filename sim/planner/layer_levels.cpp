// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What a layer does to the levels behind the GPU: who comes back to the host's memory, what is read ahead.
#include <cstddef>

#include "sim/planner/layer_planner.hpp"

namespace pregate::sim {

void LayerPlanner::leave_slot(ExpertKey key) {
  if (slots_.holds(key)) reads_.take_back(key);
  slots_.release(key);
}

/// While this layer computes, the experts of a later one are read, in the next pass's where there is none.
void LayerPlanner::read_ahead(int ordinal) {
  reads_.leave(ordinal);
  const int ahead = plan_.policy.host_cache.preload;
  if (ahead == 0) return;
  const auto [first, last] = map_.ordinals(map_.layers()[static_cast<std::size_t>(ordinal)].stack);
  const int target = first + (ordinal - first + ahead) % (last - first);
  const MoeLayer& layer = map_.layers()[static_cast<std::size_t>(target)];
  to_read_.clear();
  for (int i = 0; i < layer.experts; ++i) {
    const ExpertKey key = layer.first_key + static_cast<ExpertKey>(i);
    if (plan_.resident[key] == 0 && !plan_.lives_elsewhere(key)) to_read_.push_back(key);
  }
  reads_.preload(target, layer.layer, to_read_, ids_known_);
}

}  // namespace pregate::sim
