// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/eviction.hpp"
#include "sim/cache/split_mix.hpp"

namespace pregate::cache {

namespace {

/// Evicts a resident drawn uniformly from the policy's own seeded sequence (splitmix64, Steele et al., OOPSLA
/// 2014). With Admission::bypass the incoming expert is drawn from as well.
class Random {
 public:
  explicit Random(const CacheGeometry& geometry)
      : draws_(geometry.seed),
        bypass_(geometry.admission == Admission::bypass),
        residents_(geometry.domains),
        place_(geometry.keys()) {}

  void miss(std::uint32_t, ExpertKey) {}
  void hit(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) {
    const std::vector<ExpertKey>& residents = residents_[domain];
    const std::size_t candidates = residents.size() + (bypass_ ? 1 : 0);
    if (candidates == 0) return no_key;
    const std::size_t drawn = draws_.below(candidates);
    if (drawn == residents.size()) return incoming;
    // The next one that may leave, when the drawn one may not.
    for (std::size_t i = 0; i < residents.size(); ++i) {
      const ExpertKey key = residents[(drawn + i) % residents.size()];
      if (evictable(key)) return key;
    }
    return no_key;
  }
  void insert(std::uint32_t domain, ExpertKey key) {
    place_[key] = static_cast<std::uint32_t>(residents_[domain].size());
    residents_[domain].push_back(key);
  }
  void evict(std::uint32_t domain, ExpertKey key) {
    std::vector<ExpertKey>& residents = residents_[domain];
    residents[place_[key]] = residents.back();
    place_[residents.back()] = place_[key];
    residents.pop_back();
  }

 private:
  SplitMix draws_;
  bool bypass_;
  std::vector<std::vector<ExpertKey>> residents_;
  std::vector<std::uint32_t> place_;
};

}  // namespace

void register_random(EvictionRegistry& registry) {
  registry.add<Random>("random", "evicts a resident drawn at random (policy.cache.seed)").draws = true;
}

}  // namespace pregate::cache
