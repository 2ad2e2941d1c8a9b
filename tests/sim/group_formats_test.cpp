// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Second formats and drives on several GPUs.
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "tests/models/error_of.hpp"
#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using trace::Phase;

/// With a link between its GPUs, a drive, and a memory that carries all at once.
MachineSpec machine_with_drive() {
  MachineSpec machine = test::linked_machine();
  machine.host.memory_bandwidth = {1e12};
  machine.ssd = {.capacity = {1LL << 40}, .read_bandwidth = {0.5e9}, .latency = from_seconds(80e-6)};
  return machine;
}

Picoseconds read_time() { return from_seconds(80e-6) + time_at(test::tiny_expert, {0.5e9}); }

PolicySpec holding(const char* share) {
  PolicySpec policy = load_policy("on-demand");
  policy.host_cache.capacity = parse_capacity(share, "test");
  return policy;
}

// Stages one after the other: what one GPU does, and the activations that go from one to the next.
TEST(GroupFormats, StagesDoWhatOneGpuDoes) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(5, 4, 16, 3, 1, 0, 12);
  source.weigh_by_halves(3);
  MachineSpec machine = machine_with_drive();
  PolicySpec precision = load_policy("hobbit");
  precision.lookahead = load_policy("on-demand").lookahead;
  for (const PolicySpec& policy : {load_policy("mc-moe"), precision}) {
    const SimulationResult alone = run(model, machine, policy, source);
    for (const Engine engine : {Engine::timed, Engine::event}) {
      const SimulationResult two =
          run(model, machine, policy, source, {.engine = engine, .parallel = {.pipeline = 2}});
      const Picoseconds sent = from_seconds(5e-6) + time_at(Bytes{64 * 4}, machine.peer.bandwidth);
      EXPECT_EQ(two.total, alone.total + sent * 12) << policy.name;
      EXPECT_EQ(two.tally.fetched, alone.tally.fetched);
      EXPECT_EQ(two.decode_cache.hits, alone.decode_cache.hits);
    }
  }
}

// Columns of every expert: both GPUs decide alike, whatever format it is.
TEST(GroupFormats, GpusThatShareExpertsDecideAlike) {
  const ModelSpec model = test::tiny_model(4, 16, 3, 512);
  ListSource source = test::random_source(5, 4, 16, 3, 2, 5, 12);
  source.weigh_by_halves(3);
  for (const char* const name : {"hobbit", "mc-moe"}) {
    const SimulationResult alone = run(model, machine_with_drive(), load_policy(name), source);
    const auto two = [&](Engine engine) {
      return run(model, machine_with_drive(), load_policy(name), source,
                 {.engine = engine, .parallel = {.tensor = 2}});
    };
    const SimulationResult timed = two(Engine::automatic);
    EXPECT_EQ(timed.decode_cache.hits, alone.decode_cache.hits * 2) << name;
    EXPECT_EQ(timed.decode_cache.misses, alone.decode_cache.misses * 2) << name;
    EXPECT_EQ(timed.tally.fetches, alone.tally.fetches * 2) << name;
    EXPECT_EQ(timed.tally.fetched, alone.tally.fetched) << name;
    test::expect_same_figures(timed, two(Engine::event));
  }
}

// A slot of a schedule is one GPU's, in one format.
TEST(GroupFormats, SlotsAreNumberedApart) {
  const ModelSpec model = test::tiny_model(2, 16, 3);
  ListSource source = test::random_source(5, 2, 16, 3, 1, 0, 6);
  const SimulationResult result = run(model, machine_with_drive(), load_policy("mc-moe"), source,
                                      {.parallel = {.tensor = 2}, .recorded_steps = 100});
  std::map<std::int32_t, StreamId> stream_of;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    const Operation& operation = result.schedule.operation(static_cast<OpId>(i));
    if (operation.kind != OpKind::fetch) continue;
    EXPECT_EQ(stream_of.emplace(operation.slot, operation.stream).first->second, operation.stream);
  }
  EXPECT_GT(stream_of.size(), 4U);
}

// Each of two GPUs lacks an expert a layer, and the host holds none. Of one host the drive reads them one
// after the other, and the second GPU copies its own then; of two, each has its drive.
TEST(GroupDrives, GpusOfAHostWaitForOneDrive) {
  const ModelSpec model = test::tiny_model(2, 4, 2);
  ListSource source(test::decoder_info(2, 4, 2));
  for (int step = 0; step < 3; ++step) source.add(Phase::decode, 1, {0, 2, 1, 3}, step == 0);
  const auto with = [&](const char* share, int hosts, Engine engine) {
    MachineSpec machine = machine_with_drive();
    machine.gpu.count = 2 / hosts;
    if (hosts > 1) machine.network = {.hosts = hosts, .bandwidth = {2e9}, .latency = {}, .per_copy = {}};
    return run(model, machine, holding(share), source,
               {.engine = engine, .parallel = {.tensor = 2, .experts = ExpertShare::whole}});
  };
  for (const Engine engine : {Engine::timed, Engine::event}) {
    const SimulationResult one = with("1%", 1, engine), two = with("1%", 2, engine);
    EXPECT_EQ(one.total, with("none", 1, engine).total + read_time() * (2 * 2 * 3));
    EXPECT_EQ(two.total, with("none", 2, engine).total + read_time() * (2 * 3));
    EXPECT_EQ(one.decode_cache.drive_reads, 2 * 2 * 3);
    EXPECT_EQ(two.decode_cache.drive_reads, 2 * 2 * 3);
    EXPECT_EQ(one.memory.drive, test::tiny_expert * 8);
    EXPECT_EQ(two.memory.drive, test::tiny_expert * 4);
    // Of a half, both experts of the second pass are another's than those of the first one, or the same ones.
    EXPECT_EQ(with("50%", 1, engine).decode_cache.drive_reads, 2 * 2);
    EXPECT_EQ(with("50%", 1, engine).memory.host, test::tiny_expert * 4);
  }
}

// Parts of experts: each byte is read once.
TEST(GroupDrives, PartsOfExpertsAreReadByAll) {
  const ModelSpec model = test::tiny_model(3, 8, 2);
  ListSource source = test::random_source(5, 3, 8, 2, 2, 4, 10);
  const SimulationResult alone = run(model, machine_with_drive(), holding("50%"), source),
                         two = run(model, machine_with_drive(), holding("50%"), source,
                                   {.parallel = {.tensor = 2}});
  EXPECT_EQ(two.decode_cache.drive_reads, alone.decode_cache.drive_reads * 2);
  EXPECT_EQ(two.memory.host, alone.memory.host);
  EXPECT_EQ(two.memory.drive, alone.memory.drive);
}

TEST(GroupDrives, ADriveThatHoldsTooFewIsOutOfMemory) {
  const ModelSpec model = test::tiny_model(2, 4, 2);
  ListSource source = test::random_source(1, 2, 4, 2, 1, 0, 2);
  MachineSpec machine = machine_with_drive();
  const ParallelSpec spec{.tensor = 2, .experts = ExpertShare::whole};
  machine.ssd.capacity = test::tiny_expert * 8;
  EXPECT_FALSE(run(model, machine, holding("50%"), source, {.parallel = spec}).out_of_memory);
  machine.ssd.capacity = {machine.ssd.capacity.count - 1};
  EXPECT_TRUE(run(model, machine, holding("50%"), source, {.parallel = spec}).out_of_memory);
}

TEST(GroupFormats, WhatIsNotSimulatedIsRefused) {
  const ModelSpec model = test::tiny_model(2, 4, 2);
  ListSource source = test::random_source(1, 2, 4, 2, 1, 0, 2);
  source.weigh_by_halves(2);
  const auto refused = [&](const PolicySpec& policy, const ParallelSpec& spec) {
    return test::error_of([&] { run(model, machine_with_drive(), policy, source, {.parallel = spec}); });
  };
  const ParallelSpec whole{.tensor = 2, .experts = ExpertShare::whole};
  EXPECT_NE(refused(load_policy("hobbit"), whole).find("on other GPUs"), std::string::npos);
  EXPECT_NE(refused(holding("4 slots"), {.tensor = 2}).find("of each GPU"), std::string::npos);
  EXPECT_NE(refused(holding("1GB"), {.tensor = 2}).find("of each GPU"), std::string::npos);
}

}  // namespace
}  // namespace pregate::sim
