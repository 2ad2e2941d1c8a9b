// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "sim/cache/eviction.hpp"

namespace pregate::cache {
namespace {

using testing::ElementsAreArray;

struct Access {
  std::uint32_t domain;
  std::vector<ExpertKey> set;
};

constexpr std::uint32_t domains = 3, keys_each = 20;

/// Sets of 0 to `most` distinct experts of one domain, skewed towards low ids.
std::vector<Access> random_accesses(std::mt19937_64& random, std::size_t most, int count) {
  std::vector<Access> all;
  for (int i = 0; i < count; ++i) {
    Access access{static_cast<std::uint32_t>(random() % domains), {}};
    const std::size_t size = random() % (most + 1);
    while (access.set.size() < size) {
      const auto key = static_cast<ExpertKey>(access.domain * keys_each +
                                              std::min(random() % keys_each, random() % keys_each));
      if (std::find(access.set.begin(), access.set.end(), key) == access.set.end()) access.set.push_back(key);
    }
    all.push_back(std::move(access));
  }
  return all;
}

std::vector<BatchIndex> future_of(const std::vector<Access>& accesses) {
  std::vector<BatchIndex> uses;
  std::vector<std::size_t> last(domains * keys_each, static_cast<std::size_t>(-1));
  for (std::size_t batch = 0; batch < accesses.size(); ++batch) {
    for (const ExpertKey key : accesses[batch].set) {
      if (last[key] != static_cast<std::size_t>(-1)) uses[last[key]] = static_cast<BatchIndex>(batch);
      last[key] = uses.size();
      uses.push_back(never);
    }
  }
  return uses;
}

CacheGeometry geometry_of(std::int64_t capacity) {
  CacheGeometry geometry;
  geometry.domains = domains;
  geometry.first_key = {0, keys_each, 2 * keys_each, 3 * keys_each};
  geometry.capacity = {capacity, std::max<std::int64_t>(0, capacity - 1), capacity};
  geometry.size.assign(domains * keys_each, 1);
  return geometry;
}

// The variants for small domains make the decisions of the general ones: hits, misses, victims in their
// order, what bypasses; with sets larger than the cache and with experts held and let go on the way.
TEST(SmallDomains, AreServedAsLargeOnes) {
  int compared = 0;
  for (const EvictionEntry& entry : eviction_registry().entries()) {
    if (entry.make_small == nullptr) continue;
    ++compared;
    for (const std::int64_t capacity : {0, 1, 2, 5, 8, 20}) {
      for (const Admission admission : {Admission::always, Admission::bypass}) {
        std::mt19937_64 random(static_cast<std::uint64_t>(capacity) + 1);
        const std::vector<Access> accesses = random_accesses(random, 6, 3000);
        const std::vector<BatchIndex> future = future_of(accesses);
        CacheGeometry geometry = geometry_of(capacity);
        geometry.admission = admission;
        geometry.next_use = future;
        ASSERT_TRUE(is_small(geometry));
        const auto small = entry.make_small(geometry);
        const auto general = entry.make_general(geometry);
        std::vector<ExpertKey> pins;
        for (const Access& access : accesses) {
          const std::string where = entry.name + ", capacity " + std::to_string(capacity);
          ASSERT_EQ(small->access(access.domain, access.set), general->access(access.domain, access.set))
              << where;
          ASSERT_THAT(small->misses(), ElementsAreArray(general->misses())) << where;
          ASSERT_THAT(small->evicted(), ElementsAreArray(general->evicted())) << where;
          ASSERT_EQ(small->bypassed(), general->bypassed()) << where;
          ASSERT_EQ(small->used(), general->used()) << where;
          for (const ExpertKey key : access.set) {
            ASSERT_EQ(small->is_resident(key), general->is_resident(key)) << where;
          }
          if (!access.set.empty() && random() % 4 == 0 && general->is_resident(access.set.front())) {
            pins.push_back(access.set.front());
            small->hold(pins.back());
            general->hold(pins.back());
          }
          if (pins.size() > random() % 9) {
            small->let_go(pins.front());
            general->let_go(pins.front());
            pins.erase(pins.begin());
          }
        }
      }
    }
  }
  EXPECT_EQ(compared, 4);  // lru, predicted-first, belady, belady-forced
}

// Counters of hits count those of the caches: several batches a call, of consecutive domains or of the only
// one, whose keys may be more than a byte has values.
TEST(HitCounters, CountWhatTheCachesHit) {
  for (const EvictionEntry& entry : eviction_registry().entries()) {
    for (const std::int64_t capacity : {0, 1, 2, 4, 5, 8, 20, 32, 40}) {
      for (const std::uint32_t keys_of_only : {0U, domains * keys_each, 300U}) {
        const bool one_domain = keys_of_only > 0;
        SCOPED_TRACE(entry.name + ", capacity " + std::to_string(capacity) + ", of all " +
                     std::to_string(keys_of_only));
        std::mt19937_64 random(static_cast<std::uint64_t>(capacity) + 1);
        const std::vector<Access> accesses = random_accesses(random, 9, 1500);
        const std::vector<BatchIndex> future = future_of(accesses);
        CacheGeometry geometry = geometry_of(capacity);
        geometry.hit_rate = 0.5;
        geometry.next_use = future;
        if (one_domain) {
          geometry.domains = 1;
          geometry.first_key = {0, keys_of_only};
          geometry.capacity = {capacity};
          geometry.size.assign(keys_of_only, 1);
        }
        const auto cache = entry.make(geometry);
        const auto counter = entry.make_counter(geometry);
        for (std::size_t i = 0; i < accesses.size();) {
          std::vector<ExpertKey> keys;
          std::vector<BatchRange> batches;
          std::vector<std::uint32_t> expected;
          const std::uint32_t first = accesses[i].domain;
          do {
            const Access& access = accesses[i++];
            const auto begin = static_cast<std::uint32_t>(keys.size());
            keys.insert(keys.end(), access.set.begin(), access.set.end());
            batches.push_back({begin, static_cast<std::uint32_t>(keys.size())});
            expected.push_back(cache->access(one_domain ? 0 : access.domain, access.set));
          } while (i < accesses.size() && accesses[i].domain == first + batches.size());
          std::vector<std::uint32_t> hits(batches.size());
          counter->count(first, keys.data(), batches, hits.data());
          ASSERT_EQ(hits, expected) << "access " << i;
        }
      }
    }
  }
}

TEST(SmallDomains, AreSlotsAndFew) {
  CacheGeometry geometry;
  geometry.domains = 1;
  geometry.first_key = {0, 100};
  geometry.capacity = {32};
  geometry.size.assign(100, 1);
  EXPECT_TRUE(is_small(geometry));
  geometry.capacity = {33};
  EXPECT_FALSE(is_small(geometry));
  geometry.capacity = {32};
  geometry.size[7] = 2;
  EXPECT_FALSE(is_small(geometry));
}

}  // namespace
}  // namespace pregate::cache
