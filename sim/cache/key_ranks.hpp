// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// Experts with a 64-bit rank each, in one unordered row a domain: the highest rank is found by scanning.
/// Does what KeyHeaps does and is faster where a domain holds few, because a scan has no branch that depends
/// on the ranks. Ranks within a domain are distinct. No allocation after construction.
class KeyRanks {
 public:
  explicit KeyRanks(const CacheGeometry& geometry)
      : first_(geometry.first_key),
        size_(geometry.domains),
        ranks_(geometry.keys() + 1),
        keys_(geometry.keys() + 1),
        place_(geometry.keys(), geometry.keys()) {}

  void push(std::uint32_t domain, ExpertKey key, std::uint64_t rank) {
    const std::uint32_t place = first_[domain] + size_[domain]++;
    ranks_[place] = rank;
    keys_[place] = key;
    place_[key] = place;
  }

  /// Gives `key` another rank, if it is there.
  void set(std::uint32_t, ExpertKey key, std::uint64_t rank) { ranks_[place_[key]] = rank; }

  void remove(std::uint32_t domain, ExpertKey key) {
    const std::uint32_t place = place_[key];
    const std::uint32_t last = first_[domain] + --size_[domain];
    ranks_[place] = ranks_[last];
    keys_[place] = keys_[last];
    place_[keys_[last]] = place;
    place_[key] = absent();
  }

  /// The key of highest rank that may leave; no_key when none may.
  template <class Evictable>
  [[nodiscard]] ExpertKey top(std::uint32_t domain, const Evictable& evictable) const {
    const std::uint32_t size = size_[domain];
    if (size == 0) return no_key;
    const std::uint64_t* const ranks = &ranks_[first_[domain]];
    const ExpertKey* const keys = &keys_[first_[domain]];
    // Two searches side by side, each a chain of conditional moves.
    std::uint64_t best[2] = {ranks[0], ranks[0]};
    std::uint32_t at[2] = {0, 0};
    for (std::uint32_t i = 0; i + 1 < size; i += 2) {
      for (std::uint32_t side = 0; side < 2; ++side) {
        const std::uint64_t rank = ranks[i + side];
        const bool higher = rank > best[side];
        best[side] = higher ? rank : best[side];
        at[side] = higher ? i + side : at[side];
      }
    }
    std::uint64_t highest = best[0] > best[1] ? best[0] : best[1];
    std::uint32_t place = best[0] > best[1] ? at[0] : at[1];
    if (ranks[size - 1] > highest) place = size - 1;
    if (evictable(keys[place])) return keys[place];
    return top_of_evictable(ranks, keys, size, evictable);
  }

 private:
  /// Where ranks of keys that are not there are written: past the last domain.
  [[nodiscard]] std::uint32_t absent() const { return first_.back(); }

  template <class Evictable>
  static ExpertKey top_of_evictable(const std::uint64_t* ranks, const ExpertKey* keys, std::uint32_t size,
                                    const Evictable& evictable) {
    ExpertKey best = no_key;
    std::uint64_t highest = 0;
    for (std::uint32_t i = 0; i < size; ++i) {
      if (!evictable(keys[i]) || (best != no_key && ranks[i] < highest)) continue;
      best = keys[i];
      highest = ranks[i];
    }
    return best;
  }

  std::vector<std::uint32_t> first_;
  std::vector<std::uint32_t> size_;  // by domain
  std::vector<std::uint64_t> ranks_;
  std::vector<ExpertKey> keys_;       // beside ranks_
  std::vector<std::uint32_t> place_;  // by key: in ranks_
};

}  // namespace pregate::cache
