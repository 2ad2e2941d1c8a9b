// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/guessed_run.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "sim/parts/predictor/draws.hpp"
#include "sim/planner/by_counts.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

PolicySpec guessing(const std::string& kind, double recall, int distance, const std::string& queue) {
  PolicySpec policy = load_policy("on-demand");
  choose(policy.lookahead.predictor, built_in_parts().predictors, kind);
  if (kind == "given-recall") policy.lookahead.predictor.set("recall", std::to_string(recall));
  policy.lookahead.distance = distance;
  test::queue(policy, queue);
  return policy;
}

bool is_served(const PolicySpec& policy, const ModelSpec& model, trace::StepSource& source) {
  const PreparedTrace trace(source, model, "test");
  SimulationResult result;
  result.topology = topology_of(test::tiny_machine());
  const auto plan = plan_run(model, memory_limits(test::tiny_machine()), policy, trace, source,
                             CountedExperts::all, result);
  return plan && decides_by_guesses(*plan, trace.scan()) && !decides_by_counts(*plan, trace.scan());
}

void compare(const PolicySpec& policy, const MachineSpec& machine, test::ListSource& source, int layers) {
  const ModelSpec model = test::tiny_model(layers, 16, 3);
  ASSERT_TRUE(is_served(policy, model, source));
  const SimulationResult guessed = test::run(model, machine, policy, source);
  const SimulationResult events = test::run(model, machine, policy, source, {.engine = Engine::event});
  EXPECT_GT(events.tally.fetches, 0);
  test::expect_same_run(guessed, events);
}

// Slow links pile guesses up behind each other, over the ends of passes, into slots that were filled in vain;
// misses overtake them and wait for some. The event engine knows nothing of numbers of copies.
TEST(GuessedRun, EqualsTheEventEngine) {
  for (const char* queue : {"fifo", "demand-first"}) {
    for (const double recall : {0.0, 0.5, 0.9}) {
      for (const int distance : {1, 2, 4}) {
        for (const double rate : {5e7, 2e8, 1e9, 4e9, 1e11}) {
          for (const char* capacity : {"0", "25%", "1 slots"}) {
            SCOPED_TRACE(std::to_string(recall) + ", " + std::to_string(distance) + ", " +
                         std::to_string(rate) + ", " + capacity);
            PolicySpec policy = guessing("given-recall", recall, distance, queue);
            policy.cache.capacity = parse_capacity(capacity, "test");
            test::ListSource source = test::random_source(7, 5, 16, 3, 3, 6, 25);
            MachineSpec machine = test::tiny_machine();
            machine.h2d.bandwidth = {rate};
            if (distance == 2) machine.overhead.gate_readback = {};
            compare(policy, machine, source, 5);
          }
        }
      }
    }
  }
}

TEST(GuessedRun, EqualsItForEveryEvictionAndScope) {
  for (const char* eviction : {"lru", "fifo", "lfu", "belady", "random", "s3-fifo", "arc"}) {
    for (const CacheScope scope : {CacheScope::layer, CacheScope::global}) {
      for (const double rate : {2e8, 2e9}) {
        SCOPED_TRACE(std::string(eviction) + ", " + std::to_string(rate));
        PolicySpec policy = guessing("given-recall", 0.7, 2, "demand-first");
        policy.cache.capacity = parse_capacity("30%", "test");
        policy.cache.eviction = eviction;
        policy.cache.scope = scope;
        test::ListSource source = test::random_source(3, 4, 16, 3, 2, 9, 40);
        MachineSpec machine = test::tiny_machine();
        machine.h2d.bandwidth = {rate};
        compare(policy, machine, source, 4);
      }
    }
  }
}

// Exact guesses that overtake nothing, or that a cache for all layers evicts meanwhile; copies in chunks
// where they keep their order.
TEST(GuessedRun, EqualsItForExactGuessesAndChunks) {
  for (const double rate : {2e8, 2e9}) {
    test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 30);
    MachineSpec machine = test::tiny_machine();
    machine.h2d.bandwidth = {rate};
    PolicySpec exact = guessing("pre-gate", 1, 1, "demand-first");
    exact.cache.capacity = parse_capacity("25%", "test");
    compare(exact, machine, source, 4);
    test::queue(exact, "fifo");
    exact.cache.scope = CacheScope::global;
    compare(exact, machine, source, 4);
    PolicySpec chunks = guessing("given-recall", 0.6, 1, "fifo");
    chunks.transfer.chunk = Bytes{40'000};
    compare(chunks, machine, source, 4);
  }
}

TEST(GuessedRun, LeavesToThePlannerWhatNeedsOperations) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 30);
  const PolicySpec served = guessing("given-recall", 0.5, 1, "demand-first");
  EXPECT_TRUE(is_served(served, model, source));
  PolicySpec chunks = served, staging = served, each = served, pinned = served, cpu = served, swap = served;
  chunks.transfer.chunk = Bytes{40'000};
  EXPECT_FALSE(is_served(chunks, model, source));
  staging.transfer.staging_copies = 1;
  EXPECT_FALSE(is_served(staging, model, source));
  each.compute.experts = ExpertCompute::per_expert;
  EXPECT_FALSE(is_served(each, model, source));
  test::place(pinned, "popular", 1);
  EXPECT_FALSE(is_served(pinned, model, source));
  choose(cpu.miss.service, built_in_parts().miss_services, "compute-on-cpu");
  EXPECT_FALSE(is_served(cpu, model, source));
  swap.transfer.write_back = WriteBack::swap;
  EXPECT_FALSE(is_served(swap, model, source));
  PolicySpec none = served;
  choose(none.lookahead.predictor, built_in_parts().predictors, "none");
  EXPECT_FALSE(is_served(none, model, source));
}

// Blocks of 312: some are crossed.
TEST(Draws, AreThoseOfTheStandardEngine) {
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
    Draws draws(seed);
    std::mt19937_64 standard(seed);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(draws(), standard());
  }
}

}  // namespace
}  // namespace pregate::sim
