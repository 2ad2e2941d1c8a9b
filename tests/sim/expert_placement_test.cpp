// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Which GPU each expert lives on: published examples by hand, counts, and optima against exhaustive search.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "models/error.hpp"
#include "runtime/integer_program/open_solver.hpp"
#include "sim/expert_placement/clusters.hpp"
#include "sim/expert_placement/placement_kinds.hpp"
#include "sim/expert_placement/quality.hpp"
#include "sim/expert_placement/replicas.hpp"
#include "tests/support/list_source.hpp"

namespace pregate::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CountTable table_of_rows(const std::vector<std::vector<double>>& rows) {
  CountTable table{rows.size(), rows.front().size(), {}};
  for (const auto& row : rows) table.cells.insert(table.cells.end(), row.begin(), row.end());
  return table;
}

ExpertHomes placed(const std::string& kind, const ExpertMap& map, const RoutingStatistics& statistics,
                   int gpus) {
  return place_experts(placement_kind(kind, "test"), map, statistics, {.gpus = gpus}).homes;
}

// 2303.06182: the heaviest first, to the least loaded; experts that are busy together apart.
TEST(ExpertPlacement, GreedyAndAntiCorrelationOfTheHandMadeExample) {
  const ExpertMap map(test::decoder_info(1, 4, 1));
  RoutingStatistics statistics;
  statistics.layers.push_back(
      {.load = {.30, .28, .22, .20},
       .tokens = {30, 28, 22, 20},
       .correlation = table_of_rows({{1, 0, -.5, .9}, {0, 1, .9, -.5}, {-.5, .9, 1, 0}, {.9, -.5, 0, 1}}),
       .next = {}});
  EXPECT_THAT(placed("greedy", map, statistics, 2).of_key, ElementsAre(0, 1, 1, 0));
  EXPECT_THAT(placed("anti-correlation", map, statistics, 2).of_key, ElementsAre(0, 1, 0, 1));
  EXPECT_THAT(placed("round-robin", map, statistics, 2).of_key, ElementsAre(0, 1, 0, 1));
  EXPECT_THAT(placed("contiguous", map, statistics, 2).of_key, ElementsAre(0, 0, 1, 1));
}

// 200 tokens from layer to layer: in blocks 60 cross, with {0, 2} and {1, 3} together 10, the fewest.
TEST(ExpertPlacement, AffinityOfTheHandMadeExample) {
  const CountTable next = table_of_rows({{40, 0, 10, 0}, {0, 30, 0, 20}, {10, 0, 30, 10}, {0, 20, 0, 30}});
  const LayerChain chain{.gpus = 2, .experts = {4, 4}, .next = {&next}};
  EXPECT_EQ(crossings(chain, {{0, 0, 1, 1}, {0, 0, 1, 1}}), 60);
  EXPECT_EQ(crossings(chain, {{0, 1, 0, 1}, {0, 1, 0, 1}}), 10);
  for (const AffinityHomes& found : {affinity_by_states(chain), affinity_by_search(chain, 1)}) {
    EXPECT_EQ(found.crossings, 10);
    EXPECT_EQ(crossings(chain, found.homes), 10);
    EXPECT_EQ(found.homes[0], found.homes[1]);
    EXPECT_EQ(found.homes[0][0], found.homes[0][2]);
  }
}

/// Every way to deal out the layers of `chain` with its quotas; the fewest crossings.
double fewest_crossings(const LayerChain& chain, ChainHomes homes = {}) {
  if (homes.size() == chain.experts.size()) return crossings(chain, homes);
  std::vector<std::uint8_t> deal;
  const std::size_t experts = chain.experts[homes.size()];
  for (int gpu = 0; gpu < chain.gpus; ++gpu)
    deal.insert(deal.end(), static_cast<std::size_t>(quota(experts, chain.gpus, gpu)),
                static_cast<std::uint8_t>(gpu));
  double best = std::numeric_limits<double>::infinity();
  homes.emplace_back();
  do {
    homes.back() = deal;
    best = std::min(best, fewest_crossings(chain, homes));
  } while (std::next_permutation(deal.begin(), deal.end()));
  return best;
}

struct RandomChain {
  std::vector<CountTable> tables;
  LayerChain chain;
};

std::unique_ptr<RandomChain> random_chain(std::mt19937_64& random, int gpus,
                                          std::vector<std::size_t> experts) {
  auto made = std::make_unique<RandomChain>();
  made->chain = {.gpus = gpus, .experts = std::move(experts), .next = {}};
  for (std::size_t layer = 0; layer + 1 < made->chain.experts.size(); ++layer) {
    CountTable& table = made->tables.emplace_back();
    table.rows = made->chain.experts[layer];
    table.columns = made->chain.experts[layer + 1];
    for (std::size_t i = 0; i < table.rows * table.columns; ++i)
      table.cells.push_back(static_cast<double>(random() % 4 == 0 ? random() % 50 : random() % 6));
  }
  for (const CountTable& table : made->tables) made->chain.next.push_back(&table);
  return made;
}

bool has_quotas(const LayerChain& chain, const ChainHomes& homes) {
  for (std::size_t layer = 0; layer < homes.size(); ++layer)
    for (int gpu = 0; gpu < chain.gpus; ++gpu)
      if (std::count(homes[layer].begin(), homes[layer].end(), gpu) !=
          quota(chain.experts[layer], chain.gpus, gpu))
        return false;
  return true;
}

TEST(ExpertPlacement, AffinityByStatesIsTheOptimumOfExhaustiveSearch) {
  std::mt19937_64 random(7);
  const std::vector<std::pair<int, std::vector<std::size_t>>> shapes = {
      {2, {4, 4, 4}}, {2, {6, 6, 6}}, {3, {6, 6}},    {2, {5, 5, 5}},
      {3, {4, 5, 4}}, {4, {4, 4, 4}}, {3, {3, 6, 5}}, {1, {4, 4}}};
  for (int round = 0; round < 4; ++round)
    for (const auto& [gpus, experts] : shapes) {
      const auto made = random_chain(random, gpus, experts);
      const double best = fewest_crossings(made->chain);
      const AffinityHomes exact = affinity_by_states(made->chain), found = affinity_by_search(made->chain, 1);
      EXPECT_EQ(exact.crossings, best);
      EXPECT_EQ(crossings(made->chain, exact.homes), best);
      EXPECT_TRUE(has_quotas(made->chain, exact.homes));
      EXPECT_TRUE(has_quotas(made->chain, found.homes));
      EXPECT_GE(found.crossings, best);
      EXPECT_LE(found.bound, best);
      EXPECT_LE(found.crossings, 1.1 * best + 3);  // on problems this small it is at or near the optimum
    }
}

// Mixtral's size, where all ways can still be tried.
TEST(ExpertPlacement, LocalSearchComesNearTheOptimumOfLongChains) {
  std::mt19937_64 random(2);
  const auto made = random_chain(random, 4, std::vector<std::size_t>(16, 8));
  const AffinityHomes exact = affinity_by_states(made->chain), found = affinity_by_search(made->chain, 1);
  EXPECT_EQ(crossings(made->chain, exact.homes), exact.crossings);
  EXPECT_GE(found.crossings, exact.crossings);
  EXPECT_LE(found.crossings, 1.05 * exact.crossings);
  EXPECT_LT(crossings_bound(made->chain), exact.crossings);
}

/// The solver, or an empty one where this build has none.
IntegerProgramSolver solver() { return runtime::open_cbc().solve; }
#define PREGATE_NEEDS_CBC()                                                               \
  do {                                                                                    \
    if (!solver()) GTEST_SKIP() << "SKIPPED: " << ::pregate::runtime::open_cbc().problem; \
  } while (false)

TEST(ExpertPlacement, AffinityByIntegerProgramIsTheOptimumOfExhaustiveSearch) {
  PREGATE_NEEDS_CBC();
  std::mt19937_64 random(11);
  const std::vector<std::pair<int, std::vector<std::size_t>>> shapes = {
      {2, {4, 4, 4}}, {2, {6, 6}}, {3, {5, 4}}, {2, {5, 5}}, {3, {6, 6}}};
  for (const auto& [gpus, experts] : shapes) {
    const auto made = random_chain(random, gpus, experts);
    const AffinityHomes found = affinity_by_program(made->chain, solver());
    EXPECT_EQ(found.crossings, fewest_crossings(made->chain));
    EXPECT_TRUE(found.is_optimal());
    EXPECT_TRUE(has_quotas(made->chain, found.homes));
  }
}

TEST(ExpertPlacement, ClustersDeviateAsLittleAsExhaustiveSearchFinds) {
  PREGATE_NEEDS_CBC();
  std::mt19937_64 random(3);
  for (const auto& [experts, clusters] :
       std::vector<std::pair<std::size_t, int>>{{6, 2}, {8, 2}, {6, 3}, {7, 3}, {8, 4}}) {
    std::vector<double> loads;
    for (std::size_t i = 0; i < experts; ++i) loads.push_back(static_cast<double>(random() % 100));
    std::vector<std::uint8_t> deal;
    for (int each = 0; each < clusters; ++each)
      deal.insert(deal.end(), static_cast<std::size_t>(quota(experts, clusters, each)),
                  static_cast<std::uint8_t>(each));
    double least = std::numeric_limits<double>::infinity();
    do least = std::min(least, deviation(loads, deal, clusters));
    while (std::next_permutation(deal.begin(), deal.end()));
    const Clusters found = balanced_clusters(loads, clusters, solver());
    const double mean = std::accumulate(loads.begin(), loads.end(), 0.0) / clusters;
    EXPECT_TRUE(found.is_optimal);
    EXPECT_LE(deviation_bound(loads, clusters), least + 1e-9);
    EXPECT_GE(found.deviation, least - 1e-9);
    EXPECT_LE(found.deviation, least + cluster_tolerance * mean + 1e-9);
    EXPECT_NEAR(found.deviation, deviation(loads, found.of_expert, clusters), 1e-9);
  }
}

// Over links of unequal rates, and of equal ones, against every order of the clusters in every layer.
TEST(ExpertPlacement, ClustersGoToGpusAsExhaustiveSearchFinds) {
  std::mt19937_64 random(5);
  const auto draw = [&](std::uint64_t least) {
    CountTable table{3, 3, {}};
    for (int i = 0; i < 9; ++i) table.cells.push_back(static_cast<double>(least + random() % 40));
    return table;
  };
  const auto most = [](const CountTable& tokens, const std::vector<int>& from, const std::vector<int>& to,
                       const CountTable& links) {
    double worst = 0;
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) {
        const auto a = static_cast<std::size_t>(from[i]), b = static_cast<std::size_t>(to[j]);
        if (a != b) worst = std::max(worst, tokens.at(i, j) / (links.rows > 0 ? links.at(a, b) : 1));
      }
    return worst;
  };
  for (int round = 0; round < 6; ++round) {
    const std::vector<CountTable> tokens = {draw(0), draw(0)};
    const CountTable links = round % 2 == 0 ? CountTable{} : draw(1);
    double least = std::numeric_limits<double>::infinity();
    std::vector<int> a = {0, 1, 2};
    do {
      std::vector<int> b = {0, 1, 2};
      do {
        std::vector<int> c = {0, 1, 2};
        do least = std::min(least, most(tokens[0], a, b, links) + most(tokens[1], b, c, links));
        while (std::next_permutation(c.begin(), c.end()));
      } while (std::next_permutation(b.begin(), b.end()));
    } while (std::next_permutation(a.begin(), a.end()));
    const ClusterHomes found = clusters_to_gpus(tokens, 3, links);
    EXPECT_TRUE(found.is_exact);
    EXPECT_NEAR(found.cost, least, 1e-9);
  }
}

// The example of EPLB's own page: two layers of 12 experts in 4 groups, 16 replicas, 2 nodes of 4 GPUs.
TEST(ExpertPlacement, ReplicasOfThePublishedExample) {
  const ReplicaShape shape{.slots = 16, .gpus = 8, .nodes = 2, .groups = 4};
  const auto experts = [&](const std::vector<double>& tokens) {
    std::vector<int> list;
    for (const Replica& replica : balance_replicas(tokens, shape)) list.push_back(replica.expert);
    return list;
  };
  EXPECT_THAT(experts({90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86}),
              ElementsAre(5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1));
  EXPECT_THAT(experts({20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}),
              ElementsAre(7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1));
}

// Two tokens a step over two layers of 4 experts, top-2, on 2 GPUs: {0, 1} and {2, 3}.
TEST(ExpertPlacement, QualityByHand) {
  test::ListSource source(test::decoder_info(2, 4, 2));
  source.add(trace::Phase::decode, 2, {0, 1, 2, 3, /* layer 1 */ 0, 2, 2, 3});
  source.add(trace::Phase::decode, 1, {0, 3, /* layer 1 */ 1, 0});
  const ExpertMap map(source.info());
  ExpertHomes homes{.gpus = 2, .of_key = {0, 0, 1, 1, 0, 0, 1, 1}, .copies = {}};
  const PlacementQuality quality = judge(source, map, {}, homes);
  EXPECT_EQ(quality.pairs, 12);
  EXPECT_DOUBLE_EQ(quality.crossings, 4.0 / 12);  // 2 of the first token, 0 of the second, 2 of the third
  EXPECT_DOUBLE_EQ(quality.gpus_a_token, 8.0 / 6);
  EXPECT_DOUBLE_EQ(quality.max_load, 1);
  EXPECT_DOUBLE_EQ(quality.mean_max_load, (0.5 + 0.75 + 0.5 + 1) / 4);
  EXPECT_DOUBLE_EQ(quality.slowest_share, (2 + 3 + 1 + 2) / 12.0);
  // The second layer's expert 2 also on GPU 0: its two tokens are divided, the home's turn first.
  homes.copies = {{6, 0}};
  EXPECT_DOUBLE_EQ(judge(source, map, {0, 1}, homes).mean_max_load, 0.5);
  EXPECT_EQ(judge(source, map, {1, 2}, homes).batches, 2);
}

TEST(ExpertPlacement, StatisticsByHand) {
  test::ListSource source(test::decoder_info(2, 3, 1));
  source.add(trace::Phase::decode, 2, {0, 1, /* layer 1 */ 2, 2});
  source.add(trace::Phase::decode, 2, {0, 0, /* layer 1 */ 1, 2});
  source.add(trace::Phase::decode, 4, {1, 1, 1, 0, /* layer 1 */ 0, 0, 0, trace::no_expert});
  const ExpertMap map(source.info());
  const RoutingStatistics statistics = measure_routing(source, map, {}, "test");
  EXPECT_EQ(statistics.steps, 3);
  const LayerRouting& first = statistics.layers[0];
  EXPECT_THAT(first.tokens, ElementsAre(4, 4, 0));
  EXPECT_DOUBLE_EQ(first.load[0], (0.5 + 1 + 0.25) / 3);
  EXPECT_DOUBLE_EQ(first.load[1], (0.5 + 0 + 0.75) / 3);
  EXPECT_NEAR(first.correlation.at(0, 1), -1, 1e-12);  // their shares sum to 1
  EXPECT_EQ(first.correlation.at(0, 2), 0);
  EXPECT_THAT(first.next.cells, ElementsAre(0, 1, 2, 3, 0, 1, 0, 0, 0));
  EXPECT_EQ(statistics.layers[1].next.rows, 0U);
  EXPECT_THAT(measure_routing(source, map, {0, 1}, "test").layers[0].next.cells,
              ElementsAre(0, 0, 1, 0, 0, 1, 0, 0, 0));
  EXPECT_THROW(measure_routing(source, map, {3, 4}, "test"), InputError);
}

TEST(ExpertPlacement, EveryKindGivesEqualCounts) {
  std::mt19937_64 random(1);
  for (const auto& [experts, gpus] :
       std::vector<std::pair<int, int>>{{8, 4}, {10, 4}, {16, 3}, {7, 7}, {12, 1}}) {
    test::ListSource source(test::decoder_info(3, experts, 2));
    for (int step = 0; step < 40; ++step)
      source.add(trace::Phase::decode, 3, test::random_experts(random, 3, experts, 2, 3));
    const ExpertMap map(source.info());
    const RoutingStatistics statistics = measure_routing(source, map, {}, "test");
    for (const PlacementKind& kind : placement_kinds()) {
      PlacementRequest request{.gpus = gpus, .redundant = 3, .solve = solver()};
      if (kind.needs_solver && !request.solve) continue;
      const ExpertHomes homes = place_experts(kind, map, statistics, request).homes;
      ASSERT_EQ(homes.of_key.size(), map.keys());
      const int slots = experts + static_cast<int>(homes.copies.size()) / 3;
      EXPECT_EQ(homes.copies.size(), kind.name == "replicated" ? 9U : 0U);
      for (const MoeLayer& layer : map.layers()) {
        std::vector<int> counts = held(homes, layer);
        std::sort(counts.begin(), counts.end(), std::greater<>());
        for (int gpu = 0; gpu < gpus; ++gpu)
          EXPECT_EQ(counts[static_cast<std::size_t>(gpu)], quota(static_cast<std::size_t>(slots), gpus, gpu))
              << kind.name << " " << experts << " on " << gpus;
      }
    }
  }
}

TEST(ExpertPlacement, RefusesWhatCannotBePlaced) {
  const ExpertMap map(test::decoder_info(1, 4, 1));
  RoutingStatistics statistics;
  statistics.layers.resize(1);
  EXPECT_THROW(placed("greedy", map, statistics, 5), InputError);
  EXPECT_THROW(placed("greedy", map, statistics, 0), InputError);
  EXPECT_THROW(placed("two-stage", map, statistics, 2), InputError);  // no solver is given
  EXPECT_THROW(placement_kind("gredy", "--kind"), InputError);
}

}  // namespace
}  // namespace pregate::sim
