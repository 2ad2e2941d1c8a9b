// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <utility>

#include "sim/cache/eviction.hpp"
#include "sim/cache/impl/lru_bytes.hpp"
#include "sim/cache/impl/lru_rows.hpp"
#include "sim/cache/key_lists.hpp"
#include "sim/cache/lru_stacks.hpp"

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

/// The same for slots and domains that hold few (is_small()).
class SmallLru final : public ExpertCache {
 public:
  explicit SmallLru(const CacheGeometry& geometry) : ExpertCache(geometry), rows_(geometry_) {}

  std::uint32_t access(std::uint32_t domain, std::span<const ExpertKey> activated) override {
    if (misses_.size() < activated.size()) make_room(activated.size());
    return with_set_size(activated.size(), [&](auto set) { return access(domain, activated.data(), set); });
  }

 private:
  [[gnu::noinline]] void make_room(std::size_t set) {
    misses_.resize(set);
    evicted_.resize(set);
  }

  template <class Size>
  std::uint32_t access(std::uint32_t domain, const ExpertKey* activated, Size set) {
    LruRows::Row& row = rows_.row(domain);
    const std::uint32_t batch = rows_.number(1);
    // Pointers in locals: stores to bytes may alias anything else.
    std::uint8_t* const resident = resident_.data();
    std::uint32_t* const last_batch = rows_.last_batch();
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
    ExpertKey* const oldest = rows_.with_room(row, std::min<std::size_t>(set, slots));
    const std::size_t kept = LruRows::take_out(oldest, row.size, last_batch, batch);
    const std::size_t dropped = kept + set > slots ? kept + set - slots : 0;
    if (set > slots || (held_ > 0 && any_held(oldest, dropped))) {
      row.size = static_cast<std::uint32_t>(kept);
      admit_what_fits(row, oldest, {activated, set});
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

  [[nodiscard]] bool any_held(const ExpertKey* keys, std::size_t count) const {
    return std::any_of(keys, keys + count, [&](ExpertKey key) { return holds_[key] != 0; });
  }

  /// The uncommon cases: a set larger than the cache, residents that may not leave. `row` holds the residents
  /// outside the batch.
  [[gnu::noinline]] void admit_what_fits(LruRows::Row& row, ExpertKey* oldest,
                                         std::span<const ExpertKey> activated) {
    std::size_t free = row.slots - row.size - (activated.size() - miss_count_);
    evicted_count_ = bypassed_ = 0;
    for (const ExpertKey key : misses()) {
      if (free == 0) {
        ExpertKey* const end = oldest + row.size;
        ExpertKey* const leaving = std::find_if(oldest, end, [&](ExpertKey k) { return holds_[k] == 0; });
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

  LruRows rows_;
};

/// Counts the hits of SmallLru, whose rows alone say them: what a batch takes out of a row has hit.
class SmallLruHits final : public HitCounter {
 public:
  explicit SmallLruHits(const CacheGeometry& geometry) : rows_(geometry) {}

  void count(std::uint32_t first_domain, const ExpertKey* keys, std::span<const BatchRange> batches,
             std::uint32_t* hits) override {
    std::uint32_t number = rows_.number(static_cast<std::uint32_t>(batches.size()));
    const std::uint32_t domains_a_batch = rows_.domains() == 1 ? 0 : 1;
    std::uint32_t domain = domains_a_batch * first_domain;
    for (const BatchRange& batch : batches) {
      LruRows::Row& row = rows_.row(domain);
      const ExpertKey* const activated = keys + batch.begin;
      *hits++ = with_set_size(batch.size(), [&](auto set) {
        return set > row.slots ? access_large(row, {activated, set}, number)
                               : access(row, activated, set, number);
      });
      domain += domains_a_batch;
      ++number;
    }
  }

 private:
  template <class Size>
  std::uint32_t access(LruRows::Row& row, const ExpertKey* activated, Size set, std::uint32_t batch) {
    std::uint32_t* const last_batch = rows_.last_batch();
    for (std::size_t i = 0; i < set; ++i) last_batch[activated[i]] = batch;
    ExpertKey* const oldest = rows_.with_room(row, set);
    const std::size_t size = row.size;
    const std::size_t kept = LruRows::take_out(oldest, size, last_batch, batch);
    for (std::size_t i = 0; i < set; ++i) oldest[kept + i] = activated[i];
    const std::size_t now = std::min<std::size_t>(kept + set, row.slots);
    row.begin += static_cast<std::uint32_t>(kept + set - now);
    row.size = static_cast<std::uint32_t>(now);
    return static_cast<std::uint32_t>(size - kept);
  }

  /// A set larger than the cache: everything else leaves, and the set's residents stay, with the first of the
  /// others in what room there is.
  [[gnu::noinline]] std::uint32_t access_large(LruRows::Row& row, std::span<const ExpertKey> activated,
                                               std::uint32_t batch) {
    ExpertKey* const oldest = rows_.with_room(row, row.slots - row.size);
    residents_.assign(oldest, oldest + row.size);
    std::uint32_t hits = 0;
    const auto is_resident = [&](ExpertKey key) {
      return std::find(residents_.begin(), residents_.end(), key) != residents_.end();
    };
    for (const ExpertKey key : activated) {
      rows_.last_batch()[key] = batch;
      hits += is_resident(key) ? 1U : 0U;
    }
    std::uint32_t admitted = row.slots - hits;
    row.size = 0;
    for (const ExpertKey key : activated) {
      const bool hit = is_resident(key);
      if (hit || admitted > 0) oldest[row.size++] = key;
      if (!hit && admitted > 0) --admitted;
    }
    return hits;
  }

  LruRows rows_;
  std::vector<ExpertKey> residents_;  // of one batch
};

std::unique_ptr<StackDistances> make_stacks(const CacheGeometry& geometry) {
  return std::make_unique<LruStacks>(geometry);
}

std::unique_ptr<HitCounter> make_small_hits(const CacheGeometry& geometry) {
  auto hits = make_byte_lru_hits(geometry);
  return hits ? std::move(hits) : std::make_unique<SmallLruHits>(geometry);
}

/// Of a policy that is LRU to who only counts its hits.
void count_as_lru(EvictionEntry& entry) {
  entry.make_small_counter = &make_small_hits;
  entry.make_stacks = &make_stacks;
}

}  // namespace

void register_lru(EvictionRegistry& registry) {
  count_as_lru(registry.add<Lru, SmallLru>("lru", "evicts the expert whose last activation is oldest"));
}

/// ExpertFlow's order (2410.17954): who is announced for a layer that has yet to run stays before all others,
/// who leave as of LRU. Announced residents are held whatever the policy (ExpertCache::hold), so what is left
/// to decide is the order of the others; without a lookahead this is LRU.
void register_predicted_first(EvictionRegistry& registry) {
  count_as_lru(registry.add<Lru, SmallLru>(
      "predicted-first", "keeps who is announced for a layer to come; of the others evicts as lru"));
}

}  // namespace pregate::cache
