// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// Which residents may leave: those neither pinned nor, where `batch` is given, members of that batch.
class Evictable {
 public:
  Evictable(const std::vector<std::uint8_t>& pins, const std::vector<std::uint64_t>& last_batch, std::uint64_t batch)
      : pins_(pins.data()), last_batch_(last_batch.data()), batch_(batch) {}
  bool operator()(ExpertKey key) const { return pins_[key] == 0 && last_batch_[key] != batch_; }

 private:
  const std::uint8_t* pins_;
  const std::uint64_t* last_batch_;
  std::uint64_t batch_;
};

/// An ExpertCache run by one eviction policy, compiled together so that the loop over experts has no indirect
/// call.
///
/// `Eviction` is constructed from a CacheGeometry and has, all by (domain, key):
///   void miss(d, key)                        the batch missed this expert (ghost lists, counts); before
///   victim() void hit(d, key)                         a resident was activated ExpertKey victim(d, incoming,
///   evictable) whom to evict for `incoming`; no_key = nobody can leave; `incoming`
///                                            itself = do not admit (asked for with Admission::bypass, or the
///                                            policy's own nature)
///   void insert(d, key), void evict(d, key)
///   static constexpr bool evicts_batch_members = true   optional: members of the batch itself may leave; by default
///                                            they stay, and what then finds no room bypasses the cache
///   void begin_batch(d, activated)           optional; before anything else of the batch
///   void end_batch(d, activated, resident)   optional; after its last admission
template <class Eviction>
class CacheOf final : public ExpertCache {
 public:
  explicit CacheOf(const CacheGeometry& geometry) : ExpertCache(geometry), eviction_(geometry_) {
    inserted_in_.assign(geometry_.keys(), 0);
    last_batch_.assign(geometry_.keys(), 0);
  }

  std::uint32_t access(std::uint32_t domain, std::span<const ExpertKey> activated) override {
    ++batch_;
    misses_.clear();
    evicted_.clear();
    if constexpr (requires { eviction_.begin_batch(domain, activated); }) {
      eviction_.begin_batch(domain, activated);
    }
    for (const ExpertKey key : activated) {
      if (resident_[key] != 0) {
        last_batch_[key] = batch_;
        eviction_.hit(domain, key);
      } else {
        misses_.push_back(key);
      }
    }
    for (const ExpertKey key : misses_) admit(domain, key);
    if constexpr (requires { eviction_.end_batch(domain, activated, resident_); }) {
      eviction_.end_batch(domain, activated, resident_);
    }
    return static_cast<std::uint32_t>(activated.size() - misses_.size());
  }

 private:
  void admit(std::uint32_t domain, ExpertKey key) {
    eviction_.miss(domain, key);
    const std::int64_t size = geometry_.size[key];
    const std::int64_t capacity = geometry_.capacity[domain];
    if (size > capacity) return;
    while (used_[domain] + size > capacity) {
      const ExpertKey leaving = eviction_.victim(domain, key, Evictable(pins_, last_batch_, kept_batch()));
      if (leaving == no_key || leaving == key) return;
      remove(domain, leaving);
    }
    eviction_.insert(domain, key);
    resident_[key] = 1;
    inserted_in_[key] = last_batch_[key] = batch_;
    used_[domain] += size;
  }

  /// The batch whose members stay.
  [[nodiscard]] std::uint64_t kept_batch() const {
    if constexpr (requires { Eviction::evicts_batch_members; }) {
      return Eviction::evicts_batch_members ? no_batch : batch_;
    } else {
      return batch_;
    }
  }

  void remove(std::uint32_t domain, ExpertKey key) {
    eviction_.evict(domain, key);
    resident_[key] = 0;
    used_[domain] -= geometry_.size[key];
    if (inserted_in_[key] != batch_) evicted_.push_back(key);
  }

  static constexpr std::uint64_t no_batch = ~std::uint64_t{0};

  Eviction eviction_;
  std::uint64_t batch_ = 0;
  std::vector<std::uint64_t> inserted_in_, last_batch_;  // by key
};

}  // namespace pregate::cache
