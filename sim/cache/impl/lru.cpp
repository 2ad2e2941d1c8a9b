// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

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

/// The same for slots and domains that hold few. A domain's residents stand in a row, the oldest first; a
/// batch takes its members out of the row, drops as many of the oldest as it needs and appends its members.
/// Which experts hit is unpredictable, so no branch of the common path depends on it.
class SmallLru final : public ExpertCache {
 public:
  explicit SmallLru(const CacheGeometry& geometry)
      : ExpertCache(geometry), rows_(geometry_.domains), last_batch_(geometry_.keys()) {
    for (std::uint32_t domain = 0; domain < geometry_.domains; ++domain) {
      rows_[domain].keys.resize(capacity(domain) * row_lengths);
    }
  }

  std::uint32_t access(std::uint32_t domain, std::span<const ExpertKey> activated) override {
    const std::uint64_t batch = ++batch_;
    const std::size_t set = activated.size();
    if (misses_.size() < set) {
      misses_.resize(set);
      evicted_.resize(set);
    }
    const std::size_t missed = classify(activated, batch);
    miss_count_ = missed;
    Row& row = rows_[domain];
    const std::size_t slots = capacity(domain);
    if (row.keys.size() - row.end < std::min(set, slots)) row.move_to_start();
    ExpertKey* const oldest = row.keys.data() + row.begin;
    ExpertKey* const kept_end = take_out(oldest, row.keys.data() + row.end, batch);
    const auto kept = static_cast<std::size_t>(kept_end - oldest);
    const std::size_t dropped = kept + set > slots ? kept + set - slots : 0;
    if (set > slots || (pinned_ > 0 && any_pinned(oldest, dropped))) {
      row.end = row.begin + kept;
      admit_what_fits(row, slots, activated);
    } else {
      std::uint8_t* const resident = resident_.data();
      ExpertKey* const evicted = evicted_.data();
      for (std::size_t i = 0; i < set; ++i) {
        kept_end[i] = activated[i];
        resident[activated[i]] = 1;
      }
      // At most one a member is dropped; those after them stay.
      for (std::size_t i = 0; i < set; ++i) {
        evicted[i] = oldest[i];
        resident[oldest[i]] = i < dropped ? 0 : 1;
      }
      evicted_count_ = dropped;
      bypassed_ = 0;
      row.end = row.begin + kept + set;
      row.begin += dropped;
    }
    used_[domain] = static_cast<std::int64_t>(row.end - row.begin);
    return static_cast<std::uint32_t>(set - missed);
  }

 private:
  /// A window that moves through its memory, and back to the start where it would leave it.
  struct Row {
    std::vector<ExpertKey> keys;
    std::size_t begin = 0, end = 0;  // the residents

    void move_to_start() {
      std::copy(keys.data() + begin, keys.data() + end, keys.data());
      end -= begin;
      begin = 0;
    }
  };
  static constexpr std::size_t row_lengths = 16;  // memory of a row, in capacities

  [[nodiscard]] std::size_t capacity(std::uint32_t domain) const {
    return static_cast<std::size_t>(geometry_.capacity[domain]);
  }

  /// Returns how many miss; marks all as members of the batch.
  std::size_t classify(std::span<const ExpertKey> activated, std::uint64_t batch) {
    // Pointers in locals: stores to bytes may alias anything else.
    const std::uint8_t* const resident = resident_.data();
    std::uint64_t* const last_batch = last_batch_.data();
    ExpertKey* const misses = misses_.data();
    std::size_t missed = 0;
    for (const ExpertKey key : activated) {
      misses[missed] = key;
      missed += resident[key] != 0 ? 0U : 1U;
      last_batch[key] = batch;
    }
    return missed;
  }

  /// Takes the members of the batch out of [first, end), the others move up; returns their end.
  ExpertKey* take_out(ExpertKey* first, const ExpertKey* end, std::uint64_t batch) const {
    const std::uint64_t* const last_batch = last_batch_.data();
    ExpertKey* to = first;
    for (const ExpertKey* from = first; from != end; ++from) {
      const ExpertKey key = *from;
      *to = key;
      to += last_batch[key] == batch ? 0 : 1;
    }
    return to;
  }

  [[nodiscard]] bool any_pinned(const ExpertKey* keys, std::size_t count) const {
    return std::any_of(keys, keys + count, [&](ExpertKey key) { return pins_[key] != 0; });
  }

  /// The uncommon cases: a set larger than the cache, residents that may not leave. `row` holds the residents
  /// outside the batch.
  void admit_what_fits(Row& row, std::size_t slots, std::span<const ExpertKey> activated) {
    std::size_t free = slots - (row.end - row.begin) - (activated.size() - miss_count_);
    evicted_count_ = bypassed_ = 0;
    for (const ExpertKey key : misses()) {
      if (free == 0) {
        ExpertKey* const end = row.keys.data() + row.end;
        ExpertKey* const leaving =
            std::find_if(row.keys.data() + row.begin, end, [&](ExpertKey k) { return pins_[k] == 0; });
        if (leaving == end) {
          ++bypassed_;
          continue;
        }
        resident_[*leaving] = 0;
        evicted_[evicted_count_++] = *leaving;
        std::copy(leaving + 1, end, leaving);
        --row.end;
        ++free;
      }
      resident_[key] = 1;
      --free;
    }
    for (const ExpertKey key : activated) {
      if (resident_[key] != 0) row.keys[row.end++] = key;
    }
  }

  std::vector<Row> rows_;  // by domain
  std::uint64_t batch_ = 0;
  std::vector<std::uint64_t> last_batch_;  // by key: the batch of its last activation
};

}  // namespace

void register_lru(EvictionRegistry& registry) {
  registry.add<Lru, SmallLru>("lru", "evicts the expert whose last activation is oldest");
}

}  // namespace pregate::cache
