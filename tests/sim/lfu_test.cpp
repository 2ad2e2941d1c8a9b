// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "sim/cache/eviction.hpp"

namespace pregate::cache {
namespace {

/// Least frequently used by its definition: looks at everybody each time.
class PlainLfu {
 public:
  PlainLfu(std::uint32_t keys, std::size_t capacity, bool forgets, bool bypasses)
      : counts_(keys), last_(keys), capacity_(capacity), forgets_(forgets), bypasses_(bypasses) {}

  std::set<ExpertKey> residents;
  std::multiset<ExpertKey> held;

  std::vector<ExpertKey> access(const std::vector<ExpertKey>& batch) {
    std::vector<ExpertKey> misses;
    for (const ExpertKey key : batch) {
      if (!residents.contains(key)) {
        misses.push_back(key);
        continue;
      }
      ++counts_[key];
      last_[key] = ++clock_;
    }
    for (const ExpertKey key : misses) admit(key, batch);
    return misses;
  }

 private:
  void admit(ExpertKey key, const std::vector<ExpertKey>& batch) {
    counts_[key] = forgets_ ? 1 : counts_[key] + 1;
    if (residents.size() == capacity_) {
      const ExpertKey* leaves = nullptr;
      for (const ExpertKey& resident : residents) {
        if (held.contains(resident) || std::find(batch.begin(), batch.end(), resident) != batch.end())
          continue;
        if (leaves == nullptr ||
            std::pair(counts_[resident], last_[resident]) < std::pair(counts_[*leaves], last_[*leaves]))
          leaves = &resident;
      }
      if (leaves == nullptr || (bypasses_ && counts_[key] < counts_[*leaves])) return;
      residents.erase(*leaves);
    }
    residents.insert(key);
    last_[key] = ++clock_;
  }

  std::vector<std::int64_t> counts_, last_;
  std::size_t capacity_;
  bool forgets_, bypasses_;
  std::int64_t clock_ = 0;
};

// Batches, skewed so that counts differ; residents that are held for a while; both kinds of counts, both
// admissions, small caches and one that nearly holds everybody.
TEST(Lfu, EvictsWhomItsDefinitionEvicts) {
  constexpr std::uint32_t keys = 60;
  std::mt19937_64 random(5);
  for (const bool forgets : {false, true}) {
    for (const bool bypasses : {false, true}) {
      for (const std::int64_t capacity : {1, 3, 17, 40, 58}) {
        CacheGeometry geometry;
        geometry.domains = 1;
        geometry.first_key = {0, keys};
        geometry.capacity = {capacity};
        geometry.size.assign(keys, 1);
        geometry.admission = bypasses ? Admission::bypass : Admission::always;
        const auto cache = eviction_registry().find(forgets ? "lfu-forget" : "lfu", "test").make(geometry);
        PlainLfu plain(keys, static_cast<std::size_t>(capacity), forgets, bypasses);
        for (int round = 0; round < 1500; ++round) {
          std::vector<ExpertKey> batch;
          while (batch.size() < 1 + random() % 6) {
            const auto key = static_cast<ExpertKey>(std::min(random() % keys, random() % keys));
            if (std::find(batch.begin(), batch.end(), key) == batch.end()) batch.push_back(key);
          }
          cache->access(0, batch);
          const std::vector<ExpertKey> misses = plain.access(batch);
          ASSERT_TRUE(
              std::equal(misses.begin(), misses.end(), cache->misses().begin(), cache->misses().end()));
          for (ExpertKey key = 0; key < keys; ++key)
            ASSERT_EQ(cache->is_resident(key), plain.residents.contains(key)) << round << ' ' << key;
          const auto key = static_cast<ExpertKey>(random() % keys);
          if (random() % 3 == 0 && cache->is_resident(key)) {
            cache->hold(key);
            plain.held.insert(key);
          } else if (!plain.held.empty() && random() % 2 == 0) {
            cache->let_go(*plain.held.begin());
            plain.held.erase(plain.held.begin());
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace pregate::cache
