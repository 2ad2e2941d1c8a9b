// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/eviction.hpp"
#include "sim/cache/key_lists.hpp"

namespace pregate::cache {

namespace {

/// Least recently used: evicts the expert whose last activation is oldest.
/// The set is one event: its members leave in router order, hits and misses alike, which keeps LRU a stack
/// algorithm.
class Lru {
 public:
  explicit Lru(const CacheGeometry& geometry) : lists_(geometry.domains, geometry.keys()) {}

  static constexpr bool ignores_hits = true;

  void miss(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t domain, ExpertKey, const Evictable& evictable) const {
    return last_evictable(lists_, domain, evictable);
  }
  void insert(std::uint32_t, ExpertKey) {}  // end_batch() brings every resident of the set to the front
  void evict(std::uint32_t, ExpertKey key) { lists_.detach(key); }
  void end_batch(std::uint32_t domain, std::span<const ExpertKey> activated,
                 const std::vector<std::uint8_t>& resident) {
    for (const ExpertKey key : activated) {
      if (resident[key] != 0) lists_.move_to_front(domain, key);
    }
  }

 private:
  KeyLists lists_;
};

}  // namespace

void register_lru(EvictionRegistry& registry) {
  registry.add<Lru>("lru", "evicts the expert whose last activation is oldest");
}

}  // namespace pregate::cache
