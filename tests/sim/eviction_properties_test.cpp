// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What holds of every eviction, told of passes and gates as a planner tells it.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/sim/driven_cache.hpp"

namespace pregate::cache {
namespace {

using test::Batch;
using test::DrivenCache;

constexpr std::uint32_t layers = 3, experts = 20, passes = 60;

/// One set a (pass, layer), skewed towards low ids, in the order of the layers.
std::vector<Batch> random_sets(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Batch> sets(std::size_t{passes} * layers);
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const auto first = static_cast<ExpertKey>(i % layers * experts);
    const std::size_t size = 1 + random() % 5;
    while (sets[i].size() < size) {
      const auto key = static_cast<ExpertKey>(first + std::min(random() % experts, random() % experts));
      if (std::find(sets[i].begin(), sets[i].end(), key) == sets[i].end()) sets[i].push_back(key);
    }
  }
  return sets;
}

struct Counted {
  std::int64_t hits = 0, swaps = 0;
  std::vector<std::uint32_t> each;  ///< hits of each set
  bool operator==(const Counted&) const = default;
};

Counted run(const std::string& eviction, const std::vector<Batch>& sets, CacheGeometry geometry,
            const std::string& parameters = "") {
  const std::vector<BatchIndex> future = test::future_of(sets, geometry.start);
  geometry.next_use = future;
  DrivenCache cache(eviction, geometry, parameters);
  Counted counted;
  std::int64_t capacity = 0;
  for (const std::int64_t each : geometry.capacity) capacity += each;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const auto layer = static_cast<std::uint32_t>(i % layers);
    if (layer == 0) cache.begin_pass({.first_of_request = i % 60 == 0});
    cache.gate(layer, sets[i], {}, std::vector<float>(sets[i].size(), 1.0F / 8));
    counted.each.push_back(cache.access(layer, sets[i]));
    counted.hits += counted.each.back();
    EXPECT_LE(cache->used(), capacity) << eviction;
    if (layer + 1 == layers) counted.swaps += static_cast<std::int64_t>(cache->end_pass().size());
    std::int64_t resident = 0;
    for (ExpertKey key = 0; key < geometry.keys(); ++key) resident += cache->is_resident(key) ? 1 : 0;
    EXPECT_EQ(resident, cache->used()) << eviction;
  }
  return counted;
}

/// `capacity` in all; of the experts of each layer the first two are there at the start where `starts`.
CacheGeometry geometry_of(std::int64_t capacity, bool global, bool starts, Admission admission) {
  CacheGeometry geometry = test::layered(layers, experts, global ? capacity : capacity / layers, global);
  geometry.admission = admission;
  for (std::uint32_t layer = 0; starts && layer < layers; ++layer) {
    geometry.start.push_back(layer * experts + 1);
    geometry.start.push_back(layer * experts);
  }
  return geometry;
}

// The optimum with bypass is a bound on every policy that brings nothing in but what misses; of one that
// exchanges experts between passes, on the hits less the copies that this takes (demand paging copies the
// least). Two runs are the same.
TEST(EvictionProperty, NoneBeatsBeladyAndAllAreRepeatable) {
  for (std::uint64_t seed = 0; seed < 2; ++seed) {
    const std::vector<Batch> sets = random_sets(seed);
    for (const std::int64_t capacity : {6, 24}) {
      for (const bool global : {false, true}) {
        for (const bool starts : {false, true}) {
          for (const Admission admission : {Admission::always, Admission::bypass}) {
            const CacheGeometry geometry = geometry_of(capacity, global, starts, admission);
            const std::int64_t most = run("belady", sets, geometry).hits;
            for (const EvictionEntry& entry : eviction_registry().entries()) {
              if (entry.is_decreed) continue;
              const Counted counted = run(entry.name, sets, geometry);
              EXPECT_LE(counted.hits - counted.swaps, most) << entry.name << ' ' << capacity << ' ' << global;
              const bool by_prompts = entry.name == "per-request";  // and there are none
              EXPECT_EQ(entry.swaps && !by_prompts, counted.swaps > 0) << entry.name;
              EXPECT_EQ(counted, run(entry.name, sets, geometry)) << entry.name;
            }
          }
        }
      }
    }
  }
}

// Of an oracle that sees all, as of Belady; one that sees nothing, or overlooks everything, is lru.
TEST(WindowOracle, IsBeladyOrLruAtItsEnds) {
  for (std::uint64_t seed = 10; seed < 14; ++seed) {
    const std::vector<Batch> sets = random_sets(seed);
    for (const std::int64_t capacity : {6, 18, 36}) {
      for (const bool global : {false, true}) {
        for (const bool starts : {false, true}) {
          const auto hits = [&](const char* eviction, const char* parameters, Admission admission) {
            return run(eviction, sets, geometry_of(capacity, global, starts, admission), parameters).hits;
          };
          const char *const all = "foresight = 1000000", *const none = "foresight = 0";
          EXPECT_EQ(hits("window-oracle", all, Admission::bypass), hits("belady", "", Admission::bypass));
          EXPECT_EQ(hits("window-oracle", all, Admission::always),
                    hits("belady-forced", "", Admission::always));
          EXPECT_EQ(hits("window-oracle", none, Admission::always), hits("lru", "", Admission::always));
          EXPECT_EQ(hits("window-oracle", "foresight = 1000000\nnoise = 1", Admission::always),
                    hits("lru", "", Admission::always));
        }
      }
    }
  }
}

// Foresight of a step is worth something, of eight more; half of it overlooked, less.
TEST(WindowOracle, GainsByForesightAndLosesByNoise) {
  const std::vector<Batch> sets = random_sets(21);
  const CacheGeometry geometry = geometry_of(18, true, false, Admission::always);
  const std::int64_t lru = run("lru", sets, geometry).hits,
                     one = run("window-oracle", sets, geometry, "foresight = 1").hits,
                     eight = run("window-oracle", sets, geometry, "foresight = 8").hits,
                     noisy = run("window-oracle", sets, geometry, "foresight = 8\nnoise = 0.5").hits;
  EXPECT_LT(lru, one);
  EXPECT_LT(one, eight);
  EXPECT_LT(noisy, eight);
}

// Who is there at the start hits at its first use, whatever evicts; a cold cache misses it.
TEST(Start, IsThereBeforeTheFirstAccess) {
  const std::vector<Batch> sets = {{0, 1, 5}, {20, 21}, {40}};
  for (const EvictionEntry& entry : eviction_registry().entries()) {
    if (entry.is_decreed) continue;
    EXPECT_EQ(run(entry.name, sets, geometry_of(12, false, true, Admission::always)).hits, 5) << entry.name;
    EXPECT_EQ(run(entry.name, sets, geometry_of(12, false, false, Admission::always)).hits, 0) << entry.name;
  }
}

// Of those that start, the one that is wanted least leaves first.
TEST(Start, LeavesInTheOrderOfTheProfile) {
  const std::vector<Batch> sets = {{2}, {20}, {40}, {0}};
  EXPECT_EQ(run("lru", sets, geometry_of(6, false, true, Admission::always)).each,
            (std::vector{0U, 1U, 1U, 1U}));
}

}  // namespace
}  // namespace pregate::cache
