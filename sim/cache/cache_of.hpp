// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <utility>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// Which residents may leave: those neither held nor members of the kept batch.
class Evictable {
 public:
  Evictable(const std::vector<std::uint8_t>& pins, const std::vector<std::uint64_t>& last_batch,
            std::uint64_t kept_batch)
      : holds_(pins.data()), last_batch_(last_batch.data()), kept_batch_(kept_batch) {}
  bool operator()(ExpertKey key) const { return holds_[key] == 0 && last_batch_[key] != kept_batch_; }

 private:
  const std::uint8_t* holds_;
  const std::uint64_t* last_batch_;
  std::uint64_t kept_batch_;
};

/// An ExpertCache run by one eviction policy, compiled together so that the loop over experts has no indirect
/// call.
///
/// `Eviction` is constructed from a CacheGeometry and has, all by (domain, key):
///   void miss(d, key)                        the batch missed this expert (ghost lists, counts); before
///   victim() void hit(d, key)                         a resident was activated; left out when ignores_hits
///   ExpertKey victim(d, incoming, evictable) whom to evict for `incoming`; no_key = nobody can leave;
///   `incoming`
///                                            itself = do not admit (asked for with Admission::bypass, or the
///                                            policy's own nature)
///   void insert(d, key), void evict(d, key)
/// and optionally
///   void begin_batch(d, activated)           before anything else of the batch
///   void end_batch(d, activated, resident)   after its last admission
///   static constexpr bool ignores_hits = true
///   static constexpr bool evicts_batch_members   members of the batch itself may leave; by default they
///   stay, and
///                                            what then finds no room bypasses the cache
///   static constexpr bool admits_by_id       misses are admitted by increasing id, not in router order
/// A policy with one of these watches (EvictionEntry::watches):
///   void begin_pass(start), void gate(outcome)   ExpertCache::begin_pass() and gate()
///   void choose_swaps(evictable, swaps)      at the end of a pass: appends pairs of a domain, one that is
///   out
///                                            for a resident that may leave; each at most once
template <class Eviction>
class CacheOf final : public ExpertCache {
 public:
  explicit CacheOf(const CacheGeometry& geometry) : ExpertCache(geometry), eviction_(geometry_) { prepare(); }
  /// With an eviction that takes more than a geometry to make.
  CacheOf(const CacheGeometry& geometry, Eviction eviction)
      : ExpertCache(geometry), eviction_(std::move(eviction)) {
    prepare();
  }

  std::uint32_t access(std::uint32_t domain, std::span<const ExpertKey> activated) override {
    const std::uint64_t batch = ++batch_;
    if (misses_.size() < activated.size()) misses_.resize(activated.size());
    evicted_count_ = 0;
    if constexpr (requires { eviction_.begin_batch(domain, activated); }) {
      eviction_.begin_batch(domain, activated);
    }
    // Whether an expert hits is unpredictable, so the common path does not branch on it. Pointers in locals:
    // stores to bytes may alias anything else.
    const std::uint8_t* const resident = resident_.data();
    std::uint64_t* const last_batch = last_batch_.data();
    ExpertKey* const misses = misses_.data();
    std::size_t missed = 0;
    for (const ExpertKey key : activated) {
      const bool is_hit = resident[key] != 0;
      misses[missed] = key;
      missed += is_hit ? 0U : 1U;
      last_batch[key] = batch;
      if constexpr (!requires { Eviction::ignores_hits; }) {
        if (is_hit) eviction_.hit(domain, key);
      }
    }
    miss_count_ = missed;
    bypassed_ = 0;
    if constexpr (requires { Eviction::admits_by_id; }) std::sort(misses, misses + missed);
    if (filter_ == nullptr) {
      for (std::size_t i = 0; i < missed; ++i) admit(domain, misses[i]);
    } else {
      admit_chosen(domain, activated);
    }
    if constexpr (requires { eviction_.end_batch(domain, activated, resident_); }) {
      eviction_.end_batch(domain, activated, resident_);
    }
    return static_cast<std::uint32_t>(activated.size() - missed);
  }

  void begin_pass(const PassStart& start) override {
    if constexpr (requires { eviction_.begin_pass(start); }) eviction_.begin_pass(start);
  }
  void gate(const GateOutcome& outcome) override {
    if constexpr (requires { eviction_.gate(outcome); }) eviction_.gate(outcome);
  }
  std::span<const Swap> end_pass() override {
    swaps_.clear();
    const Evictable evictable(holds_, last_batch_, no_batch);
    if constexpr (requires { eviction_.choose_swaps(evictable, swaps_); }) {
      eviction_.choose_swaps(evictable, swaps_);
      std::erase_if(swaps_, [this](const Swap& swap) { return !exchange(swap); });
    }
    return swaps_;
  }

 private:
  static constexpr bool evicts_batch_members = [] {
    if constexpr (requires { Eviction::evicts_batch_members; }) {
      return Eviction::evicts_batch_members;
    } else {
      return false;
    }
  }();
  static constexpr std::uint64_t no_batch = ~std::uint64_t{0};

  void prepare() {
    inserted_in_.assign(geometry_.keys(), 0);
    last_batch_.assign(geometry_.keys(), 0);
    evicted_.resize(geometry_.keys());
  }

  [[gnu::noinline]] void admit_chosen(std::uint32_t domain, std::span<const ExpertKey> activated) {
    enters_.assign(miss_count_, 1);
    filter_->choose(domain, activated, misses(), enters_);
    for (std::size_t i = 0; i < miss_count_; ++i) {
      if (enters_[i] != 0) {
        admit(domain, misses_[i]);
      } else {
        eviction_.miss(domain, misses_[i]);
        ++bypassed_;
      }
    }
  }

  void admit(std::uint32_t domain, ExpertKey key) {
    eviction_.miss(domain, key);
    const std::int64_t size = geometry_.size[key];
    const std::int64_t capacity = geometry_.capacity[domain];
    if (size > capacity) {
      ++bypassed_;
      return;
    }
    std::int64_t used = used_[domain];
    while (used + size > capacity) {
      const ExpertKey leaving = eviction_.victim(
          domain, key, Evictable(holds_, last_batch_, evicts_batch_members ? no_batch : batch_));
      if (leaving == no_key || leaving == key) {
        used_[domain] = used;
        ++bypassed_;
        return;
      }
      used -= geometry_.size[leaving];
      remove(domain, leaving);
    }
    eviction_.insert(domain, key);
    resident_[key] = 1;
    if constexpr (evicts_batch_members) inserted_in_[key] = batch_;
    used_[domain] = used + size;
  }

  /// False where the newcomer is larger than the room that there would be.
  bool exchange(const Swap& swap) {
    const std::int64_t used = used_[swap.domain] - geometry_.size[swap.out] + geometry_.size[swap.in];
    if (used > geometry_.capacity[swap.domain]) return false;
    eviction_.evict(swap.domain, swap.out);
    resident_[swap.out] = 0;
    eviction_.insert(swap.domain, swap.in);
    resident_[swap.in] = 1;
    used_[swap.domain] = used;
    return true;
  }

  void remove(std::uint32_t domain, ExpertKey key) {
    eviction_.evict(domain, key);
    resident_[key] = 0;
    if constexpr (evicts_batch_members) {
      if (inserted_in_[key] == batch_) {  // came and went inside the batch
        ++bypassed_;
        return;
      }
    }
    evicted_[evicted_count_++] = key;
  }

  Eviction eviction_;
  std::uint64_t batch_ = 0;
  std::vector<std::uint64_t> inserted_in_,
      last_batch_;  // by key: the batch of its last admission, activation
  std::vector<Swap> swaps_;
  std::vector<std::uint8_t> enters_;  // by miss of the batch, where there is a filter
};

}  // namespace pregate::cache
