// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using test::tiny_machine;
using test::tiny_model;
using testing::ElementsAre;
using trace::Phase;

// On-demand: gate, blocking read-back of the ids, one copy after the other, then the experts. Block latency
// is the sum.
TEST(OnDemand, BlockIsTheSumOfItsParts) {
  const ModelSpec model = tiny_model(3, 8, 2);
  ListSource source(test::decoder_info(3, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3, 4, 5}, true);
  const Durations d = durations(model, source);
  const SimulationResult result = run(model, tiny_machine(), load_policy("on-demand"), source);
  const Picoseconds block = d.attention + d.gate + d.readback + copy_time() * 2 + d.experts;
  EXPECT_DOUBLE_EQ(result.tally.block_latency.mean_ms(), block.milliseconds());
  EXPECT_EQ(result.tally.exposed_transfer, copy_time() * 6);
  EXPECT_EQ(result.tally.exposed_host, d.readback * 3);
  EXPECT_EQ(result.tally.fetched, test::tiny_expert * 6);
}

TEST(GpuOnly, CopiesNothingAndReadsNothingBack) {
  const ModelSpec model = tiny_model(2, 8, 2);
  ListSource source(test::decoder_info(2, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3}, true);
  const SimulationResult result = recorded(model, load_policy("gpu-only"), source);
  EXPECT_THAT(names(result.schedule),
              ElementsAre("attention L0", "experts L0", "attention L1", "experts L1"));
  EXPECT_EQ(result.decode_cache.hits, 4);
}

TEST(Placement, PopularAndFirstLayersArePinned) {
  const ModelSpec model = tiny_model(2, 4, 1);
  ListSource source(test::decoder_info(2, 4, 1));
  for (const std::uint16_t expert : std::vector<std::uint16_t>{3, 3, 3, 1})
    source.add(Phase::decode, 1, {expert, expert});
  PolicySpec policy = load_policy("on-demand");
  test::place(policy, "popular", 1);
  SimulationResult result = run(model, tiny_machine(), policy, source);
  EXPECT_EQ(result.decode_cache.hits, 6);
  EXPECT_EQ(result.tally.fetches, 2);
  test::place(policy, "first-layers", 1);
  result = run(model, tiny_machine(), policy, source);
  EXPECT_EQ(result.decode_cache.hits, 4);
  EXPECT_EQ(result.tally.fetches, 4);
  EXPECT_EQ(result.memory.peak[static_cast<std::size_t>(MemoryPurpose::resident_experts)],
            test::tiny_expert * 4);
}

TEST(Routing, ATokenMayHaveFewerExperts) {
  const ModelSpec model = tiny_model(1, 8, 2);
  ListSource source(test::decoder_info(1, 8, 2));
  source.add(Phase::decode, 1, {5, trace::no_expert}, true);
  source.add(Phase::decode, 1, {trace::no_expert, trace::no_expert});
  const SimulationResult result = run(model, tiny_machine(), load_policy("on-demand"), source);
  EXPECT_EQ(result.tally.fetches, 1);
  EXPECT_EQ(result.decode_cache.misses, 1);
}

TEST(Trace, MustFitTheModel) {
  ListSource source(test::decoder_info(2, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3}, true);
  EXPECT_THROW(run(tiny_model(3, 8, 2), tiny_machine(), load_policy("on-demand"), source), InputError);
  EXPECT_THROW(run(tiny_model(2, 4, 2), tiny_machine(), load_policy("on-demand"), source), InputError);
  EXPECT_THROW(run(tiny_model(2, 8, 1), tiny_machine(), load_policy("on-demand"), source), InputError);
}

}  // namespace
}  // namespace pregate::sim
