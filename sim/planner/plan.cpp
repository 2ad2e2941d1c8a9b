// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/error.hpp"
#include "sim/planner/cache_start.hpp"
#include "sim/planner/plan_checks.hpp"
#include "sim/planner/plan_notes.hpp"
#include "sim/planner/slot_budgets.hpp"
#include "sim/residency/exclusive_host_tier.hpp"

namespace pregate::sim {

namespace {

Placed place(const PolicySpec& policy, const Unplaced& experts) {
  Placed placed;
  placed.resident.resize(experts.map.keys());
  const auto& placement = policy.placement.kind;
  if (placement->place) placement->place(placement.parameters(), experts, placed);
  return placed;
}

/// By key: never enters a cache, as it is resident or lives elsewhere.
std::vector<std::uint8_t> stay_put(const Plan& plan) {
  std::vector<std::uint8_t> put = plan.resident;
  for (std::size_t key = 0; key < plan.home.size(); ++key) {
    if (plan.home[key]) put[key] = 1;
  }
  return put;
}

std::vector<HeldElsewhere> held_elsewhere(const std::vector<std::optional<PlaceId>>& home,
                                          const ExpertMap& map, const Topology& topology) {
  std::vector<HeldElsewhere> held;
  if (home.empty()) return held;
  for (const Place& place : topology.places) held.push_back({place.name, place.kind, {}});
  for (const MoeLayer& layer : map.layers()) {
    for (int i = 0; i < layer.experts; ++i) {
      const auto& place = home[layer.first_key + static_cast<ExpertKey>(i)];
      if (place) held[static_cast<std::size_t>(*place)].experts += layer.expert_bytes;
    }
  }
  std::erase_if(held, [](const HeldElsewhere& each) { return each.experts.count == 0; });
  return held;
}

/// MoE layers.
int deepest_stack(const ExpertMap& map) {
  int most = 0;
  for (const MoeLayer& layer : map.layers()) {
    const auto [first, last] = map.ordinals(layer.stack);
    most = std::max(most, last - first);
  }
  return most;
}

std::int64_t working_buffers(const PolicySpec& policy, const ExpertMap& map, const TraceScan& scan) {
  const PredictorEntry& predictor = *policy.lookahead.predictor;
  const bool announces_copies = predictor.predicts() && !policy.prefetch.prefetcher->computes_ahead;
  const bool fetches_nothing = !policy.miss.service->fetches && !policy.miss.service->copies_too &&
                               policy.miss.admission == MissAdmission::none && !announces_copies;
  if (fetches_nothing) return 0;
  if (!announces_copies) return std::max(1, scan.most_activated);
  const std::int64_t announced = predictor.most_guesses(policy.lookahead.predictor.parameters(), map, scan);
  // The guesses in flight and in use; where they may be wrong, the misses of the layer that computes.
  const auto& prefetcher = policy.prefetch.prefetcher;
  const std::int64_t in_flight =
      prefetcher->in_flight(prefetcher.parameters(), policy.lookahead.distance, deepest_stack(map));
  const std::int64_t guesses = (in_flight + 1) * announced;
  return std::max<std::int64_t>(1, guesses + (predictor.misses_none ? 0 : scan.most_activated));
}

cache::CacheGeometry with_future(const Plan& plan) {
  cache::CacheGeometry geometry = plan.geometry;
  geometry.next_use = plan.next_use;
  return geometry;
}

}  // namespace

const cache::EvictionEntry& eviction_of(const Plan& plan) {
  return cache::eviction_registry().find(plan.policy.cache.eviction, "policy.cache.eviction");
}

std::unique_ptr<cache::ExpertCache> Plan::make_cache() const {
  return eviction_of(*this).make(with_future(*this));
}

std::unique_ptr<cache::HitCounter> Plan::make_counter() const {
  return eviction_of(*this).make_counter(with_future(*this));
}

namespace {

void plan_host_cache(Plan& plan, const ExpertMap& map, const std::vector<std::uint8_t>& never_cached,
                     const Topology& topology) {
  const auto& held = plan.policy.host_cache;
  if (held.capacity.kind == CapacityKind::none) return;
  if (!topology.has_behind(topology[topology.first(PlaceKind::cpu)].memory)) {
    throw InputError("policy.host_cache.capacity",
                     "the machine has no drive from which experts could be read",
                     "set machine.ssd.read_bandwidth and machine.ssd.capacity");
  }
  const bool of_each_layer = held.scope == CacheScope::layer;
  CacheSpec spec;
  spec.scope = held.scope;
  spec.capacity = held.capacity;
  spec.seed = held.seed;
  spec.eviction_parameters = held.eviction_parameters;
  spec.hit_rate = held.hit_rate;
  const cache::CacheGeometry geometry = cache_geometry(spec, map, never_cached, false);
  for (const std::int64_t capacity : geometry.capacity) plan.host_slots += capacity;
  const cache::EvictionEntry& eviction =
      cache::eviction_registry().find(held.eviction, "policy.host_cache.eviction");
  if (eviction.is_decreed)
    plan.notes.push_back("the hit rate of the host's memory is given (host_cache.hit_rate), not simulated");
  if (held.exclusive) {
    plan.make_host_tier = [keys = map.keys(), slots = plan.host_slots]() -> std::unique_ptr<HostTier> {
      return std::make_unique<ExclusiveHostTier>(keys, slots);
    };
    return;
  }
  plan.make_host_tier = [geometry, of_each_layer, &eviction] {
    return std::make_unique<CachedHostTier>(eviction.make(geometry), of_each_layer);
  };
}

/// Who lives where for the whole run.
void place_experts(Plan& plan, const Unplaced& experts) {
  const PolicySpec& policy = plan.policy;
  Placed placed = place(policy, experts);
  plan.resident = std::move(placed.resident);
  plan.home = std::move(placed.home);
  plan.notes = std::move(placed.notes);
  if (policy.miss.service->mark)
    plan.marked = policy.miss.service->mark(policy.miss.service.parameters(), experts.map, experts.scan);
  if (const auto why = why_not_exact(policy)) plan.notes.push_back("not exact: " + *why);
  plan.elsewhere = held_elsewhere(plan.home, experts.map, experts.topology);
  if (plan.elsewhere.empty()) plan.home.clear();  // e.g. a count of 0
  if (!plan.home.empty() && policy.compute.micro_batches > 1) {
    throw InputError("policy " + policy.name,
                     "compute.micro_batches goes with experts that are computed where the layers run",
                     "choose another placement, or remove it");
  }
}

/// Counts those that stay on the GPU. Whether the host's memory has to hold any.
bool count_residents(Plan& plan, const ExpertMap& map, const std::vector<std::string>& stacks,
                     CountedExperts counted) {
  bool some_on_host = false;
  for (const MoeLayer& layer : map.layers()) {
    const auto first = plan.resident.begin() + layer.first_key;
    const std::int64_t here = std::count(first, first + layer.experts, 1);
    std::int64_t elsewhere = 0;
    for (int i = 0; i < layer.experts; ++i)
      elsewhere += plan.lives_elsewhere(layer.first_key + static_cast<ExpertKey>(i)) ? 1 : 0;
    some_on_host = some_on_host || here + elsewhere < layer.experts;
    if (counted == CountedExperts::all || stacks[static_cast<std::size_t>(layer.stack)] == "decoder")
      plan.resident_experts += here;
  }
  return some_on_host;
}

/// Slots beside the cache.
void plan_buffers(Plan& plan, const ExpertMap& map, const TraceScan& scan, CountedExperts counted) {
  const PolicySpec& policy = plan.policy;
  plan.buffer_slots = working_buffers(policy, map, scan);
  if (scan.has_decode && policy.miss.service->fetches) {
    plan.prefill_slots = std::max(scan.most_activated_prefill, scan.most_activated_encoder);
    plan.counted_prefill_slots =
        counted == CountedExperts::all ? plan.prefill_slots : scan.most_activated_prefill;
  }
  if (policy.transfer.buffers > 0 && policy.transfer.buffers < plan.buffer_slots + plan.prefill_slots) {
    plan.buffer_slots = policy.transfer.buffers;
    plan.prefill_slots = plan.counted_prefill_slots = 0;
  }
}

/// Slots of the cache, and who is in them at the start.
void plan_cache(Plan& plan, const ExpertMap& map, const cache::EvictionEntry& eviction,
                const std::vector<std::uint8_t>& never_cached, trace::StepSource& source) {
  const PolicySpec& policy = plan.policy;
  CacheSpec cached = policy.cache;  // slots hold what is copied, or a part of it
  const double part_in_slot = policy.formats.copied * policy.formats.cached;
  cached.capacity.bytes = {
      static_cast<std::int64_t>(static_cast<double>(cached.capacity.bytes.count) / part_in_slot)};
  plan.geometry = cache_geometry(part_in_slot < 1 ? cached : policy.cache, map, never_cached, false);
  if (!plan.some_on_host) std::fill(plan.geometry.capacity.begin(), plan.geometry.capacity.end(), 0);
  if (policy.cache.split == CacheSplit::budgets && plan.some_on_host) {
    const std::string note =
        split_by_budgets(plan.geometry.capacity, policy.cache, source, map, never_cached);
    if (policy.cache.capacity.kind != CapacityKind::none) plan.notes.push_back(note);
  }
  for (const std::int64_t capacity : plan.geometry.capacity) plan.cache_slots += capacity;
  if (plan.cache_slots == 0 && policy.cache.capacity.kind != CapacityKind::none && plan.some_on_host) {
    plan.notes.push_back("the cache capacity " + to_string(policy.cache.capacity) +
                         " holds no expert in its domain: nothing is cached");
  }
  plan.cache_watches = eviction.watches;
  plan.cache_swaps = eviction.swaps;
  if (!policy.cache.profile.empty() && plan.cache_slots > 0)
    plan.notes.push_back(start_from_profile(plan.geometry, map, policy.cache.profile));
  else if (eviction.starts_full && plan.cache_slots > 0)
    plan.notes.push_back(start_from_ids(plan.geometry));
}

/// What is to come is counted by look-ups, in the trace's order: every activated expert must be looked up, as
/// it is where all misses are fetched to one GPU, and nobody else may enter.
void check_future(const Plan& plan, const cache::EvictionEntry& eviction) {
  const PolicySpec& policy = plan.policy;
  if (!eviction.needs_future || eviction.watches || plan.cache_slots == 0) return;
  if (!policy.miss.service->fetches_all() || !plan.home.empty()) {
    throw InputError("policy " + policy.name,
                     "cache.eviction = '" + eviction.name +
                         "' knows the future of a cache that looks every activated expert up, and here some "
                         "are computed elsewhere",
                     "window-oracle knows it there too (cache.foresight), or choose another --eviction");
  }
  if (policy.lookahead.predictor->names_later_steps) {
    throw InputError(
        "policy " + policy.name,
        "cache.eviction = '" + eviction.name +
            "' knows the future of a cache that only activated experts enter, and the lookahead '" +
            policy.lookahead.predictor->name + "' brings others in for later steps",
        "window-oracle knows it there too (cache.foresight), or choose another --eviction");
  }
}

}  // namespace

Plan make_plan(const PolicySpec& policy, const ExpertMap& map, const TraceScan& scan,
               const Topology& topology, trace::StepSource& source, CountedExperts counted) {
  const cache::EvictionEntry& eviction =
      cache::eviction_registry().find(policy.cache.eviction, "policy.cache.eviction");
  check_parts(policy, eviction, source.info(), topology);
  Plan plan;
  plan.policy = policy;
  plan.measures_all_phases = !scan.has_decode;
  place_experts(plan, {map, scan, topology, source});
  plan.some_on_host = count_residents(plan, map, source.info().stacks, counted);
  if (plan.some_on_host) plan_buffers(plan, map, scan, counted);
  const std::vector<std::uint8_t> never_cached = stay_put(plan);
  plan_cache(plan, map, eviction, never_cached, source);
  check_future(plan, eviction);
  if (eviction.needs_future && plan.cache_slots > 0)
    plan.next_use = next_uses(source, map, never_cached, plan.geometry.start);
  if (policy.lookahead.predictor->needs_future && plan.offloads())
    plan.decode_uses = std::make_shared<const DecodeUses>(source, map);
  if (eviction.is_decreed && plan.cache_slots > 0) {
    plan.hits_are_decreed = true;
    plan.notes.push_back("the cache's hit rate is given (cache.hit_rate), not simulated");
  }
  note_thrashing(plan, map, scan);
  note_recorded(plan, scan);
  note_nothing_to_match(plan, scan);
  plan_host_cache(plan, map, never_cached, topology);
  return plan;
}

}  // namespace pregate::sim
