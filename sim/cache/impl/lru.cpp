// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <type_traits>

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
    std::size_t begin = 0;
    for (std::uint32_t domain = 0; domain < geometry_.domains; ++domain) {
      const auto slots = static_cast<std::uint32_t>(geometry_.capacity[domain]);
      rows_[domain] = {begin, slots, 0, 0};
      begin += std::size_t{slots} * row_lengths;
    }
    keys_.resize(begin);
  }

  std::uint32_t access(std::uint32_t domain, std::span<const ExpertKey> activated) override {
    if (misses_.size() < activated.size()) make_room(activated.size());
    // Loops over a number of members that the compiler knows have no end to test for.
    switch (activated.size()) {
      case 1:
        return access(domain, activated.data(), std::integral_constant<std::size_t, 1>{});
      case 2:
        return access(domain, activated.data(), std::integral_constant<std::size_t, 2>{});
      case 4:
        return access(domain, activated.data(), std::integral_constant<std::size_t, 4>{});
      case 6:
        return access(domain, activated.data(), std::integral_constant<std::size_t, 6>{});
      case 8:
        return access(domain, activated.data(), std::integral_constant<std::size_t, 8>{});
      default:
        return access(domain, activated.data(), activated.size());
    }
  }

 private:
  /// A window that moves through its memory, and back to the start where it would leave it.
  struct Row {
    std::size_t first = 0;              // of its memory, in keys_
    std::uint32_t slots = 0;            // its memory is row_lengths times as long
    std::uint32_t begin = 0, size = 0;  // the residents, counting from `first`
  };
  /// Few: what a simulation touches should stay close together (16 was a third slower in some programs).
  static constexpr std::uint32_t row_lengths = 8;

  std::uint32_t next_batch() {
    if (++batch_ == 0) {  // the counter wrapped: forget every mark
      std::fill(last_batch_.begin(), last_batch_.end(), 0U);
      batch_ = 1;
    }
    return batch_;
  }
  [[gnu::noinline]] void make_room(std::size_t set) {
    misses_.resize(set);
    evicted_.resize(set);
  }

  template <class Size>
  std::uint32_t access(std::uint32_t domain, const ExpertKey* activated, Size set) {
    Row& row = rows_[domain];
    const std::uint32_t batch = next_batch();
    // Pointers in locals: stores to bytes may alias anything else.
    std::uint8_t* const resident = resident_.data();
    std::uint32_t* const last_batch = last_batch_.data();
    ExpertKey* const misses = misses_.data();
    std::size_t missed = 0;
    for (std::size_t i = 0; i < set; ++i) {
      const ExpertKey key = activated[i];
      misses[missed] = key;
      missed += resident[key] < 1 ? 1U : 0U;
      last_batch[key] = batch;
    }
    miss_count_ = missed;

    const std::size_t slots = row.slots;
    if (row.begin + row.size + std::min<std::size_t>(set, slots) > slots * row_lengths) move_to_start(row);
    ExpertKey* const oldest = keys_.data() + row.first + row.begin;
    const std::size_t kept = take_out(oldest, row.size, last_batch, batch);
    const std::size_t dropped = kept + set > slots ? kept + set - slots : 0;
    if (set > slots || (pinned_ > 0 && any_pinned(oldest, dropped))) {
      row.size = static_cast<std::uint32_t>(kept);
      admit_what_fits(row, {activated, set});
    } else {
      for (std::size_t i = 0; i < set; ++i) {
        oldest[kept + i] = activated[i];
        resident[activated[i]] = 1;
      }
      // At most one a member is dropped; those after them stay.
      ExpertKey* const evicted = evicted_.data();
      for (std::size_t i = 0; i < set; ++i) {
        evicted[i] = oldest[i];
        resident[oldest[i]] = i < dropped ? 0 : 1;
      }
      evicted_count_ = dropped;
      bypassed_ = 0;
      row.begin += static_cast<std::uint32_t>(dropped);
      row.size = static_cast<std::uint32_t>(kept + set - dropped);
    }
    used_[domain] = row.size;
    return static_cast<std::uint32_t>(set - missed);
  }

  /// Takes the members of the batch out of a row, the others move up; returns how many are left.
  static std::size_t take_out(ExpertKey* row, std::size_t size, const std::uint32_t* last_batch,
                              std::uint32_t batch) {
    std::size_t kept = 0;
#pragma GCC unroll 8
    for (std::size_t i = 0; i < size; ++i) {
      const ExpertKey key = row[i];
      row[kept] = key;
      kept += last_batch[key] < batch ? 1U : 0U;
    }
    return kept;
  }

  [[gnu::noinline]] void move_to_start(Row& row) {
    ExpertKey* const start = keys_.data() + row.first;
    std::copy_n(start + row.begin, row.size, start);
    row.begin = 0;
  }

  [[nodiscard]] bool any_pinned(const ExpertKey* keys, std::size_t count) const {
    return std::any_of(keys, keys + count, [&](ExpertKey key) { return pins_[key] != 0; });
  }

  /// The uncommon cases: a set larger than the cache, residents that may not leave. `row` holds the residents
  /// outside the batch.
  [[gnu::noinline]] void admit_what_fits(Row& row, std::span<const ExpertKey> activated) {
    ExpertKey* const oldest = keys_.data() + row.first + row.begin;
    std::size_t free = row.slots - row.size - (activated.size() - miss_count_);
    evicted_count_ = bypassed_ = 0;
    for (const ExpertKey key : misses()) {
      if (free == 0) {
        ExpertKey* const end = oldest + row.size;
        ExpertKey* const leaving = std::find_if(oldest, end, [&](ExpertKey k) { return pins_[k] == 0; });
        if (leaving == end) {
          ++bypassed_;
          continue;
        }
        resident_[*leaving] = 0;
        evicted_[evicted_count_++] = *leaving;
        std::copy(leaving + 1, end, leaving);
        --row.size;
        ++free;
      }
      resident_[key] = 1;
      --free;
    }
    for (const ExpertKey key : activated) {
      if (resident_[key] != 0) oldest[row.size++] = key;
    }
  }

  std::vector<Row> rows_;  // by domain
  std::vector<ExpertKey> keys_;
  std::uint32_t batch_ = 0;
  std::vector<std::uint32_t> last_batch_;  // by key: the batch of its last activation
};

}  // namespace

void register_lru(EvictionRegistry& registry) {
  registry.add<Lru, SmallLru>("lru", "evicts the expert whose last activation is oldest");
}

}  // namespace pregate::cache
