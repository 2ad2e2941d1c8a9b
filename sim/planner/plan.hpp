// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/machine.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/platform/topology.hpp"
#include "sim/policy/policy.hpp"
#include "sim/residency/host_tier.hpp"
#include "sim/workload/decode_uses.hpp"
#include "sim/workload/routing.hpp"
#include "sim/workload/trace_scan.hpp"

namespace pregate::sim {

/// Whose resident experts count as GPU memory (the default is everything; the Pre-gated MoE artifact counts
/// the decoder's only).
enum class CountedExperts { all, decoder };

/// Experts that live on another place than where the layers run.
struct HeldElsewhere {
  std::string place;
  PlaceKind kind = PlaceKind::gpu;
  Bytes experts;
};

/// The GPU's pool of a second format.
struct FormatPlan {
  Bytes slot;         ///< the largest expert of the format
  Bytes all_experts;  ///< which the host's memory holds as well
  cache::CacheGeometry geometry;
  const cache::EvictionEntry* eviction = nullptr;
  std::int64_t cache_slots = 0, buffer_slots = 0;
  [[nodiscard]] std::unique_ptr<cache::ExpertCache> make_cache() const { return eviction->make(geometry); }
};

/// A policy resolved against a model and a trace: numbers instead of words.
struct Plan {
  PolicySpec policy;
  std::vector<std::uint8_t> resident;  ///< by key: for the whole run, where the layers run
  /// By key: where it lives and is computed, if not where the layers run; empty: none does.
  std::vector<std::optional<PlaceId>> home;
  std::vector<HeldElsewhere> elsewhere;  ///< of each place that `home` names
  MakeHostTier make_host_tier;           ///< empty: the host's memory holds every expert
  std::int64_t host_slots = 0;           ///< otherwise: experts that it holds
  std::vector<std::uint8_t> marked;      ///< by key, of miss services that mark
  std::int64_t resident_experts = 0;     ///< that count as GPU memory
  cache::CacheGeometry geometry;         ///< of the expert cache; capacities in slots
  std::int64_t cache_slots = 0;
  std::int64_t buffer_slots = 0;  ///< working buffers of decode steps, beside the cache
  /// Buffers of passes over many tokens, beside those: as many as one such layer activates, so that it
  /// computes in one operation. Fewer where memory is short (then it runs in waves).
  std::int64_t prefill_slots = 0;
  std::int64_t counted_prefill_slots = 0;         ///< those that count as GPU memory (CountedExperts)
  std::optional<FormatPlan> low;                  ///< PolicySpec::formats
  std::vector<cache::BatchIndex> next_use;        ///< only for eviction policies that know the future
  std::shared_ptr<const DecodeUses> decode_uses;  ///< likewise, for predictors
  bool measures_all_phases = false;  ///< block latencies of every phase, as the trace has no decode steps
  std::vector<std::string> notes;    ///< what the user should know: thrashing, recordings with fewer experts
  bool some_on_host = false;         ///< some are fetched, or computed by the CPU
  bool cache_watches = false;        ///< of the eviction: EvictionEntry::watches, and swaps
  bool cache_swaps = false;
  std::int32_t first_slot = 0;    ///< number of its GPU's first slot among those of all
  bool hits_are_decreed = false;  ///< the cache keeps nothing: it hits at a given rate
  /// How much later than its end the tokens of a pass are handed out, where one with prompts follows it.
  Picoseconds late_tokens = {};
  [[nodiscard]] bool offloads() const { return some_on_host; }
  [[nodiscard]] bool lives_elsewhere(ExpertKey key) const { return !home.empty() && home[key].has_value(); }
  [[nodiscard]] bool computes_on_cpu() const { return policy.miss.service->uses_cpu; }
  /// The cache holds a part of each of its experts, and a hit is fetched the rest of.
  [[nodiscard]] bool splits_experts() const { return policy.formats.cached < 1 && cache_slots > 0; }
  /// Slots of whole experts.
  [[nodiscard]] std::int64_t whole_slots() const {
    return (splits_experts() ? 0 : cache_slots) + buffer_slots + prefill_slots;
  }
  /// Some part asks what the time is, or takes copies back.
  [[nodiscard]] bool needs_clock() const {
    const bool prefetches =
        policy.lookahead.predictor->predicts() &&
        (policy.prefetch.prefetcher->needs_clock || policy.prefetch.wrong == WrongGuesses::cancel);
    return prefetches || policy.miss.service->needs_clock;
  }
  /// Null: every miss is fetched.
  [[nodiscard]] std::unique_ptr<MissService> make_miss_service() const {
    const auto& service = policy.miss.service;
    return service->fetches_all() ? nullptr : service->make(service.parameters());
  }
  [[nodiscard]] std::unique_ptr<cache::ExpertCache> make_cache() const;
  [[nodiscard]] std::unique_ptr<cache::HitCounter> make_counter() const;
};

/// The eviction of the plan's cache.
const cache::EvictionEntry& eviction_of(const Plan& plan);

/// Geometry of a cache over `map`: capacities in slots, or in bytes when `by_bytes` (then keys have their own
/// sizes). `excluded` keys do not count towards a share. InputError when the eviction policy is unknown.
cache::CacheGeometry cache_geometry(const CacheSpec& spec, const ExpertMap& map,
                                    const std::vector<std::uint8_t>& excluded, bool by_bytes);

/// InputError when the policy needs what the trace lacks (recorded predictions) or its parts contradict.
/// `topology`: that it will run on.
Plan make_plan(const PolicySpec& policy, const ExpertMap& map, const TraceScan& scan,
               const Topology& topology, trace::StepSource& source, CountedExperts counted);

/// Adds the pool of the policy's formats.low; to be called after make_plan(). InputError for an eviction that
/// cannot serve two pools.
/// `low`: the model in that format.
void plan_formats(Plan& plan, const ModelSpec& low, const trace::TraceInfo& info, const TraceScan& scan);

}  // namespace pregate::sim
