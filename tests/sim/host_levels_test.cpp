// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Drive, host memory, GPU: what each level keeps, and how the drive reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/run/replay.hpp"
#include "tests/models/error_of.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using testing::HasSubstr;

MachineSpec with_drive() {
  MachineSpec machine = test::tiny_machine();
  machine.ssd = {
      .capacity = {1LL << 40}, .read_bandwidth = {0.5e9}, .latency = Picoseconds{80 * us}, .read_depth = 1};
  return machine;
}
const Picoseconds transfer = time_at(test::tiny_expert, {0.5e9}), read = Picoseconds{80 * us} + transfer;

PolicySpec held(const std::string& name, std::int64_t slots) {
  PolicySpec policy = load_policy(name);
  policy.host_cache.capacity = {CapacityKind::slots, slots, {}, 0};
  return policy;
}
PolicySpec swapping(std::int64_t gpu, std::int64_t host) {
  PolicySpec policy = held("on-demand-cache", host);
  policy.cache.scope = CacheScope::global;
  policy.cache.capacity = {CapacityKind::slots, gpu, {}, 0};
  policy.transfer.write_back = WriteBack::swap;
  policy.host_cache.exclusive = true;
  return policy;
}

/// On both executors.
SimulationResult on_both(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                         trace::StepSource& source) {
  SimulationOptions event;
  event.engine = Engine::event;
  const SimulationResult a = test::run(model, machine, policy, source),
                         b = test::run(model, machine, policy, source, event);
  EXPECT_EQ(a.total, b.total);
  EXPECT_EQ(a.tally.busy, b.tally.busy);
  EXPECT_EQ(a.path.spent, b.path.spent);
  return a;
}

std::int64_t reads(const SimulationResult& result) {
  return result.decode_cache.drive_reads + result.other_cache.drive_reads;
}

// One read takes latency + b/B = 276.608 us; the next one, of two at a time, b/B = 196.608 us more. Where the
// latency is 800 us, four at a time end every (800 + 196.608) / 4 = 249.152 us.
TEST(ReadDepth, OverlapsLatencies) {
  const ModelSpec model = test::tiny_model(1, 8, 3);
  test::ListSource source{test::decoder_info(1, 8, 3)};
  source.add(trace::Phase::decode, 1, {0, 1, 2}, true);
  MachineSpec machine = with_drive();
  const PolicySpec policy = held("on-demand", 8);
  EXPECT_EQ(on_both(model, machine, policy, source).path.spent[Cause::drive], read * 3);
  machine.ssd.read_depth = 2;
  EXPECT_EQ(on_both(model, machine, policy, source).path.spent[Cause::drive], read + transfer * 2);
  machine.ssd.latency = Picoseconds{800 * us};
  machine.ssd.read_depth = 4;
  const Picoseconds one = machine.ssd.latency + transfer, next{one.count / 4};
  EXPECT_EQ(on_both(model, machine, policy, source).path.spent[Cause::drive], one + next * 2);
}

// {0,1} {1,2} {0,1} {0,1}, two slots at each level. Exclusive: 0, 1 and 2 are read; 0 comes back as 2 takes
// its slot and is there in the third step. Inclusive: the host has 1 and 2 then, and reads 0 again.
TEST(Exclusive, KeepsEachExpertInOnePlace) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  test::ListSource source{test::decoder_info(1, 8, 2)};
  for (const auto& experts : {std::vector<std::uint16_t>{0, 1}, {1, 2}, {0, 1}, {0, 1}})
    source.add(trace::Phase::decode, 1, experts, source.info().steps == 0);
  EXPECT_EQ(reads(on_both(model, with_drive(), swapping(2, 2), source)), 3);
  PolicySpec inclusive = swapping(2, 2);
  inclusive.host_cache.exclusive = false;
  EXPECT_THAT(test::error_of([&] { validate(inclusive, "test"); }), HasSubstr("host_cache.exclusive"));
  inclusive.transfer.write_back = WriteBack::none;
  EXPECT_EQ(reads(on_both(model, with_drive(), inclusive, source)), 4);
}

// Two LRU levels that hold nothing twice are one LRU of both their slots.
TEST(Exclusive, IsOneLruOverBothLevels) {
  const ModelSpec model = test::tiny_model(3, 16, 2);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    test::ListSource source = test::random_source(seed, 3, 16, 2, 1, 1, 60);
    for (const std::int64_t host : {2, 9, 20, 38}) {
      constexpr std::int64_t gpu = 10;
      PolicySpec whole;
      whole.cache.scope = CacheScope::global;
      whole.cache.capacity = {CapacityKind::slots, gpu + host, {}, 0};
      const ReplayResult replayed = replay(source, whole);
      const SimulationResult result = test::run(model, with_drive(), swapping(gpu, host), source);
      EXPECT_EQ(reads(result), replayed.accesses - replayed.hits) << host;
      // Bytes at each level: what the GPU misses comes from the host, what the host lacks from the drive.
      EXPECT_LE(reads(result), result.tally.fetches);
    }
  }
}

// M2Cache: 4 layers, two of them in the host's memory; a layer's reads take 2 x 276.608 us, more than its
// copies and kernels. While one computes the next is read: a pass takes as long as its reads, 2 of 3 units of
// which show where a layer otherwise takes 1.
TEST(Preload, M2Cache) {
  const ModelSpec model = test::tiny_model(4, 2, 2);
  const auto pass = [&](const PolicySpec& policy) {
    Picoseconds total[2];
    for (const int steps : {5, 6}) {
      test::ListSource source{test::decoder_info(4, 2, 2)};
      for (int step = 0; step < steps; ++step)
        source.add(trace::Phase::decode, 1, {0, 1, 0, 1, 0, 1, 0, 1}, step == 0);
      total[steps - 5] = on_both(model, with_drive(), policy, source).total;
    }
    return total[1] - total[0];
  };
  PolicySpec policy = held("on-demand", 4);
  const Picoseconds late = pass(policy), in_memory = pass(load_policy("on-demand"));
  // A layer's second read hides the first one's copy.
  EXPECT_EQ(late, in_memory + read * 8 - copy_time() * 4) << "an LRU of two layers has none of four in turn";
  policy.host_cache.preload = 1;
  EXPECT_EQ(pass(policy), read * 8);
  policy.host_cache.capacity = {CapacityKind::slots, 8, {}, 0};
  EXPECT_EQ(pass(policy), in_memory) << "all are there";
}

// Half of the host's look-ups hit, as said: half of them are read.
TEST(HostHits, CanBeGiven) {
  const ModelSpec model = test::tiny_model(4, 16, 2);
  test::ListSource source = test::random_source(7, 4, 16, 2, 1, 1, 200);
  PolicySpec policy = held("on-demand", 8);
  policy.host_cache.eviction = "given-rate";
  EXPECT_THAT(test::error_of([&] { validate(policy, "test"); }), HasSubstr("host_cache.hit_rate"));
  policy.host_cache.hit_rate = 0.5;
  const SimulationResult result = on_both(model, with_drive(), policy, source);
  EXPECT_NEAR(static_cast<double>(reads(result)) / static_cast<double>(result.tally.fetches), 0.5, 0.005);
  policy.host_cache.eviction = "lru";
  EXPECT_THAT(test::error_of([&] { validate(policy, "test"); }), HasSubstr("host_cache.hit_rate"));
}

TEST(Exclusive, WhatDoesNotGoTogetherIsRefused) {
  const auto refused = [](void (*change)(PolicySpec&)) {
    PolicySpec policy = swapping(2, 2);
    change(policy);
    return test::error_of([&] { validate(policy, "test"); });
  };
  EXPECT_THAT(refused([](PolicySpec& p) { p.transfer.write_back = WriteBack::none; }), HasSubstr("swap"));
  EXPECT_THAT(refused([](PolicySpec& p) { p.host_cache.eviction = "fifo"; }), HasSubstr("eviction"));
  EXPECT_THAT(refused([](PolicySpec& p) { p.host_cache.preload = 1; }), HasSubstr("preload"));
  EXPECT_THAT(refused([](PolicySpec& p) {
                choose(p.miss.service, built_in_parts().miss_services, "compute-on-cpu");
                p.miss.admission = MissAdmission::background;
              }),
              HasSubstr("fetched"));
}

}  // namespace
}  // namespace pregate::sim
