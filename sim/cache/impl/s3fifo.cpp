// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "sim/cache/eviction.hpp"
#include "sim/cache/key_lists.hpp"
#include "sim/cache/mean_slots.hpp"

namespace pregate::cache {

namespace {

/// S3-FIFO (Yang et al., SOSP 2023): newcomers wait in a small queue of 10 % of the cache; those activated
/// again move to the main queue, the others leave and are remembered in a ghost queue as long as the main
/// one.
class S3Fifo {
 public:
  explicit S3Fifo(const CacheGeometry& geometry)
      : lists_(geometry.domains * list_count, geometry.keys()),
        where_(geometry.keys(), nowhere),
        uses_(geometry.keys()) {
    for (const double slots : mean_slots(geometry)) {
      const double of_main = (1 - small_share) * slots;
      limits_.push_back({static_cast<std::uint32_t>(std::ceil(std::max(1.0, small_share * slots))),
                         static_cast<std::uint32_t>(of_main),
                         static_cast<std::uint32_t>(std::max(1.0, of_main))});
    }
  }

  void miss(std::uint32_t, ExpertKey) {}
  void hit(std::uint32_t, ExpertKey key) { uses_[key] = std::min<std::uint8_t>(uses_[key] + 1, 3); }

  ExpertKey victim(std::uint32_t domain, ExpertKey, const Evictable& evictable) {
    // Each round moves a key or takes it; four passes bring every use count to zero.
    const std::uint32_t residents = lists_.size(at(domain, small)) + lists_.size(at(domain, main));
    const Limits& limits = limits_[domain];
    for (std::uint64_t round = 0; round < 5 * std::uint64_t{residents}; ++round) {
      const bool small_is_full = lists_.size(at(domain, small)) >= limits.small;
      const bool main_is_full = lists_.size(at(domain, main)) > limits.main;
      const List from = (small_is_full && !main_is_full) || lists_.size(at(domain, main)) == 0 ? small : main;
      const ExpertKey key = lists_.back(at(domain, from));
      if (from == small && uses_[key] > 1) {
        uses_[key] = 0;
        move(domain, key, main);
      } else if (from == main && uses_[key] > 0) {
        --uses_[key];
        move(domain, key, main);
      } else if (evictable(key)) {
        return key;
      } else {
        move(domain, key, from);
      }
    }
    return no_key;
  }

  void insert(std::uint32_t domain, ExpertKey key) {
    const bool known = where_[key] == ghost;
    uses_[key] = 0;
    move(domain, key, known ? main : small);
  }

  void evict(std::uint32_t domain, ExpertKey key) {
    if (where_[key] == main) {
      lists_.remove(at(domain, main), key);
      where_[key] = nowhere;
      return;
    }
    move(domain, key, ghost);
    while (lists_.size(at(domain, ghost)) > limits_[domain].ghost) {
      const ExpertKey oldest = lists_.back(at(domain, ghost));
      lists_.remove(at(domain, ghost), oldest);
      where_[oldest] = nowhere;
    }
  }

 private:
  enum List : std::uint8_t { small, main, ghost, nowhere };
  static constexpr std::uint32_t list_count = 3;
  static constexpr double small_share = 0.1;  // the paper's choice, section 4.1
  static std::uint32_t at(std::uint32_t domain, List list) { return domain * list_count + list; }

  void move(std::uint32_t domain, ExpertKey key, List to) {
    if (where_[key] != nowhere) lists_.remove(at(domain, where_[key]), key);
    lists_.push_front(at(domain, to), key);
    where_[key] = to;
  }

  KeyLists lists_;
  std::vector<List> where_;
  std::vector<std::uint8_t> uses_;
  /// Of each domain's queues, in experts.
  struct Limits {
    std::uint32_t small;  ///< as many fill it
    std::uint32_t main;   ///< more overfill it
    std::uint32_t ghost;  ///< as many are remembered
  };
  std::vector<Limits> limits_;
};

}  // namespace

void register_s3fifo(EvictionRegistry& registry) {
  registry.add<S3Fifo>("s3-fifo", "small queue for newcomers, main queue for experts activated again");
}

}  // namespace pregate::cache
