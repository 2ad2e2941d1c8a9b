// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/replay.hpp"

#include "models/error.hpp"
#include "sim/planner/cache_start.hpp"
#include "sim/planner/plan.hpp"
#include "sim/planner/plan_checks.hpp"
#include "sim/run/pass_lookups.hpp"

namespace pregate::sim {

namespace {

trace::TraceInfo with_sizes(trace::TraceInfo info, Bytes expert_bytes) {
  for (trace::TraceLayer& layer : info.layers) {
    if (expert_bytes.count > 0) layer.expert_bytes = expert_bytes;
  }
  return info;
}

/// A cache and nothing else.
Plan plan_replay(const ExpertMap& map, const PolicySpec& policy, const trace::TraceInfo& info,
                 trace::StepSource& source, bool by_bytes) {
  Plan plan;
  plan.policy = policy;
  const std::vector<std::uint8_t> none_excluded(map.keys());
  plan.geometry = cache_geometry(policy.cache, map, none_excluded, by_bytes);
  const cache::EvictionEntry& eviction = cache::eviction_registry().find(policy.cache.eviction, "--eviction");
  if (eviction.is_decreed) {
    throw InputError("--eviction",
                     "'" + eviction.name + "' replaces nothing: its hit rate is what one gives it",
                     "choose another (pregate list evictions)");
  }
  check_gate_weights("policy.cache.eviction", eviction, info);
  if (!policy.cache.profile.empty())
    start_from_profile(plan.geometry, map, policy.cache.profile);
  else if (eviction.starts_full)
    start_from_ids(plan.geometry);
  if (eviction.needs_future) plan.next_use = next_uses(source, map, none_excluded, plan.geometry.start);
  plan.cache_watches = eviction.watches;
  return plan;
}

}  // namespace

ReplayResult replay(trace::StepSource& source, const PolicySpec& policy, Bytes expert_bytes) {
  const trace::TraceInfo info = with_sizes(source.info(), expert_bytes);
  bool sizes_known = true;
  for (const trace::TraceLayer& layer : info.layers)
    sizes_known = sizes_known && layer.expert_bytes.count > 0;
  const bool by_bytes = policy.cache.capacity.kind == CapacityKind::bytes;
  if (by_bytes && !sizes_known) {
    throw InputError("--cache", "a size in bytes, but the trace does not record how large an expert is",
                     "give --expert-bytes, or a capacity in slots or per cent");
  }
  const ExpertMap map(info);
  const Plan plan = plan_replay(map, policy, info, source, by_bytes);
  PassLookups lookups(map, plan);
  std::vector<std::uint32_t> layer_hits(map.layers().size());

  ReplayResult result;
  StepRouting routing(map);
  trace::Step step;
  source.rewind();
  while (source.next(step)) {
    routing.load(step);
    const auto [first, last] = map.ordinals(step.stack);
    const std::span<const cache::BatchRange> batches = routing.ranges(first, last);
    lookups.count(step, routing, layer_hits.data());
    std::int64_t hits = 0, accesses = 0;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      hits += layer_hits[i];
      accesses += batches[i].size();
    }
    for (int ordinal = first; ordinal < last; ++ordinal) result.routed += routing.routed(ordinal);
    if (sizes_known) {
      for (std::size_t i = 0; i < batches.size(); ++i) {
        const Bytes size = map.layers()[static_cast<std::size_t>(first) + i].expert_bytes;
        result.read += size * (std::int64_t{batches[i].size()} - layer_hits[i]);
      }
    }
    for (const cache::Swap& swap : lookups.end_pass()) {
      ++result.swaps;
      if (sizes_known)
        result.read += map.layers()[static_cast<std::size_t>(map.ordinal_of(swap.in))].expert_bytes;
    }
    result.hits += hits;
    result.accesses += accesses;
    result.batches += last - first;
    if (step.phase == trace::Phase::decode) {
      result.decode_hits += hits;
      result.decode_accesses += accesses;
    }
  }
  source.rewind();
  return result;
}

}  // namespace pregate::sim
