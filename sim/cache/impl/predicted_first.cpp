// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/eviction.hpp"
#include "sim/cache/key_lists.hpp"

namespace pregate::cache {

namespace {

/// ExpertFlow's order (2410.17954): who is announced for a layer that has yet to run stays before all others,
/// who leave as of LRU. Announced residents are held whatever the policy (ExpertCache::hold), so what is left
/// to decide is the order of the others; without a lookahead this is LRU.
class PredictedFirst {
 public:
  explicit PredictedFirst(const CacheGeometry& geometry) : lists_(geometry.domains, geometry.keys()) {}

  static constexpr bool ignores_hits = true;

  void miss(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t domain, ExpertKey, const Evictable& evictable) const {
    return last_evictable(lists_, domain, evictable);
  }
  void insert(std::uint32_t, ExpertKey) {}
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

void register_predicted_first(EvictionRegistry& registry) {
  registry.add<PredictedFirst>("predicted-first",
                               "keeps who is announced for a layer to come; of the others evicts as lru");
}

}  // namespace pregate::cache
