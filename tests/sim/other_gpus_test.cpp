// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Placements on the other GPUs of a machine file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/models/error_of.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using testing::HasSubstr;

struct OtherGpus : testing::Test {
  ModelSpec model = test::tiny_model(2, 8, 4);
  MachineSpec machine = test::tiny_machine();
  PolicySpec policy = load_policy("on-demand");
  test::ListSource source{test::decoder_info(2, 8, 4)};

  OtherGpus() {
    machine.gpu.count = 2;
    machine.peer = {.bandwidth = {50e9}, .latency = Picoseconds{3 * us}, .per_copy = Picoseconds{2 * us}};
    source.add(trace::Phase::decode, 1, {0, 1, 2, 4, 1, 3, 5, 6}, true);
  }

  SimulationResult run() {
    const PreparedTrace prepared(source, model, "test");
    SimulationOptions timed, event;
    event.engine = Engine::event;
    event.recorded_steps = 10;
    const SimulationResult a = simulate(model, machine, policy, prepared, source, timed);
    SimulationResult b = simulate(model, machine, policy, prepared, source, event);
    EXPECT_EQ(a.total, b.total);
    EXPECT_EQ(a.tally.busy, b.tally.busy);
    EXPECT_EQ(a.tally.exposed_transfer, b.tally.exposed_transfer);
    EXPECT_EQ(a.out_of_memory, b.out_of_memory);
    return b;
  }
};

/// By layer, of the recorded schedule.
struct Layer {
  Picoseconds ids, here_starts, there_starts, combined;
  std::vector<Picoseconds> moved;  ///< ends of copies of activations, in the order of issue
};
std::vector<Layer> layers(const SimulationResult& result, int count) {
  std::vector<Layer> all(static_cast<std::size_t>(count));
  const StreamId first = result.topology[result.topology.first(PlaceKind::gpu)].compute;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    const Operation& operation = result.schedule.operation(static_cast<OpId>(i));
    if (operation.layer < 0) continue;
    Layer& layer = all[static_cast<std::size_t>(operation.layer)];
    const Picoseconds start = result.timeline.start[i], finish = result.timeline.finish[i];
    if (operation.kind == OpKind::gate_readback) layer.ids = finish;
    if (operation.kind == OpKind::activations) layer.moved.push_back(finish);
    if (operation.kind == OpKind::experts)
      (operation.stream == first ? layer.here_starts : layer.there_starts) = start;
    if (operation.kind == OpKind::combine) layer.combined = start;
  }
  return all;
}

// Round robin over two GPUs: even experts here, odd ones there. All are resident: nothing is fetched. The
// other one starts after the way over the peer link: 5 us + 64 x 4 bytes at 50 GB/s = 5.00512 us.
TEST_F(OtherGpus, RoundRobinSendsActivationsOverThePeerLink) {
  test::place(policy, "round-robin");
  const SimulationResult result = run();
  EXPECT_EQ(result.tally.fetches, 0);
  EXPECT_EQ(result.decode_cache.hits, 8);
  EXPECT_EQ(result.memory.peak[static_cast<std::size_t>(MemoryPurpose::resident_experts)],
            test::tiny_expert * 8);
  EXPECT_EQ(result.memory.elsewhere.at(0).experts, test::tiny_expert * 8);
  EXPECT_EQ(result.memory.host.count, 0) << "nothing is offloaded";
  const Picoseconds way = Picoseconds{5 * us} + time_at(Bytes{256}, {50e9});
  for (const Layer& layer : layers(result, 2)) {
    EXPECT_EQ(layer.here_starts, layer.ids);
    EXPECT_EQ(layer.moved.at(0), layer.ids + way);
    EXPECT_EQ(layer.there_starts, layer.moved.at(0));
    EXPECT_EQ(layer.combined, layer.moved.at(1)) << "the way there and back is the longer one";
  }
}

// Without a peer link each way has two hops through the host: out at 1 GB/s (tiny_machine()), in at as much.
TEST_F(OtherGpus, ThroughTheHostItIsTwoHops) {
  test::place(policy, "round-robin");
  machine.peer = {};
  machine.d2h = machine.h2d;
  const Picoseconds hop = Picoseconds{copy_us * us} + time_at(Bytes{256}, {1e9});
  for (const Layer& layer : layers(run(), 2)) {
    ASSERT_EQ(layer.moved.size(), 4U);
    EXPECT_EQ(layer.moved[0], layer.ids + hop);
    EXPECT_EQ(layer.there_starts, layer.ids + hop * 2);
    EXPECT_EQ(layer.combined, layer.moved[3]);
  }
}

// The most activated experts of each layer live there, those with the lowest number first: of the first one's
// {0, 1, 2, 4} three, so that 4 is fetched, of {1, 3, 5, 6} three, so that 6 is.
TEST_F(OtherGpus, CountedOnesLiveThereAndTheOthersAreFetched) {
  test::place(policy, "other-gpus", 3);
  const SimulationResult result = run();
  EXPECT_EQ(result.tally.fetches, 2);
  EXPECT_EQ(result.memory.elsewhere.at(0).experts, test::tiny_expert * 6);
  EXPECT_EQ(result.memory.host, test::tiny_expert * 10);
  test::place(policy, "other-gpus", 0);
  const SimulationResult none = run();
  policy = load_policy("on-demand");
  machine.gpu.count = 1;
  EXPECT_EQ(none.total, run().total) << "none there is as if there were no other";
}

TEST_F(OtherGpus, MemoryOfEachIsCounted) {
  test::place(policy, "round-robin");
  machine.gpu.memory = machine.gpu.reserved + Bytes{256LL << 20};
  EXPECT_FALSE(run().out_of_memory);
  model = test::tiny_model(2, 2048, 4);
  test::ListSource many{test::decoder_info(2, 2048, 4)};
  many.add(trace::Phase::decode, 1, {0, 1, 2, 4, 1, 3, 5, 6}, true);
  const PreparedTrace prepared(many, model, "test");
  test::place(policy, "other-gpus", 2048);
  const SimulationResult result = simulate(model, machine, policy, prepared, many);
  EXPECT_TRUE(result.out_of_memory) << "2 x 2048 experts of 96 KiB are 384 MiB";
  EXPECT_THAT(result.out_of_memory_reason, HasSubstr("of gpu1"));
}

TEST_F(OtherGpus, AMachineWithOneIsRefused) {
  test::place(policy, "round-robin");
  machine.gpu.count = 1;
  const PreparedTrace prepared(source, model, "test");
  EXPECT_THAT(test::error_of([&] { simulate(model, machine, policy, prepared, source); }),
              HasSubstr("machine.gpu.count=2"));
}

// A link that is faster never makes a layer slower, whatever lies between.
TEST_F(OtherGpus, FasterLinksNeverHurt) {
  test::place(policy, "round-robin");
  Picoseconds before{1LL << 60};
  for (const double rate : {1e8, 1e9, 1e10, 1e11}) {
    machine.peer.bandwidth = {rate};
    const Picoseconds total = run().total;
    EXPECT_LE(total, before) << rate;
    before = total;
  }
}

}  // namespace
}  // namespace pregate::sim
