// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/error.hpp"
#include "sim/parts/placement/placement.hpp"

namespace pregate::sim {

namespace {

/// The machine's GPUs but the first, on which the layers run.
std::vector<PlaceId> other_gpus(const Topology& topology) {
  std::vector<PlaceId> others;
  for (std::size_t i = 0; i < topology.places.size(); ++i) {
    if (topology.places[i].kind == PlaceKind::gpu) others.push_back(static_cast<PlaceId>(i));
  }
  if (others.size() < 2) {
    throw InputError("policy.placement.kind", "experts are to live on other GPUs, and the machine has one",
                     "--set machine.gpu.count=2, or another placement");
  }
  others.erase(others.begin());
  return others;
}

/// Dealt out one by one, so that each other GPU gets about as many tokens.
void place_on_others(std::int64_t count, const Unplaced& experts, Placed& placed) {
  const std::vector<PlaceId> others = other_gpus(experts.topology);
  placed.home.resize(placed.resident.size());
  const std::int64_t most = count * static_cast<std::int64_t>(others.size());
  for (const MoeLayer& layer : experts.map.layers()) {
    const std::vector<ExpertKey> keys = by_popularity(layer, experts.scan);
    for (std::size_t i = 0; i < keys.size() && static_cast<std::int64_t>(i) < most; ++i)
      placed.home[keys[i]] = others[i % others.size()];
  }
}

/// Expert parallelism: expert e of a layer lives on GPU e mod n.
void place_evenly(const Unplaced& experts, Placed& placed) {
  const std::vector<PlaceId> others = other_gpus(experts.topology);
  placed.home.resize(placed.resident.size());
  for (const MoeLayer& layer : experts.map.layers()) {
    for (int i = 0; i < layer.experts; ++i) {
      const std::size_t gpu = static_cast<std::size_t>(i) % (others.size() + 1);
      const ExpertKey key = layer.first_key + static_cast<ExpertKey>(i);
      if (gpu == 0)
        placed.resident[key] = 1;
      else
        placed.home[key] = others[gpu - 1];
    }
  }
}

}  // namespace

PlacementEntry on_other_gpus() {
  PlacementEntry entry;
  entry.name = "other-gpus";
  entry.help = "'count' experts of a layer on each other GPU, which computes them, the most activated first";
  entry.mechanism = "experts on other GPUs";
  take_count(entry);
  entry.place = [](const std::any& there, const Unplaced& experts, Placed& placed) {
    place_on_others(count_of(there), experts, placed);
  };
  return entry;
}

PlacementEntry round_robin() {
  PlacementEntry entry;
  entry.name = "round-robin";
  entry.help = "every expert on one of the GPUs, in turn; each GPU computes those it has";
  entry.mechanism = "expert parallel, round robin";
  entry.place = [](const std::any&, const Unplaced& experts, Placed& placed) {
    place_evenly(experts, placed);
  };
  return entry;
}

}  // namespace pregate::sim
