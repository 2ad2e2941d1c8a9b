// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/error.hpp"
#include "sim/planner/plan.hpp"

namespace pregate::sim {

void plan_formats(Plan& plan, const ModelSpec& low, const trace::TraceInfo& info, const TraceScan& scan) {
  const auto& formats = plan.policy.formats;
  if (!plan.offloads()) return;
  if (!plan.policy.miss.service->uses_low_format) {
    plan.notes.push_back("miss.service = '" + plan.policy.miss.service->name +
                         "' never asks for an expert in formats.low: nobody uses it");
    return;
  }
  const ExpertMap map(info, low, "policy.formats.low");
  FormatPlan pool;
  for (const MoeLayer& layer : map.layers()) pool.slot = std::max(pool.slot, layer.expert_bytes);
  pool.all_experts = low.all_expert_bytes();
  pool.eviction = &cache::eviction_registry().find(plan.policy.cache.eviction, "policy.cache.eviction");
  if (pool.eviction->needs_future || pool.eviction->is_decreed || pool.eviction->swaps) {
    throw InputError("policy.cache.eviction",
                     "'" + pool.eviction->name + "' cannot serve the pools of two formats",
                     "choose one that decides by what was, e.g. lru or hobbit");
  }
  std::vector<std::uint8_t> stays = plan.resident;
  for (std::size_t key = 0; key < plan.home.size(); ++key)
    if (plan.home[key]) stays[key] = 1;
  CacheSpec spec = plan.policy.cache;
  spec.capacity = formats.low_capacity;
  pool.geometry = cache_geometry(spec, map, stays, false);
  for (const std::int64_t capacity : pool.geometry.capacity) pool.cache_slots += capacity;
  // A layer may ask for all that it activates in this format.
  pool.buffer_slots =
      std::max({1, scan.most_activated, scan.most_activated_prefill, scan.most_activated_encoder});
  plan.low = std::move(pool);
}

}  // namespace pregate::sim
