// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Hits of LRU caches of every capacity from one pass, against a cache of each capacity.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "sim/cache/eviction.hpp"
#include "tests/sim/driven_cache.hpp"

namespace pregate::cache {
namespace {

/// `size` distinct ones of `keys` experts from `first` on, skewed towards low ids, in any order.
std::vector<ExpertKey> random_batch(std::mt19937_64& random, ExpertKey first, std::uint32_t keys,
                                    std::size_t size) {
  std::vector<ExpertKey> batch;
  while (batch.size() < size) {
    const auto key = static_cast<ExpertKey>(first + std::min(random() % keys, random() % keys));
    if (std::find(batch.begin(), batch.end(), key) == batch.end()) batch.push_back(key);
  }
  return batch;
}

struct Shape {
  std::uint32_t layers, experts;
  bool global;
  std::size_t usual, most;  ///< members of a batch
};

/// Every capacity from none to one more than there are experts, batches of any size, now and then one that
/// is larger than most caches, now and then one during which all residents are held.
void expect_stack(const Shape& shape, const std::string& eviction, unsigned seed, bool holds) {
  const EvictionEntry& entry = eviction_registry().find(eviction, "test");
  const std::uint32_t slots = shape.global ? shape.layers * shape.experts : shape.experts;
  std::vector<std::unique_ptr<ExpertCache>> caches;
  for (std::uint32_t capacity = 0; capacity <= slots + 1; ++capacity)
    caches.push_back(entry.make(test::layered(shape.layers, shape.experts, capacity, shape.global)));
  const auto stacks = entry.make_stacks(test::layered(shape.layers, shape.experts, 0, shape.global));
  std::mt19937_64 random(seed);
  std::vector<std::uint32_t> distances(shape.experts);
  for (int step = 0; step < 400; ++step) {
    const std::uint32_t layer = static_cast<std::uint32_t>(random() % shape.layers);
    const std::size_t size = random() % (1 + (random() % 6 == 0 ? shape.most : shape.usual));
    const std::vector<ExpertKey> batch = random_batch(random, layer * shape.experts, shape.experts, size);
    const std::uint32_t domain = shape.global ? 0 : layer;
    const bool held = holds && random() % 4 == 0;
    const std::uint32_t depth = stacks->depth(domain);
    if (held) {
      stacks->access_held(domain, batch, distances.data());
    } else {
      stacks->access(domain, batch, distances.data());
    }
    for (std::uint32_t capacity = 0; capacity < caches.size(); ++capacity) {
      ExpertCache& cache = *caches[capacity];
      std::vector<ExpertKey> residents;
      for (ExpertKey key = 0; key < shape.layers * shape.experts; ++key)
        if (cache.is_resident(key) && (shape.global || key / shape.experts == layer))
          residents.push_back(key);
      ASSERT_EQ(residents.size(), std::min(depth, capacity));
      for (std::size_t i = 0; i < batch.size(); ++i)
        ASSERT_EQ(distances[i] <= capacity, cache.is_resident(batch[i]))
            << "step " << step << ", " << capacity << " slots, member " << i;
      if (held) {
        for (const ExpertKey key : residents) cache.hold(key);
      }
      cache.access(domain, batch);
      if (held) {
        for (const ExpertKey key : residents) cache.let_go(key);
      }
    }
  }
}

TEST(LruStacks, HitAsCachesOfEveryCapacity) {
  for (const char* eviction : {"lru", "predicted-first"}) {
    for (const Shape& shape :
         {Shape{3, 20, false, 4, 20}, Shape{1, 9, false, 9, 9}, Shape{3, 12, true, 4, 12},
          Shape{2, 40, false, 8, 40}, Shape{2, 30, true, 1, 3}}) {
      for (unsigned seed = 0; seed < 6; ++seed) {
        expect_stack(shape, eviction, seed, false);
        expect_stack(shape, eviction, seed, true);
      }
    }
  }
}

// Evictions without that say nothing: a larger FIFO can hit less (Belady's anomaly).
TEST(LruStacks, AreOfLruAlone) {
  for (const EvictionEntry& entry : eviction_registry().entries())
    EXPECT_EQ(entry.make_stacks != nullptr, entry.name == "lru" || entry.name == "predicted-first")
        << entry.name;
}

}  // namespace
}  // namespace pregate::cache
