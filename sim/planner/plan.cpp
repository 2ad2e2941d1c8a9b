// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

std::vector<std::uint8_t> pinned_experts(const PolicySpec& policy, const ExpertMap& map,
                                         const TraceScan& scan) {
  std::vector<std::uint8_t> pinned(map.keys());
  int moe_layer = 0;
  for (const MoeLayer& layer : map.layers()) {
    const auto first = pinned.begin() + layer.first_key;
    const std::int64_t count = std::min<std::int64_t>(policy.placement.count, layer.experts);
    switch (policy.placement.kind) {
      case PlacementKind::none:
        break;
      case PlacementKind::all:
        std::fill_n(first, layer.experts, 1);
        break;
      case PlacementKind::first_layers:
        if (moe_layer < policy.placement.count) std::fill_n(first, layer.experts, 1);
        break;
      case PlacementKind::popular: {
        std::vector<ExpertKey> keys(static_cast<std::size_t>(layer.experts));
        std::iota(keys.begin(), keys.end(), layer.first_key);
        std::stable_sort(keys.begin(), keys.end(),
                         [&](ExpertKey a, ExpertKey b) { return scan.popularity[a] > scan.popularity[b]; });
        for (std::int64_t i = 0; i < count; ++i) pinned[keys[static_cast<std::size_t>(i)]] = 1;
        break;
      }
    }
    ++moe_layer;
  }
  return pinned;
}

std::int64_t working_buffers(const PolicySpec& policy, const ExpertMap& map, const TraceScan& scan) {
  const PredictorEntry& predictor = *policy.lookahead.predictor;
  const bool fetches_nothing =
      !policy.miss.service->fetches && policy.miss.admission == MissAdmission::none && !predictor.predicts();
  if (fetches_nothing) return 0;
  if (!predictor.predicts()) return std::max(1, scan.most_activated);
  const std::int64_t announced = predictor.most_guesses(map, scan);
  // The guesses in flight and in use; where they may be wrong, the misses of the layer that computes.
  const std::int64_t guesses = (std::int64_t{policy.lookahead.distance} + 1) * announced;
  return std::max<std::int64_t>(1, guesses + (predictor.misses_none ? 0 : scan.most_activated));
}

/// Warnings that design asks for: a cache that cannot work is said, not silently simulated.
void note_thrashing(Plan& plan, const ExpertMap& map, const TraceScan& scan) {
  const PolicySpec& policy = plan.policy;
  if (plan.cache_slots == 0) return;
  const bool global = policy.cache.scope == CacheScope::global;
  const std::int64_t smallest =
      *std::min_element(plan.geometry.capacity.begin(), plan.geometry.capacity.end());
  if (!global && smallest < scan.most_activated) {
    plan.notes.push_back(
        "the cache holds " + std::to_string(smallest) + " experts a layer, but a step activates up to " +
        std::to_string(scan.most_activated) + ": the rest bypass it through the working buffers");
  }
  if (global && scan.steps > 0) {
    std::int64_t cycle = 0;  // a token's own cycle: its top-k in every layer of the deepest stack
    for (std::size_t stack = 0; stack < 2; ++stack) {
      std::int64_t sum = 0;
      for (const MoeLayer& layer : map.layers()) {
        if (layer.stack == static_cast<int>(stack)) sum += layer.top_k;
      }
      cycle = std::max(cycle, sum);
    }
    if (plan.cache_slots < cycle && (policy.cache.eviction == "lru" || policy.cache.eviction == "fifo")) {
      plan.notes.push_back("a global " + policy.cache.eviction + " cache of " +
                           std::to_string(plan.cache_slots) +
                           " experts is smaller than one token's cycle of " + std::to_string(cycle) +
                           " and hits next to nothing: use --cache-scope layer or a larger cache");
    }
  }
}

}  // namespace

cache::CacheGeometry cache_geometry(const PolicySpec& policy, const ExpertMap& map,
                                    const std::vector<std::uint8_t>& pinned, bool by_bytes) {
  cache::CacheGeometry geometry;
  geometry.admission = policy.cache.admission;
  geometry.seed = policy.cache.seed;
  const bool global = policy.cache.scope == CacheScope::global;
  std::vector<std::int64_t> free_experts, free_bytes;  // of each domain, not pinned
  std::int64_t slot = 1;
  for (const MoeLayer& layer : map.layers()) {
    slot = std::max(slot, layer.expert_bytes.count);
    const std::int64_t size = by_bytes ? layer.expert_bytes.count : 1;
    geometry.size.insert(geometry.size.end(), static_cast<std::size_t>(layer.experts), size);
    if (!global || geometry.domains == 0) {
      geometry.first_key.push_back(layer.first_key);
      free_experts.push_back(0);
      free_bytes.push_back(0);
      ++geometry.domains;
    }
    const auto first = pinned.begin() + layer.first_key;
    const std::int64_t free = layer.experts - std::count(first, first + layer.experts, 1);
    free_experts.back() += free;
    free_bytes.back() += free * layer.expert_bytes.count;
  }
  geometry.first_key.push_back(map.keys());
  geometry.hit_rate = policy.cache.hit_rate.value_or(0);

  const Capacity& capacity = policy.cache.capacity;
  const bool spread = policy.cache.split == CacheSplit::spread && !by_bytes;
  std::int64_t experts_before = 0;
  for (std::uint32_t domain = 0; domain < geometry.domains; ++domain) {
    const std::int64_t experts = free_experts[domain];
    std::int64_t slots = 0;
    switch (capacity.kind) {
      case CapacityKind::none:
        break;
      case CapacityKind::slots:
        slots = capacity.slots;
        break;
      case CapacityKind::bytes: {
        const std::int64_t share = capacity.bytes.count / geometry.domains;
        const std::int64_t all = capacity.bytes.count / slot;
        slots = by_bytes ? share : share / slot;
        if (spread) slots = all * (domain + 1) / geometry.domains - all * domain / geometry.domains;
        break;
      }
      case CapacityKind::share: {
        const auto share_of = [&](std::int64_t whole) {
          return static_cast<std::int64_t>(std::floor(capacity.share * static_cast<double>(whole) + 1e-9));
        };
        slots = spread ? share_of(experts_before + experts) - share_of(experts_before)
                       : share_of(by_bytes ? free_bytes[domain] : experts);
        break;
      }
    }
    experts_before += experts;
    if (by_bytes && capacity.kind == CapacityKind::slots) slots *= slot;
    geometry.capacity.push_back(std::min(slots, by_bytes ? free_bytes[domain] : experts));
  }
  return geometry;
}

namespace {

const cache::EvictionEntry& eviction_of(const Plan& plan) {
  return cache::eviction_registry().find(plan.policy.cache.eviction, "policy.cache.eviction");
}
cache::CacheGeometry with_future(const Plan& plan) {
  cache::CacheGeometry geometry = plan.geometry;
  geometry.next_use = plan.next_use;
  return geometry;
}

}  // namespace

std::unique_ptr<cache::ExpertCache> Plan::make_cache() const {
  return eviction_of(*this).make(with_future(*this));
}

std::unique_ptr<cache::HitCounter> Plan::make_counter() const {
  return eviction_of(*this).make_counter(with_future(*this));
}

namespace {

void check_hit_rate(const PolicySpec& policy, const cache::EvictionEntry& eviction) {
  const std::string where = "policy " + policy.name;
  if (policy.placement.kind == PlacementKind::all) return;
  if (!eviction.is_decreed) {
    if (!policy.cache.hit_rate) return;
    throw InputError(where, "cache.hit_rate means nothing with the eviction '" + eviction.name + "'",
                     "remove it, or set cache.eviction to given-rate");
  }
  if (!policy.cache.hit_rate) {
    throw InputError(where, "the eviction '" + eviction.name + "' needs the rate at which the cache hits",
                     "e.g. --set policy.cache.hit_rate=0.7");
  }
  if (policy.cache.capacity.kind == CapacityKind::none) {
    throw InputError(where, "a cache that hits needs memory",
                     "give its capacity (--cache): it counts as GPU memory");
  }
  if (policy.miss.service->uses_cpu || policy.transfer.write_back == WriteBack::swap) {
    throw InputError(where, "a given hit rate goes with misses that are fetched and experts that just leave",
                     "remove miss.service and transfer.write_back");
  }
}

}  // namespace

Plan make_plan(const PolicySpec& policy, const ExpertMap& map, const TraceScan& scan,
               trace::StepSource& source, CountedExperts counted) {
  const cache::EvictionEntry& eviction =
      cache::eviction_registry().find(policy.cache.eviction, "policy.cache.eviction");
  if (policy.lookahead.predictor->needs_recorded) {
    const trace::TraceInfo& info = source.info();
    if (!info.has_predictions) {
      throw InputError(
          "policy " + policy.name,
          "the lookahead '" + policy.lookahead.predictor->name + "' needs a trace with predicted experts",
          "this trace has none (pregate trace info shows what it holds)");
    }
    if (info.prediction_distance != policy.lookahead.distance) {
      throw InputError("policy " + policy.name,
                       "the trace predicts " + std::to_string(info.prediction_distance) +
                           " MoE layers ahead, the policy looks " +
                           std::to_string(policy.lookahead.distance) + " ahead",
                       "--set policy.lookahead.distance=" + std::to_string(info.prediction_distance));
    }
  }

  check_hit_rate(policy, eviction);
  Plan plan;
  plan.policy = policy;
  plan.measures_all_phases = !scan.has_decode;
  plan.pinned = pinned_experts(policy, map, scan);
  const std::vector<std::string>& stacks = source.info().stacks;
  bool everything_pinned = true;
  for (const MoeLayer& layer : map.layers()) {
    const auto first = plan.pinned.begin() + layer.first_key;
    const std::int64_t here = std::count(first, first + layer.experts, 1);
    everything_pinned = everything_pinned && here == layer.experts;
    if (counted == CountedExperts::all || stacks[static_cast<std::size_t>(layer.stack)] == "decoder") {
      plan.pinned_experts += here;
    }
  }
  plan.geometry = cache_geometry(policy, map, plan.pinned, false);
  if (everything_pinned) {
    std::fill(plan.geometry.capacity.begin(), plan.geometry.capacity.end(), 0);
  } else {
    plan.some_on_host = true;
    plan.buffer_slots = working_buffers(policy, map, scan);
    if (scan.has_decode && policy.miss.service->fetches) {
      plan.prefill_slots = std::max(scan.most_activated_prefill, scan.most_activated_encoder);
      plan.counted_prefill_slots =
          counted == CountedExperts::all ? plan.prefill_slots : scan.most_activated_prefill;
    }
  }
  for (const std::int64_t capacity : plan.geometry.capacity) plan.cache_slots += capacity;
  if (plan.cache_slots == 0 && policy.cache.capacity.kind != CapacityKind::none && !everything_pinned) {
    plan.notes.push_back("the cache capacity " + to_string(policy.cache.capacity) +
                         " holds no expert in its domain: nothing is cached");
  }
  if (eviction.needs_future && plan.cache_slots > 0) plan.next_use = next_uses(source, map, plan.pinned);
  if (eviction.is_decreed && plan.cache_slots > 0) {
    plan.hits_are_decreed = true;
    plan.notes.push_back("the cache's hit rate is given (cache.hit_rate), not simulated");
  }
  note_thrashing(plan, map, scan);
  return plan;
}

}  // namespace pregate::sim
