// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Policies that learn from another trace before the run, where each GPU has a part of the model.
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "tests/models/error_of.hpp"
#include "tests/sim/group_runs.hpp"
#include "tests/sim/timed_operations.hpp"
#include "tests/sim/trace_file.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;

class GroupProfiles : public testing::TestWithParam<int> {
 protected:
  const ParallelSpec spec = spreads.at(static_cast<std::size_t>(GetParam()));
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(3, 4, 16, 3, 4, 7, 12);
  SimulationResult with(const Set& set, const std::string& of = "on-demand") {
    const SimulationResult result =
        run(model, with_host_memory(1e12), policy(set, of), source, {.parallel = spec});
    EXPECT_FALSE(result.out_of_memory) << result.out_of_memory_reason;
    return result;
  }
};

// What is learnt from a file with the run's own trace is what is known of the run, each GPU's part of it.
TEST_P(GroupProfiles, AFileOfTheSameTraceIsTheTrace) {
  const test::TraceFile file(source);
  const Set popular = {{"placement.kind", "popular"}, {"placement.count", "2"}};
  const Set budgets = {{"cache.capacity", "50%"}, {"cache.split", "budgets"}};
  for (const auto& [set, key] : {std::pair{popular, "placement.profile"}, {budgets, "cache.budgets"}}) {
    SCOPED_TRACE(key);
    const SimulationResult known = with(set), learnt = with(joined(set, {{key, file.path()}}));
    EXPECT_EQ(known.total, learnt.total);
    EXPECT_EQ(known.decode_cache.hits, learnt.decode_cache.hits);
    EXPECT_GT(known.decode_cache.hits, 0);
    for (std::size_t gpu = 0; gpu < known.gpus.size(); ++gpu)
      EXPECT_EQ(known.gpus[gpu].hits, learnt.gpus[gpu].hits);
  }
}

// A cache that begins with what the trace activates most is copied less.
TEST_P(GroupProfiles, CachesBeginWithWhatAFileActivatesMost) {
  const test::TraceFile file(source);
  const Set cached = {{"cache.capacity", "50%"}};
  const SimulationResult cold = with(cached), begun = with(joined(cached, {{"cache.profile", file.path()}}));
  EXPECT_LT(begun.tally.fetches, cold.tally.fetches);
}

// Stages have the layers of one GPU, and so what it learns of each; a table's guesses hide copies.
TEST(GroupProfilesOfStages, LearnWhatOneGpuLearns) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(3, 4, 16, 3, 4, 7, 12);
  const test::TraceFile file(source);
  const Set cached = {{"cache.capacity", "25%"}, {"cache.profile", file.path()}};
  const Set placed = {
      {"placement.kind", "popular"}, {"placement.count", "2"}, {"placement.profile", file.path()}};
  for (const Set& set : {cached, placed}) {
    const auto hits = [&](const ParallelSpec& spec) {
      return run(model, with_host_memory(1e12), policy(set), source, {.parallel = spec}).decode_cache.hits;
    };
    EXPECT_EQ(hits({.pipeline = 2}), hits({}));
  }
  const PolicySpec table = policy({{"lookahead.kind", "table"}, {"lookahead.profile", file.path()}});
  const SimulationResult guessed =
      run(model, with_host_memory(1e12), table, source, {.parallel = {.pipeline = 2}, .recorded_steps = 100});
  EXPECT_GT(guessed.decode_cache.right_guesses, 0);
  expect_replayed(guessed);
}

INSTANTIATE_TEST_SUITE_P(All, GroupProfiles, testing::Range(0, static_cast<int>(spreads.size())));

TEST(GroupProfilesOfStages, OtherModelsAreRefused) {
  ListSource other = test::random_source(3, 2, 16, 3, 4, 7, 12);  // as many layers as a stage has
  const test::TraceFile file(other);
  ListSource source = test::random_source(3, 4, 16, 3, 4, 7, 12);
  const std::string refused = test::error_of([&] {
    run(test::tiny_model(4, 16, 3), with_host_memory(1e12),
        policy({{"cache.capacity", "25%"}, {"cache.profile", file.path()}}), source,
        {.parallel = {.pipeline = 2}});
  });
  EXPECT_NE(refused.find("other MoE layers: 2 MoE layers of up to 16 experts, and here are 4 MoE layers"),
            std::string::npos)
      << refused;
}

}  // namespace
}  // namespace pregate::sim
