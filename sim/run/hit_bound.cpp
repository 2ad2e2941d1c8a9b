// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/hit_bound.hpp"

#include <vector>

#include "sim/cache/eviction.hpp"

namespace pregate::sim {

namespace {

/// The next use of each access, as next_uses() has it; none where that is in a pass that is not counted: the
/// experts of such a pass may as well be missing.
std::vector<cache::BatchIndex> counted_uses(const Plan& plan, const ExpertMap& map, trace::StepSource& steps,
                                            const std::vector<std::uint8_t>& excluded) {
  std::vector<cache::BatchIndex> uses = next_uses(steps, map, excluded, plan.geometry.start);
  if (plan.measures_all_phases) return uses;
  std::vector<bool> counts;  // by batch
  trace::Step step;
  while (steps.next(step)) {
    const auto [first, last] = map.ordinals(step.stack);
    counts.insert(counts.end(), static_cast<std::size_t>(last - first), step.phase == trace::Phase::decode);
  }
  for (cache::BatchIndex& use : uses)
    if (use != cache::never && !counts[use]) use = cache::never;
  return uses;
}

}  // namespace

std::optional<std::string> why_no_hit_bound(const Plan& plan, const ServingSpec& serving,
                                            const trace::TraceInfo& trace) {
  if (serving.depends_on_time(trace)) return "which passes come depends on when requests arrive";
  if (plan.hits_are_decreed) return "its hit rate is given";
  if (!plan.home.empty()) return "experts are computed on other places";
  if (!plan.policy.formats.low.empty()) return "it keeps experts in two formats";
  if (plan.cache_swaps) return "experts come in between passes that nobody activated";
  if (plan.policy.lookahead.predictor->names_later_steps) return "experts come in before they are activated";
  if (const auto why = why_not_exact(plan.policy)) return *why;
  return std::nullopt;
}

HitBound hit_bound(const Plan& plan, const ExpertMap& map, trace::StepSource& steps) {
  std::vector<std::uint8_t> excluded = plan.geometry.excluded;
  excluded.resize(map.keys());
  const std::vector<cache::BatchIndex> future = counted_uses(plan, map, steps, excluded);
  cache::CacheGeometry geometry = plan.geometry;
  geometry.next_use = future;
  geometry.parameters = {};
  const auto cache = cache::eviction_registry().find("belady", "hit bound").make(geometry);
  const bool of_each_layer = plan.policy.cache.scope == CacheScope::layer;
  HitBound bound;
  StepRouting routing(map);
  std::vector<ExpertKey> cacheable;
  trace::Step step;
  steps.rewind();
  while (steps.next(step)) {
    routing.load(step);
    const auto [first, last] = map.ordinals(step.stack);
    const bool counts = plan.measures_all_phases || step.phase == trace::Phase::decode;
    for (int ordinal = first; ordinal < last; ++ordinal) {
      std::int64_t hits = 0;
      cacheable.clear();
      for (const ExpertKey key : routing.activated(ordinal)) {
        if (plan.resident[key] != 0) ++hits;
        if (excluded[key] == 0) cacheable.push_back(key);
      }
      hits += cache->access(of_each_layer ? static_cast<std::uint32_t>(ordinal) : 0U, cacheable);
      if (!counts) continue;
      bound.hits += hits;
      bound.accesses += routing.activated_count(ordinal);
    }
  }
  steps.rewind();
  return bound;
}

}  // namespace pregate::sim
