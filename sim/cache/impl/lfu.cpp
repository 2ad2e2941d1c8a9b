// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/eviction.hpp"
#include "sim/cache/falling_heaps.hpp"

namespace pregate::cache {

namespace {

enum class Counts { kept, forgotten };

/// Least frequently used: evicts the expert with the fewest activations, the least recently used on a tie.
/// Counts::kept counts over the whole run (also while an expert is out); Counts::forgotten starts again from
/// one at each admission. One activation a batch. With Admission::bypass an expert counted less often than
/// every resident is not admitted.
template <Counts kind>
class Lfu {
 public:
  explicit Lfu(const CacheGeometry& geometry)
      : heaps_(geometry), counts_(geometry.keys()), bypass_(geometry.admission == Admission::bypass) {}

  void miss(std::uint32_t, ExpertKey key) { counts_[key] = kind == Counts::kept ? counts_[key] + 1 : 1; }
  void hit(std::uint32_t, ExpertKey key) {
    ++counts_[key];
    heaps_.lower(key, next_rank(key));
  }
  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) {
    const ExpertKey rarest = heaps_.top(domain, evictable);
    if (bypass_ && rarest != no_key && counts_[incoming] < counts_[rarest]) return incoming;
    return rarest;
  }
  void insert(std::uint32_t domain, ExpertKey key) { heaps_.push(domain, key, next_rank(key)); }
  void evict(std::uint32_t domain, ExpertKey key) { heaps_.remove(domain, key); }

 private:
  /// Higher leaves first: fewest activations (24 bits, then saturated), then oldest (40 bits of clock).
  std::uint64_t next_rank(ExpertKey key) {
    constexpr std::uint64_t most = (1U << 24U) - 1;
    const std::uint64_t count = counts_[key] < most ? counts_[key] : most;
    return ~((count << 40U) | (++clock_ & ((std::uint64_t{1} << 40U) - 1)));
  }

  FallingHeaps heaps_;
  std::vector<std::uint32_t> counts_;
  std::uint64_t clock_ = 0;
  bool bypass_;
};

}  // namespace

void register_lfu(EvictionRegistry& registry) {
  registry.add<Lfu<Counts::kept>>("lfu", "evicts the expert with the fewest activations so far");
  registry.add<Lfu<Counts::forgotten>>("lfu-forget",
                                       "evicts the expert with the fewest activations since its admission");
}

}  // namespace pregate::cache
