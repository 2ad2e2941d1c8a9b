// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// The residents of each domain in a row, in no order. No allocation after construction.
class ResidentRows {
 public:
  explicit ResidentRows(const CacheGeometry& geometry)
      : first_(geometry.first_key),
        size_(geometry.domains),
        keys_(geometry.keys()),
        place_(geometry.keys(), absent) {}

  void insert(std::uint32_t domain, ExpertKey key) {
    const std::uint32_t place = first_[domain] + size_[domain]++;
    keys_[place] = key;
    place_[key] = place;
  }
  /// Precondition: it is there.
  void remove(std::uint32_t domain, ExpertKey key) {
    exchange(place_[key], first_[domain] + --size_[domain]);
    place_[key] = absent;
  }
  [[nodiscard]] bool holds(ExpertKey key) const { return place_[key] != absent; }
  [[nodiscard]] std::span<const ExpertKey> row(std::uint32_t domain) const {
    return {keys_.data() + first_[domain], size_[domain]};
  }
  /// Exchanges two places of a row.
  void exchange(std::uint32_t domain, std::size_t a, std::size_t b) {
    exchange(first_[domain] + static_cast<std::uint32_t>(a), first_[domain] + static_cast<std::uint32_t>(b));
  }

  /// The resident of lowest `score` that may leave; no_key when none may. Scores of residents differ. Looks
  /// at all of the row.
  template <class Evictable, class Score>
  [[nodiscard]] ExpertKey lowest(std::uint32_t domain, const Evictable& evictable, const Score& score) const {
    ExpertKey best = no_key;
    decltype(score(ExpertKey{})) least{};
    for (const ExpertKey key : row(domain)) {
      if (!evictable(key)) continue;
      const auto its = score(key);
      if (best != no_key && !(its < least)) continue;
      best = key;
      least = its;
    }
    return best;
  }

 private:
  static constexpr std::uint32_t absent = 0xFFFFFFFF;
  void exchange(std::uint32_t a, std::uint32_t b) {
    std::swap(keys_[a], keys_[b]);
    place_[keys_[a]] = a;
    place_[keys_[b]] = b;
  }

  std::vector<std::uint32_t> first_, size_;  // by domain
  std::vector<ExpertKey> keys_;
  std::vector<std::uint32_t> place_;  // by key: in keys_
};

}  // namespace pregate::cache
