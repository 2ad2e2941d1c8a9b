// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "models/units.hpp"
#include "sim/cache/admission.hpp"
#include "sim/cache/expert_key.hpp"

namespace pregate::cache {

/// Position of a batch among all batches of a run; `never` = no further use.
using BatchIndex = std::uint32_t;
inline constexpr BatchIndex never = std::numeric_limits<BatchIndex>::max();

/// A MoE layer of the model, whatever the domains are.
struct CachedLayer {
  ExpertKey first_key = 0;
  std::uint32_t first_of_stack = 0;  ///< ordinal of the first MoE layer of its stack
  std::uint32_t layers = 1;          ///< MoE layers of its stack
};

/// What a cache is made of. A domain is a set of experts that compete for the same capacity: one a MoE layer,
/// or one for all (scope global).
struct CacheGeometry {
  std::uint32_t domains = 0;
  std::vector<std::uint32_t> first_key;  ///< of each domain, plus the end: domains + 1 values, increasing
  std::vector<std::int64_t> capacity;    ///< of each domain, in the unit of `size`
  std::vector<std::int64_t> size;        ///< of each key; all 1 when capacities are slots
  Admission admission = Admission::always;
  /// Of those who come in after the start; empty: nobody is turned away before the eviction rule is asked.
  std::function<std::unique_ptr<AdmissionFilter>(const CacheGeometry&)> make_filter;
  std::uint64_t seed = 1;
  double hit_rate = 0;  ///< of the policy `given-rate`
  /// For policies that know the future: for each access, in the order of the accesses, the next batch that
  /// activates the same expert. Outlives the cache.
  std::span<const BatchIndex> next_use;
  std::vector<CachedLayer> layers;     ///< by ordinal; empty: each domain is one, of one stack
  std::vector<std::uint8_t> excluded;  ///< by key: never enters; empty: none
  std::vector<double> profile;         ///< by key: share of another trace's passes that activate it; or empty
  /// Experts that are there before the run: of the first domain, of the second, ..., of each the one that is
  /// least wanted first. EvictionEntry::make() puts them in, as a batch of each domain that nobody counts, of
  /// which `next_use` tells before all others.
  std::vector<ExpertKey> start;
  std::any parameters;  ///< of the policy, in its own type; anything else: its defaults

  [[nodiscard]] std::uint32_t keys() const { return first_key.empty() ? 0 : first_key.back(); }
};

/// The parameters of a policy, as its own file describes them.
template <class Parameters>
Parameters parameters_of(const CacheGeometry& geometry) {
  const auto* const given = std::any_cast<Parameters>(&geometry.parameters);
  return given == nullptr ? Parameters{} : *given;
}

/// A pass that begins, for policies that watch (EvictionEntry::watches).
struct PassStart {
  bool is_encoder = false, is_decode = true, first_of_request = false;
  std::uint32_t tokens = 1;
  std::uint64_t first_batch = 0;  ///< of its layers, as BatchIndex counts them
};

/// What the gate of a layer chose, for policies that watch: told before the cache is asked, of every expert
/// of the layer, those included that the cache is not asked for. Valid during the call.
struct GateOutcome {
  std::uint32_t ordinal = 0;              ///< of the layer
  std::span<const ExpertKey> activated;   ///< distinct, in router order
  std::span<const std::uint32_t> tokens;  ///< of each
  /// Token by token, `top_k` each: ids counted from `first_key` (no_id where there is none) and their gate
  /// weights as recorded. `weights` is empty where the trace has none.
  std::span<const std::uint16_t> ids;
  std::span<const float> weights;
  std::uint32_t top_k = 0;
  ExpertKey first_key = 0;
  static constexpr std::uint16_t no_id = 0xFFFF;
};

/// Two experts of a domain that change places between passes.
struct Swap {
  std::uint32_t domain = 0;
  ExpertKey in = 0, out = 0;
};

/// The set of experts that stay in GPU memory between uses. Batches are atomic: the activated set is
/// classified against the cache as it stands, then the misses are admitted one by one in router order, each
/// evicting what the policy chooses. Members of the set are not evicted by it (what finds no room bypasses
/// the cache), except by the optimal policy, which may retain any of residents and set. One virtual call a
/// batch; none an expert.
class ExpertCache {
 public:
  explicit ExpertCache(const CacheGeometry& geometry)
      : geometry_(geometry), resident_(geometry.keys()), holds_(geometry.keys()), used_(geometry.domains) {}
  virtual ~ExpertCache() = default;
  ExpertCache(const ExpertCache&) = delete;
  ExpertCache& operator=(const ExpertCache&) = delete;

  /// Classifies `activated` (distinct keys of `domain`), updates the policy's state and admits misses.
  /// Afterwards misses() and evicted() describe the batch. Returns the number of hits.
  virtual std::uint32_t access(std::uint32_t domain, std::span<const ExpertKey> activated) = 0;

  /// What policies that watch are told, and what they change between passes; the others ignore it.
  virtual void begin_pass(const PassStart&) {}
  virtual void gate(const GateOutcome&) {}
  /// Experts that changed places: each `in` must be copied. Valid until the next call.
  virtual std::span<const Swap> end_pass() { return {}; }

  /// Misses of the last batch, in router order (of some policies in the order of ids); is_resident() says
  /// whether one was retained.
  [[nodiscard]] std::span<const ExpertKey> misses() const { return {misses_.data(), miss_count_}; }
  /// How many of misses() were not retained.
  [[nodiscard]] std::size_t bypassed() const { return bypassed_; }
  /// Experts resident before the last batch and not after it.
  [[nodiscard]] std::span<const ExpertKey> evicted() const { return {evicted_.data(), evicted_count_}; }
  [[nodiscard]] bool is_resident(ExpertKey key) const { return resident_[key] != 0; }
  /// Of the batches from now on; EvictionEntry::make() sets that of its geometry.
  void set_filter(std::unique_ptr<AdmissionFilter> filter) { filter_ = std::move(filter); }
  /// A held expert is not evicted until let go as often; for residents that an announced layer will need.
  void hold(ExpertKey key) {
    ++holds_[key];
    ++held_;
  }
  void let_go(ExpertKey key) {
    --holds_[key];
    --held_;
  }
  /// In the unit of the capacity, over all domains.
  [[nodiscard]] std::int64_t used() const {
    std::int64_t sum = 0;
    for (const std::int64_t domain : used_) sum += domain;
    return sum;
  }

 protected:
  CacheGeometry geometry_;
  std::unique_ptr<AdmissionFilter> filter_;  // null: nobody is turned away
  std::vector<std::uint8_t> resident_;
  std::vector<std::uint8_t> holds_;
  std::vector<std::int64_t> used_;
  std::int64_t held_ = 0;                    // sum of holds_
  std::vector<ExpertKey> misses_, evicted_;  // the first miss_count_ and evicted_count_ are valid
  std::size_t miss_count_ = 0, evicted_count_ = 0, bypassed_ = 0;
};

}  // namespace pregate::cache
