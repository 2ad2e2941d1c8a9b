// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "models/error.hpp"
#include "sim/cache/eviction.hpp"

namespace pregate::cache {
namespace {

using Batch = std::vector<ExpertKey>;
using testing::ElementsAre;

/// One domain of `keys` experts of size 1.
CacheGeometry one_domain(std::uint32_t keys, std::int64_t capacity, Admission admission = Admission::always) {
  CacheGeometry geometry;
  geometry.domains = 1;
  geometry.first_key = {0, keys};
  geometry.capacity = {capacity};
  geometry.size.assign(keys, 1);
  geometry.admission = admission;
  return geometry;
}

std::vector<BatchIndex> future_of(const std::vector<Batch>& batches) {
  std::vector<BatchIndex> uses;
  std::map<ExpertKey, std::size_t> last;
  for (std::size_t batch = 0; batch < batches.size(); ++batch) {
    for (const ExpertKey key : batches[batch]) {
      if (last.contains(key)) uses[last[key]] = static_cast<BatchIndex>(batch);
      last[key] = uses.size();
      uses.push_back(never);
    }
  }
  return uses;
}

std::int64_t hits(const std::string& eviction, const std::vector<Batch>& batches, CacheGeometry geometry) {
  const std::vector<BatchIndex> future = future_of(batches);
  geometry.next_use = future;
  const auto cache = eviction_registry().find(eviction, "test").make(geometry);
  std::int64_t sum = 0;
  for (const Batch& batch : batches) {
    sum += cache->access(0, batch);
    EXPECT_LE(cache->used(), geometry.capacity[0]) << eviction;
  }
  return sum;
}

/// Sets of 1 to `most` distinct experts, skewed towards low ids.
std::vector<Batch> random_batches(std::uint64_t seed, std::uint32_t keys, std::size_t most,
                                  std::size_t count) {
  std::mt19937_64 random(seed);
  std::vector<Batch> batches(count);
  for (Batch& batch : batches) {
    const std::size_t size = 1 + random() % most;
    while (batch.size() < size) {
      const auto key = static_cast<ExpertKey>(std::min(random() % keys, random() % keys));
      if (std::find(batch.begin(), batch.end(), key) == batch.end()) batch.push_back(key);
    }
  }
  return batches;
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const EvictionEntry& entry : eviction_registry().entries()) {
    if (!entry.is_decreed) names.push_back(entry.name);
  }
  return names;
}

TEST(Lru, EvictsTheExpertWhoseLastActivationIsOldest) {
  const auto cache = eviction_registry().find("lru", "test").make(one_domain(5, 2));
  cache->access(0, Batch{0});
  cache->access(0, Batch{1});
  EXPECT_EQ(cache->access(0, Batch{0}), 1U);
  EXPECT_EQ(cache->access(0, Batch{2}), 0U);
  EXPECT_THAT(cache->evicted(), ElementsAre(1));
  EXPECT_TRUE(cache->is_resident(0));
}

// A batch is one event: experts 0 and 1 are looked up before 2 is admitted, so both hit although only two
// fit.
TEST(Batch, IsClassifiedAsAWholeBeforeAnythingIsAdmitted) {
  const auto cache = eviction_registry().find("lru", "test").make(one_domain(5, 2));
  cache->access(0, Batch{0, 1});
  EXPECT_EQ(cache->access(0, Batch{2, 0, 1}), 2U);
  EXPECT_THAT(cache->misses(), ElementsAre(2));
  EXPECT_FALSE(cache->is_resident(2));
}

// The members of a set are not evicted by it: what finds no room bypasses the cache.
TEST(Batch, LargerThanTheCacheBypassesIt) {
  for (const char* name : {"lru", "lfu", "fifo", "random", "arc", "s3-fifo", "lifo"}) {
    const auto cache = eviction_registry().find(name, "test").make(one_domain(5, 2));
    cache->access(0, Batch{3});
    EXPECT_EQ(cache->access(0, Batch{0, 1, 2}), 0U);
    EXPECT_THAT(cache->misses(), ElementsAre(0, 1, 2));
    EXPECT_THAT(cache->evicted(), ElementsAre(3)) << name;
    EXPECT_TRUE(cache->is_resident(0)) << name;
    EXPECT_TRUE(cache->is_resident(1)) << name;
    EXPECT_FALSE(cache->is_resident(2)) << name;
  }
}

TEST(Lfu, KeepsCountsOfExpertsThatAreOut) {
  const std::vector<Batch> batches = {{0}, {0}, {1}, {1}, {2}, {0}};
  // Capacity 1: after 0,0,1,1,2 the kept counts are 2,2,1; forgetful or not, capacity one always holds the
  // last.
  EXPECT_EQ(hits("lfu", batches, one_domain(3, 1)), 2);
  // Capacity 2: 2 evicts the least counted, oldest first: kept counts tie 0 and 1 at two, 0 is older and
  // leaves.
  EXPECT_EQ(hits("lfu", batches, one_domain(3, 2)), 2);
  // With bypass, 2 counts less than both residents and stays out; 0 then hits.
  EXPECT_EQ(hits("lfu", batches, one_domain(3, 2, Admission::bypass)), 3);
}

TEST(Lfu, ForgetfulCountsStartAgainAtAdmission) {
  // 0 is counted three times, evicted by 1 then 2 (capacity 1), and returns with a count of one.
  const std::vector<Batch> batches = {{0}, {0}, {0}, {1}, {0}, {3}, {3}, {0}, {1}, {3}};
  // Capacity 2, kept counts: at {1} and {3} the resident of count 1 leaves, 0 (count 4, 5) never does.
  EXPECT_EQ(hits("lfu", batches, one_domain(4, 2)), 5);
  EXPECT_LE(hits("lfu-forget", batches, one_domain(4, 2)), 5);
}

TEST(Fifo, HitsDoNotRenew) {
  const std::vector<Batch> batches = {{0}, {1}, {0}, {2}, {0}};
  EXPECT_EQ(hits("fifo", batches, one_domain(3, 2)), 1);
  EXPECT_EQ(hits("lru", batches, one_domain(3, 2)), 2);
}

// A cycle longer than the cache: LRU and FIFO hit nothing, LIFO keeps the first and hits it every round.
TEST(Lifo, SurvivesACycleLongerThanTheCache) {
  std::vector<Batch> batches;
  for (int round = 0; round < 10; ++round) {
    for (ExpertKey key = 0; key < 4; ++key) batches.push_back({key});
  }
  EXPECT_EQ(hits("lru", batches, one_domain(4, 3)), 0);
  EXPECT_EQ(hits("fifo", batches, one_domain(4, 3)), 0);
  EXPECT_EQ(hits("lifo", batches, one_domain(4, 3, Admission::bypass)), 27);
}

// ARC resists a scan: experts used twice stay while a long run of new ones passes through the recency list.
TEST(Arc, KeepsFrequentExpertsThroughAScan) {
  std::vector<Batch> batches = {{0}, {1}, {0}, {1}};
  for (ExpertKey key = 10; key < 40; ++key) batches.push_back({key});
  batches.push_back({0, 1});
  EXPECT_EQ(hits("arc", batches, one_domain(40, 4)), 4);
  EXPECT_EQ(hits("lru", batches, one_domain(40, 4)), 2);
}

TEST(S3Fifo, KeepsFrequentExpertsThroughAScan) {
  std::vector<Batch> batches = {{0}, {1}, {0}, {1}, {0}, {1}};
  for (ExpertKey key = 10; key < 40; ++key) batches.push_back({key});
  batches.push_back({0, 1});
  EXPECT_EQ(hits("s3-fifo", batches, one_domain(40, 10)), 6);
  EXPECT_EQ(hits("fifo", batches, one_domain(40, 10)), 4);
}

TEST(Random, DependsOnItsSeedAlone) {
  const auto batches = random_batches(1, 32, 4, 500);
  CacheGeometry geometry = one_domain(32, 8);
  EXPECT_EQ(hits("random", batches, geometry), hits("random", batches, geometry));
  std::set<std::int64_t> outcomes;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    geometry.seed = seed;
    outcomes.insert(hits("random", batches, geometry));
  }
  EXPECT_GT(outcomes.size(), 1U);
}

/// Most hits that any policy can have, by trying every subset to retain (capacity 2 of 5 experts).
std::int64_t exhaustive_optimum(const std::vector<Batch>& batches, std::size_t capacity) {
  std::map<std::set<ExpertKey>, std::int64_t> best{{{}, 0}};
  for (const Batch& batch : batches) {
    std::map<std::set<ExpertKey>, std::int64_t> next;
    for (const auto& [held, sum] : best) {
      std::set<ExpertKey> available = held;
      std::int64_t now = sum;
      for (const ExpertKey key : batch) now += held.contains(key) ? 1 : 0;
      available.insert(batch.begin(), batch.end());
      const std::vector<ExpertKey> all(available.begin(), available.end());
      for (std::uint32_t subset = 0; subset < (1U << all.size()); ++subset) {
        std::set<ExpertKey> kept;
        for (std::size_t i = 0; i < all.size(); ++i) {
          if ((subset >> i & 1U) != 0) kept.insert(all[i]);
        }
        if (kept.size() > capacity) continue;
        auto& value = next[kept];
        value = std::max(value, now);
      }
    }
    best = std::move(next);
  }
  std::int64_t most = 0;
  for (const auto& [held, sum] : best) most = std::max(most, sum);
  return most;
}

TEST(Belady, EqualsTheExhaustiveOptimum) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto batches = random_batches(seed, 5, 2, 14);
    EXPECT_EQ(hits("belady", batches, one_domain(5, 2)), exhaustive_optimum(batches, 2)) << "seed " << seed;
  }
}

TEST(Property, NoPolicyBeatsBelady) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto batches = random_batches(seed, 64, 6, 400);
    for (const std::int64_t capacity : {1, 4, 16, 40}) {
      for (const Admission admission : {Admission::always, Admission::bypass}) {
        const CacheGeometry geometry = one_domain(64, capacity, admission);
        const std::int64_t most = hits("belady", batches, geometry);
        for (const std::string& name : all_names()) {
          EXPECT_LE(hits(name, batches, geometry), most)
              << name << " capacity " << capacity << " seed " << seed;
        }
      }
    }
  }
}

// LRU is a stack algorithm (Mattson et al. 1970): a larger cache holds everything that a smaller one holds.
// With batches this holds as long as a batch fits: its members are then the most recent of both.
TEST(Property, LruOfALargerCacheIncludesTheSmaller) {
  const auto batches = random_batches(7, 48, 4, 2000);
  const auto small = eviction_registry().find("lru", "test").make(one_domain(48, 8));
  const auto large = eviction_registry().find("lru", "test").make(one_domain(48, 9));
  for (const Batch& batch : batches) {
    small->access(0, batch);
    large->access(0, batch);
    for (ExpertKey key = 0; key < 48; ++key) {
      if (small->is_resident(key)) {
        ASSERT_TRUE(large->is_resident(key));
      }
    }
  }
}

TEST(Property, ResidencyMatchesWhatWasReported) {
  const auto batches = random_batches(3, 32, 6, 800);
  const std::vector<BatchIndex> future = future_of(batches);
  for (const std::string& name : all_names()) {
    CacheGeometry geometry = one_domain(32, 7);
    geometry.next_use = future;
    const auto cache = eviction_registry().find(name, "test").make(geometry);
    std::set<ExpertKey> held;
    for (const Batch& batch : batches) {
      const std::uint32_t hit = cache->access(0, batch);
      ASSERT_EQ(hit + cache->misses().size(), batch.size()) << name;
      for (const ExpertKey key : cache->misses()) ASSERT_FALSE(held.contains(key)) << name;
      for (const ExpertKey key : cache->evicted()) ASSERT_EQ(held.erase(key), 1U) << name;
      for (const ExpertKey key : cache->misses()) {
        if (cache->is_resident(key)) held.insert(key);
      }
      for (ExpertKey key = 0; key < 32; ++key) ASSERT_EQ(held.contains(key), cache->is_resident(key)) << name;
      ASSERT_EQ(static_cast<std::int64_t>(held.size()), cache->used()) << name;
    }
  }
}

TEST(Property, PinnedExpertsStay) {
  const auto batches = random_batches(5, 32, 4, 300);
  const std::vector<BatchIndex> future = future_of(batches);
  for (const std::string& name : all_names()) {
    CacheGeometry geometry = one_domain(32, 4);
    geometry.next_use = future;
    const auto cache = eviction_registry().find(name, "test").make(geometry);
    ExpertKey held = no_key;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      cache->access(0, batches[i]);
      if (held == no_key && cache->is_resident(batches[i].front())) cache->hold(held = batches[i].front());
      if (held != no_key) {
        ASSERT_TRUE(cache->is_resident(held)) << name;
      }
    }
    EXPECT_NE(held, no_key) << name;
  }
}

TEST(Geometry, DomainsDoNotCompeteAndSizesCount) {
  CacheGeometry geometry;
  geometry.domains = 2;
  geometry.first_key = {0, 4, 8};
  geometry.capacity = {6, 2};
  geometry.size = {3, 3, 3, 3, 1, 1, 1, 1};
  const auto cache = eviction_registry().find("lru", "test").make(geometry);
  cache->access(0, Batch{0, 1});
  cache->access(1, Batch{4, 5, 6});
  EXPECT_TRUE(cache->is_resident(0));
  EXPECT_TRUE(cache->is_resident(1));
  EXPECT_FALSE(cache->is_resident(6));
  EXPECT_EQ(cache->used(), 8);
  cache->access(0, Batch{2});
  EXPECT_THAT(cache->evicted(), ElementsAre(0));
}

TEST(Registry, UnknownNameListsTheValidOnes) {
  try {
    std::ignore = eviction_registry().find("lruu", "--eviction");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("no eviction policy named 'lruu'"));
    EXPECT_THAT(error.what(), testing::HasSubstr("lru"));
  }
}

}  // namespace
}  // namespace pregate::cache
