// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/cache/cache_of.hpp"
#include "sim/cache/resident_rows.hpp"

namespace pregate::cache {

/// Exchanges the highest-ranked experts that are not there for the lowest-ranked ones that are, each within
/// its domain.
class RankedSwaps {
 public:
  explicit RankedSwaps(const CacheGeometry& geometry)
      : first_(geometry.first_key), excluded_(geometry.excluded), residents_(geometry.domains) {
    excluded_.resize(geometry.keys());
  }

  /// Appends at most `most` pairs, the highest newcomer first, of which each newcomer's rank is more than
  /// (1 + `margin`) times the leaver's. `rank` of a key is at least 0; the lower key comes first on a tie.
  template <class Rank>
  void choose(const ResidentRows& rows, const Evictable& evictable, const Rank& rank, double margin,
              std::size_t most, std::vector<Swap>& swaps) {
    newcomers_.clear();
    for (std::uint32_t domain = 0; domain < residents_.size(); ++domain)
      collect(domain, rows, evictable, rank, margin);
    std::sort(newcomers_.begin(), newcomers_.end(), [](const Newcomer& a, const Newcomer& b) {
      return a.rank > b.rank || (a.rank == b.rank && a.key < b.key);
    });
    for (const Newcomer& newcomer : newcomers_) {
      if (swaps.size() == most) return;
      std::vector<Ranked>& leaving = residents_[newcomer.domain];  // the lowest last
      if (leaving.empty() || newcomer.rank <= (1 + margin) * leaving.back().rank) continue;
      swaps.push_back({newcomer.domain, newcomer.key, leaving.back().key});
      leaving.pop_back();
    }
  }

 private:
  struct Ranked {
    double rank;
    ExpertKey key;
  };
  struct Newcomer {
    double rank;
    ExpertKey key;
    std::uint32_t domain;
  };

  template <class Rank>
  void collect(std::uint32_t domain, const ResidentRows& rows, const Evictable& evictable, const Rank& rank,
               double margin) {
    std::vector<Ranked>& residents = residents_[domain];
    residents.clear();
    double least = 0;
    for (const ExpertKey key : rows.row(domain)) {
      if (!evictable(key)) continue;
      residents.push_back({rank(key), key});
      if (residents.size() == 1 || residents.back().rank < least) least = residents.back().rank;
    }
    if (residents.empty()) return;
    const std::size_t before = newcomers_.size();
    for (ExpertKey key = first_[domain]; key < first_[domain + 1]; ++key) {
      if (rows.holds(key) || excluded_[key] != 0) continue;
      const double its = rank(key);
      if (its > (1 + margin) * least) newcomers_.push_back({its, key, domain});
    }
    if (newcomers_.size() == before) return;
    std::sort(residents.begin(), residents.end(), [](const Ranked& a, const Ranked& b) {
      return a.rank > b.rank || (a.rank == b.rank && a.key > b.key);
    });
  }

  std::vector<std::uint32_t> first_;
  std::vector<std::uint8_t> excluded_;          // by key
  std::vector<std::vector<Ranked>> residents_;  // by domain
  std::vector<Newcomer> newcomers_;
};

}  // namespace pregate::cache
