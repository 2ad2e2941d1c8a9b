// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Experts on a drive, of which the host's memory holds some (host_cache).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/report/metrics.hpp"
#include "sim/report/report.hpp"
#include "tests/models/error_of.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using testing::HasSubstr;

struct HostCache : testing::Test {
  ModelSpec model = test::tiny_model(1, 8, 2);
  MachineSpec machine = test::tiny_machine();
  PolicySpec policy = load_policy("on-demand");
  test::ListSource source{test::decoder_info(1, 8, 2)};
  Picoseconds read = Picoseconds{80 * us} + time_at(test::tiny_expert, {0.5e9}), copy = copy_time();

  HostCache() {
    machine.ssd = {.capacity = {1LL << 40}, .read_bandwidth = {0.5e9}, .latency = Picoseconds{80 * us}};
    for (const auto& experts : {std::vector<std::uint16_t>{0, 1}, {1, 2}, {0, 1}, {0, 1}})
      source.add(trace::Phase::decode, 1, experts, source.info().steps == 0);
  }

  void hold(std::int64_t experts) { policy.host_cache.capacity = {CapacityKind::slots, experts, {}, 0}; }
  /// On both executors.
  SimulationResult run() {
    const PreparedTrace prepared(source, model, "test");
    SimulationOptions timed, event;
    event.engine = Engine::event;
    const SimulationResult a = simulate(model, machine, policy, prepared, source, timed),
                           b = simulate(model, machine, policy, prepared, source, event);
    EXPECT_EQ(a.total, b.total);
    EXPECT_EQ(a.tally.busy, b.tally.busy);
    EXPECT_EQ(a.tally.exposed_transfer, b.tally.exposed_transfer);
    EXPECT_EQ(a.path.spent, b.path.spent);
    EXPECT_EQ(a.decode_cache.drive_reads, b.decode_cache.drive_reads);
    return a;
  }
};

// As in the test of the seam: reads of r = 276.608 us, copies of c = 108.304 us, in the order of the misses.
// Held are two experts: both read (2 r + c), then 2 in place of 0 (r + c), 0 in place of 2 (r + 2 c), none (2
// c).
TEST_F(HostCache, ReadsWhatTheHostLacks) {
  hold(2);
  const SimulationResult two = run();
  EXPECT_EQ(two.decode_cache.drive_reads, 4);
  EXPECT_EQ(two.tally.exposed_transfer, read * 4 + copy * 6);
  EXPECT_EQ(two.memory.host, test::tiny_expert * 2);
  EXPECT_EQ(two.path.spent[Cause::drive], read * 4);
  hold(8);
  EXPECT_EQ(run().decode_cache.drive_reads, 3) << "each expert once";
  policy.host_cache.capacity = {};
  const SimulationResult none = run();
  EXPECT_EQ(none.decode_cache.drive_reads, 0);
  EXPECT_EQ(none.tally.exposed_transfer, copy * 8);
  EXPECT_EQ(none.memory.host, test::tiny_expert * 8);
}

// No eviction makes more reads with room for more experts where it is a stack policy, and a hit in GPU memory
// asks the host for nothing: with every expert cached there each is read once.
TEST_F(HostCache, LargerPoolsReadLessAndHitsReadNothing) {
  std::int64_t before = 1'000;
  for (int held = 1; held <= 8; ++held) {
    hold(held);
    const std::int64_t reads = run().decode_cache.drive_reads;
    EXPECT_LE(reads, before) << held;
    before = reads;
  }
  hold(1);
  policy.cache.capacity = {CapacityKind::slots, 8, {}, 0};
  EXPECT_EQ(run().decode_cache.drive_reads, 3);
}

// What the CPU computes it reads from the host's memory: it waits for the drive. Steps 1 to 3 read 2, 1
// and 1.
TEST_F(HostCache, TheCpuWaitsForTheDrive) {
  machine.overhead.experts = {};  // the GPU has nothing to do meanwhile
  choose(policy.miss.service, built_in_parts().miss_services, "compute-on-cpu");
  const SimulationResult all_there = run();
  hold(2);
  const SimulationResult two = run();
  EXPECT_EQ(two.decode_cache.drive_reads, 4);
  const CostModel costs(model, machine, policy);
  const Picoseconds sent = costs.activations(LinkId{1}, 1).duration;  // beside the first read
  EXPECT_EQ(two.total - all_there.total, read * 4 - sent * 3);
}

// Pre-gated: the reads for the second layer run beside the first one's, which come first.
TEST_F(HostCache, WhatIsAnnouncedIsReadAhead) {
  model = test::tiny_model(2, 8, 1);
  test::ListSource two_layers{test::decoder_info(2, 8, 1)};
  two_layers.add(trace::Phase::decode, 1, {0, 3}, true);
  const PreparedTrace prepared(two_layers, model, "test");
  policy = load_policy("pre-gated");
  hold(8);
  const SimulationResult ahead = simulate(model, machine, policy, prepared, two_layers);
  policy = load_policy("on-demand");
  hold(8);
  const SimulationResult late = simulate(model, machine, policy, prepared, two_layers);
  EXPECT_EQ(ahead.decode_cache.drive_reads, 2);
  EXPECT_EQ(late.tally.exposed_transfer, (read + copy) * 2);
  // Of the second layer's read and copy, what the first one's read and copy, its experts, the next attention
  // and gate leave.
  EXPECT_LT(ahead.tally.exposed_transfer, late.tally.exposed_transfer);
  EXPECT_GE(ahead.tally.exposed_transfer, read * 2 + copy - (late.total - late.tally.exposed_transfer));
}

TEST_F(HostCache, WhatDoesNotGoTogetherIsRefused) {
  const PreparedTrace prepared(source, model, "test");
  hold(2);
  machine.ssd = {};
  EXPECT_THAT(test::error_of([&] { simulate(model, machine, policy, prepared, source); }),
              HasSubstr("no drive"));
  const auto refused = [](const std::vector<std::string>& set) {
    std::vector<Override> all{parse_override("policy.host_cache.capacity=25%")};
    for (const std::string& each : set) all.push_back(parse_override(each));
    return test::error_of([&] { load_policy("on-demand-cache", all); });
  };
  EXPECT_THAT(refused({"policy.host_cache.eviction=belady"}), HasSubstr("host_cache.eviction"));
  EXPECT_THAT(refused({"policy.host_cache.eviction=none"}), HasSubstr("host_cache.eviction"));
  EXPECT_THAT(refused({"policy.transfer.write_back=swap"}), HasSubstr("write_back"));
  EXPECT_THAT(refused({"policy.placement.kind=all"}), HasSubstr("leaves nothing to read"));
}

TEST_F(HostCache, ADriveThatIsTooSmallIsOutOfMemory) {
  const PreparedTrace prepared(source, model, "test");
  hold(2);
  machine.ssd.capacity = test::tiny_expert * 7;
  const SimulationResult result = simulate(model, machine, policy, prepared, source);
  EXPECT_TRUE(result.out_of_memory);
  EXPECT_THAT(result.out_of_memory_reason, HasSubstr("of the drive"));
}

}  // namespace
}  // namespace pregate::sim
