// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "models/units.hpp"
#include "sim/cache/admission.hpp"

namespace pregate::cache {

/// Experts are dense small integers inside the simulation: all experts of the first MoE layer, then of the
/// second...
using ExpertKey = std::uint32_t;
inline constexpr ExpertKey no_key = std::numeric_limits<ExpertKey>::max();

/// Position of a batch among all batches of a run; `never` = no further use.
using BatchIndex = std::uint32_t;
inline constexpr BatchIndex never = std::numeric_limits<BatchIndex>::max();

/// What a cache is made of. A domain is a set of experts that compete for the same capacity: one a MoE layer,
/// or one for all (scope global).
struct CacheGeometry {
  std::uint32_t domains = 0;
  std::vector<std::uint32_t> first_key;  ///< of each domain, plus the end: domains + 1 values, increasing
  std::vector<std::int64_t> capacity;    ///< of each domain, in the unit of `size`
  std::vector<std::int64_t> size;        ///< of each key; all 1 when capacities are slots
  Admission admission = Admission::always;
  std::uint64_t seed = 1;
  double hit_rate = 0;  ///< of the policy `given-rate`
  /// For policies that know the future: for each access, in the order of the accesses, the next batch that
  /// activates the same expert. Outlives the cache.
  std::span<const BatchIndex> next_use;

  [[nodiscard]] std::uint32_t keys() const { return first_key.empty() ? 0 : first_key.back(); }
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

  /// Misses of the last batch, in router order; is_resident() says whether one was retained.
  [[nodiscard]] std::span<const ExpertKey> misses() const { return {misses_.data(), miss_count_}; }
  /// How many of misses() were not retained.
  [[nodiscard]] std::size_t bypassed() const { return bypassed_; }
  /// Experts resident before the last batch and not after it.
  [[nodiscard]] std::span<const ExpertKey> evicted() const { return {evicted_.data(), evicted_count_}; }
  [[nodiscard]] bool is_resident(ExpertKey key) const { return resident_[key] != 0; }
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
  std::vector<std::uint8_t> resident_;
  std::vector<std::uint8_t> holds_;
  std::vector<std::int64_t> used_;
  std::int64_t held_ = 0;                    // sum of holds_
  std::vector<ExpertKey> misses_, evicted_;  // the first miss_count_ and evicted_count_ are valid
  std::size_t miss_count_ = 0, evicted_count_ = 0, bypassed_ = 0;
};

}  // namespace pregate::cache
