// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/planner/plan.hpp"

namespace pregate::sim {

namespace {

/// Experts that a cache may hold, by domain, and what the largest of them takes.
struct Cacheable {
  std::vector<std::int64_t> experts, bytes;
  std::int64_t slot;
};

void set_capacities(cache::CacheGeometry& geometry, const CacheSpec& spec, const Cacheable& free,
                    bool by_bytes) {
  const Capacity& capacity = spec.capacity;
  const bool spread = spec.split != CacheSplit::even && !by_bytes;
  std::int64_t experts_before = 0;
  for (std::uint32_t domain = 0; domain < geometry.domains; ++domain) {
    const std::int64_t experts = free.experts[domain];
    std::int64_t slots = 0;
    switch (capacity.kind) {
      case CapacityKind::none:
        break;
      case CapacityKind::slots:
        slots = capacity.slots;
        break;
      case CapacityKind::bytes: {
        const std::int64_t share = capacity.bytes.count / geometry.domains;
        const std::int64_t all = capacity.bytes.count / free.slot;
        slots = by_bytes ? share : share / free.slot;
        if (spread) slots = all * (domain + 1) / geometry.domains - all * domain / geometry.domains;
        break;
      }
      case CapacityKind::share: {
        const auto share_of = [&](std::int64_t whole) {
          return static_cast<std::int64_t>(std::floor(capacity.share * static_cast<double>(whole) + 1e-9));
        };
        slots = spread ? share_of(experts_before + experts) - share_of(experts_before)
                       : share_of(by_bytes ? free.bytes[domain] : experts);
        break;
      }
    }
    experts_before += experts;
    if (by_bytes && capacity.kind == CapacityKind::slots) slots *= free.slot;
    geometry.capacity.push_back(std::min(slots, by_bytes ? free.bytes[domain] : experts));
  }
}

}  // namespace

cache::CacheGeometry cache_geometry(const CacheSpec& spec, const ExpertMap& map,
                                    const std::vector<std::uint8_t>& excluded, bool by_bytes) {
  pregate::cache::CacheGeometry geometry;
  geometry.admission = spec.admission->eviction;
  if (spec.admission->make) {
    geometry.make_filter = [admission = spec.admission](const cache::CacheGeometry& made) {
      return admission->make(admission.parameters(), made);
    };
  }
  geometry.seed = spec.seed;
  geometry.excluded = excluded;
  geometry.parameters = spec.eviction_parameters;
  const bool global = spec.scope == CacheScope::global;
  std::vector<std::int64_t> free_experts, free_bytes;  // of each domain, not excluded
  std::int64_t slot = 1;
  for (const MoeLayer& layer : map.layers()) {
    slot = std::max(slot, layer.expert_bytes.count);
    const auto [first_of_stack, end_of_stack] = map.ordinals(layer.stack);
    geometry.layers.push_back({layer.first_key, static_cast<std::uint32_t>(first_of_stack),
                               static_cast<std::uint32_t>(end_of_stack - first_of_stack)});
    const std::int64_t size = by_bytes ? layer.expert_bytes.count : 1;
    geometry.size.insert(geometry.size.end(), static_cast<std::size_t>(layer.experts), size);
    if (!global || geometry.domains == 0) {
      geometry.first_key.push_back(layer.first_key);
      free_experts.push_back(0);
      free_bytes.push_back(0);
      ++geometry.domains;
    }
    const auto first = excluded.begin() + layer.first_key;
    const std::int64_t free = layer.experts - std::count(first, first + layer.experts, 1);
    free_experts.back() += free;
    free_bytes.back() += free * layer.expert_bytes.count;
  }
  geometry.first_key.push_back(map.keys());
  geometry.hit_rate = spec.hit_rate.value_or(0);

  set_capacities(geometry, spec, {std::move(free_experts), std::move(free_bytes), slot}, by_bytes);
  return geometry;
}

}  // namespace pregate::sim
