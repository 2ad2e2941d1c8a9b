// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/cache/eviction.hpp"
#include "sim/cache/key_lists.hpp"
#include "sim/cache/mean_slots.hpp"

namespace pregate::cache {

namespace {

/// Adaptive replacement cache (Megiddo & Modha, FAST 2003): a recency list and a frequency list, whose
/// balance follows the hits in the ghost lists of what each evicted.
class Arc {
 public:
  explicit Arc(const CacheGeometry& geometry)
      : lists_(geometry.domains * list_count, geometry.keys()),
        where_(geometry.keys(), nowhere),
        slots_(mean_slots(geometry)),
        target_(geometry.domains) {}

  void miss(std::uint32_t domain, ExpertKey key) {
    const double recent_ghosts = lists_.size(at(domain, recent_ghost));
    const double frequent_ghosts = lists_.size(at(domain, frequent_ghost));
    if (where_[key] == recent_ghost) {
      target_[domain] =
          std::min(target_[domain] + std::max(frequent_ghosts / recent_ghosts, 1.0), slots_[domain]);
    } else if (where_[key] == frequent_ghost) {
      target_[domain] = std::max(target_[domain] - std::max(recent_ghosts / frequent_ghosts, 1.0), 0.0);
    }
  }

  void hit(std::uint32_t domain, ExpertKey key) { move(domain, key, frequent); }

  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) const {
    const double size = lists_.size(at(domain, recent));
    const bool from_recent = size >= 1 && (size > target_[domain] ||
                                           (where_[incoming] == frequent_ghost && size >= target_[domain]));
    const ExpertKey first = last_evictable(lists_, at(domain, from_recent ? recent : frequent), evictable);
    if (first != no_key) return first;
    return last_evictable(lists_, at(domain, from_recent ? frequent : recent), evictable);
  }

  void insert(std::uint32_t domain, ExpertKey key) {
    const bool known = where_[key] == recent_ghost || where_[key] == frequent_ghost;
    move(domain, key, known ? frequent : recent);
    trim(domain);
  }

  void evict(std::uint32_t domain, ExpertKey key) {
    move(domain, key, where_[key] == recent ? recent_ghost : frequent_ghost);
  }

 private:
  enum List : std::uint8_t { recent, frequent, recent_ghost, frequent_ghost, nowhere };
  static constexpr std::uint32_t list_count = 4;
  static std::uint32_t at(std::uint32_t domain, List list) { return domain * list_count + list; }

  void move(std::uint32_t domain, ExpertKey key, List to) {
    if (where_[key] != nowhere) lists_.remove(at(domain, where_[key]), key);
    lists_.push_front(at(domain, to), key);
    where_[key] = to;
  }
  void forget_last(std::uint32_t domain, List ghost) {
    const ExpertKey key = lists_.back(at(domain, ghost));
    lists_.remove(at(domain, ghost), key);
    where_[key] = nowhere;
  }
  /// Recency list and its ghosts hold at most as many as the cache; all four lists twice that.
  void trim(std::uint32_t domain) {
    const auto size = [&](List list) { return lists_.size(at(domain, list)); };
    while (size(recent_ghost) > 0 && size(recent) + size(recent_ghost) > slots_[domain]) {
      forget_last(domain, recent_ghost);
    }
    while (size(frequent_ghost) > 0 &&
           size(recent) + size(frequent) + size(recent_ghost) + size(frequent_ghost) > 2 * slots_[domain]) {
      forget_last(domain, frequent_ghost);
    }
  }

  KeyLists lists_;
  std::vector<List> where_;
  std::vector<double> slots_;
  std::vector<double> target_;
};

}  // namespace

void register_arc(EvictionRegistry& registry) {
  registry.add<Arc>("arc", "adaptive replacement: balances recency and frequency by ghost hits");
}

}  // namespace pregate::cache
