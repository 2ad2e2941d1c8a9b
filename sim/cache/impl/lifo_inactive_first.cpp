// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/eviction.hpp"
#include "sim/cache/key_lists.hpp"

namespace pregate::cache {

namespace {

/// Experts that run one after the other by increasing id, as of Huang et al. (2303.06182): who is not
/// activated leaves first, then who has run already in this event, and of either the one admitted last. One
/// that has yet to run stays, which the source leaves open; a miss that finds only such bypasses the cache.
/// Misses are admitted by increasing id.
class LifoInactiveFirst {
 public:
  explicit LifoInactiveFirst(const CacheGeometry& geometry)
      : lists_(geometry.domains, geometry.keys()),
        activated_in_(geometry.keys()),
        bypass_(geometry.admission == Admission::bypass) {}

  static constexpr bool ignores_hits = true;
  static constexpr bool evicts_batch_members = true;
  static constexpr bool admits_by_id = true;

  void begin_batch(std::uint32_t, std::span<const ExpertKey> activated) {
    ++event_;
    for (const ExpertKey key : activated) activated_in_[key] = event_;
  }
  void miss(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) const {
    if (bypass_) return incoming;  // the newest of all
    ExpertKey has_run = no_key;
    for (ExpertKey key = lists_.front(domain); key != no_key; key = lists_.next(key)) {
      if (!evictable(key)) continue;
      if (activated_in_[key] != event_) return key;
      if (has_run == no_key && key < incoming) has_run = key;
    }
    return has_run;
  }
  void insert(std::uint32_t domain, ExpertKey key) { lists_.push_front(domain, key); }
  void evict(std::uint32_t domain, ExpertKey key) { lists_.remove(domain, key); }

 private:
  KeyLists lists_;
  std::vector<std::uint64_t> activated_in_;  // by key: the event of its last activation
  std::uint64_t event_ = 0;
  bool bypass_;
};

}  // namespace

void register_lifo_inactive_first(EvictionRegistry& registry) {
  registry.add<LifoInactiveFirst>(
      "lifo-inactive-first",
      "evicts who is not activated, then who has run (by increasing id); of these the one admitted last");
}

}  // namespace pregate::cache
