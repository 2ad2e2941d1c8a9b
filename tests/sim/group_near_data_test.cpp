// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Near-data devices, each of which computes for all GPUs of its host.
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/engine/event_engine.hpp"
#include "sim/parallel/rank.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "sim/platform/machine_topology.hpp"
#include "tests/models/error_of.hpp"
#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/group_runs.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using trace::Phase;

/// A device whose arithmetic takes longer than its memory, and which holds `experts`.
MachineSpec machine_with_device(std::int64_t experts = 1000) {
  MachineSpec machine = test::linked_machine();
  machine.host.memory_bandwidth = {1e12};
  machine.near_data = {.name = "test",
                       .memory = test::tiny_expert * experts,
                       .memory_bandwidth = {1e12},
                       .rate = {1e9},
                       .fixed = from_seconds(30e-6),
                       .link = {.bandwidth = {1e9}, .latency = from_seconds(7e-6), .per_copy = {}}};
  return machine;
}

PolicySpec near_data(const char* service = "near-data", const char* cache = "none") {
  PolicySpec policy = load_policy("on-demand");
  choose(policy.miss.service, built_in_parts().miss_services, service);
  policy.cache.capacity = parse_capacity(cache, "test");
  return policy;
}

TEST(GroupNearData, OneGpuAsAGroupIsOneGpu) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    ListSource source = test::random_source(seed, 4, 16, 3, 2, 7, 20);
    for (const char* const service : {"near-data", "near-data-optimal"}) {
      for (const char* const cache : {"none", "25%"}) {
        for (const Engine engine : {Engine::timed, Engine::event}) {
          SimulationOptions options{.engine = engine};
          const SimulationResult alone =
              run(model, machine_with_device(), near_data(service, cache), source, options);
          options.parallel.even_for_one = true;
          const SimulationResult group =
              run(model, machine_with_device(), near_data(service, cache), source, options);
          test::expect_same_run(alone, group);
          EXPECT_GT(alone.decode_cache.near_data, 0);
          EXPECT_EQ(alone.decode_cache.near_data, group.decode_cache.near_data);
          EXPECT_EQ(alone.memory.near_data, group.memory.near_data);
        }
      }
    }
  }
}

/// Two experts a GPU and layer, of a token, none of which is copied: the link to the GPU is too slow.
class TwoGpus : public testing::TestWithParam<double> {
 protected:
  static constexpr int layers = 3, steps = 4;
  const ModelSpec model = test::tiny_model(layers, 8, 4);
  ListSource source{test::decoder_info(layers, 8, 4)};
  MachineSpec machine = machine_with_device();

  TwoGpus() {
    for (int step = 0; step < steps; ++step)
      source.add(Phase::decode, 1, {0, 1, 4, 5, 2, 3, 6, 7, 0, 2, 4, 6}, step == 0);
    machine.h2d.bandwidth = machine.h2d.pageable_bandwidth = {1e3};
    machine.near_data.link.latency = from_seconds(GetParam());
  }
  /// A run where the device has a layer's experts `device` after their ids are known.
  template <class Device>
  Picoseconds expected(const MachineSpec& used, Device&& device) {
    const ParallelSpec spec = whole_experts(2);
    CostModel costs(priced_model(model, spec), used, near_data("near-data-optimal"), {});
    Picoseconds total;
    for (int step = 0; step < steps; ++step) {
      costs.begin_step({.tokens = 1, .position = step});
      const int layer_class = costs.layer_class(0, 0);
      const LayerCost& layer = costs.layer(layer_class);
      const Picoseconds sum =
          costs.exchange({.exchange = Exchange::all_reduce, .gpus = 2, .bytes = Bytes{64 * 4}});
      const Picoseconds sent = costs.activations(near_data_link, 1).duration,
                        computed = costs.near_data_experts(layer_class, 2, 2).duration;
      const Picoseconds of_layer = layer.attention.whole() + layer.gate.whole() + sum * 2 +
                                   layer.gate_readback + device(sent, computed);
      total += costs.step_overhead().whole() + of_layer * layers + costs.head().whole() +
               costs.exchange({.exchange = Exchange::all_gather, .gpus = 2, .bytes = Bytes{100 * 4}});
    }
    return total;
  }
};

// One device: its link brings the first GPU's activations, then the second's, and computes for one after the
// other. With a for the way of activations and c for the experts, the second GPU has its results after
// 2 a + c + max(a, c): either its activations or the device come late. Of two hosts each has its own device:
// 2 a + c.
TEST_P(TwoGpus, WaitForOneDeviceInClosedForm) {
  const PolicySpec policy = near_data("near-data-optimal");
  const SimulationResult shared = run(model, machine, policy, source, {.parallel = whole_experts(2)});
  EXPECT_EQ(shared.total, expected(with_gpus(machine, 2), [](Picoseconds sent, Picoseconds computed) {
              return sent * 2 + computed + std::max(sent, computed);
            }));
  EXPECT_EQ(shared.decode_cache.near_data, 4 * layers * steps);
  EXPECT_EQ(shared.tally.fetches, 0);
  machine.gpu.count = 1;
  machine.network = {.hosts = 2, .bandwidth = {2e9}, .latency = from_seconds(20e-6), .per_copy = {}};
  for (const Engine engine : {Engine::timed, Engine::event}) {
    const SimulationResult own =
        run(model, machine, policy, source, {.engine = engine, .parallel = whole_experts(2)});
    EXPECT_EQ(own.total, expected(with_gpus(machine, 2), [](Picoseconds sent, Picoseconds computed) {
                return sent * 2 + computed;
              }));
  }
}

INSTANTIATE_TEST_SUITE_P(ADeviceOrALinkThatIsSlow, TwoGpus, testing::Values(7e-6, 900e-6));

// Stages need the device one after the other: what one GPU does, and the activations between them.
TEST(GroupNearData, StagesDoWhatOneGpuDoes) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(5, 4, 16, 3, 1, 0, 12);
  const MachineSpec machine = machine_with_device();
  const SimulationResult alone = run(model, machine, near_data(), source);
  const Picoseconds sent = from_seconds(5e-6) + time_at(Bytes{64 * 4}, machine.peer.bandwidth);
  MachineSpec unlike = machine;
  unlike.others = {test::tiny_machine()};
  for (const Engine engine : {Engine::timed, Engine::event}) {
    const SimulationOptions options{.engine = engine, .parallel = {.pipeline = 2}};
    const SimulationResult two = run(model, machine, near_data(), source, options);
    EXPECT_EQ(two.total, alone.total + sent * 12);
    EXPECT_EQ(two.decode_cache.near_data, alone.decode_cache.near_data);
    EXPECT_EQ(two.tally.fetched, alone.tally.fetched);
  }
  // The second one is named apart, and is the same: the device is the host's.
  EXPECT_EQ(run(model, unlike, near_data(), source, {.parallel = {.pipeline = 2}}).total,
            alone.total + sent * 12);
}

// Every miss is copied or computed by the device, once; the schedule with its shared memory is replayed to
// the same times.
TEST(GroupNearData, EveryMissIsServedOnce) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(9, 4, 16, 3, 2, 6, 15);
  MachineSpec machine = machine_with_device();
  machine.near_data.memory_bandwidth = machine.near_data.link.bandwidth = {2e9};  // its bus is short
  machine.near_data.rate = {1e15};
  const std::int64_t misses =
      run(model, machine, near_data(), source).decode_cache.misses;  // without a cache: all
  for (const ParallelSpec& spec : spreads) {
    const SimulationResult result =
        run(model, machine, near_data(), source, {.parallel = spec, .recorded_steps = 1000});
    const std::int64_t parts = spec.spreads_experts() ? 1 : spec.tensor;
    EXPECT_EQ(result.decode_cache.misses, misses * parts);
    const CacheResult &decode = result.decode_cache, &other = result.other_cache;
    EXPECT_EQ(result.tally.fetches + decode.near_data + other.near_data, decode.misses + other.misses);
    EXPECT_EQ(result.tally.fetched * parts, test::tiny_expert * result.tally.fetches);
    const Timeline again = sim::run(result.schedule);
    EXPECT_EQ(again.start, result.timeline.start);
    EXPECT_EQ(again.finish, result.timeline.finish);
    EXPECT_EQ(result.path.spent.total() + result.path.gpu_arithmetic(), result.path.finish);
    test::expect_same_figures(
        result, run(model, machine, near_data(), source, {.engine = Engine::event, .parallel = spec}));
  }
}

// The device of a host holds the experts of its GPUs.
TEST(GroupNearData, HoldsTheExpertsOfItsHost) {
  const ModelSpec model = test::tiny_model(2, 8, 2);
  ListSource source = test::random_source(1, 2, 8, 2, 1, 0, 2);
  const auto fits = [&](MachineSpec machine, const ParallelSpec& spec) {
    const SimulationResult result = run(model, machine, near_data(), source, {.parallel = spec});
    if (result.out_of_memory)
      EXPECT_NE(result.out_of_memory_reason.find("near-data"), std::string::npos);
    else
      EXPECT_LE(result.memory.near_data, machine.near_data.memory);
    return !result.out_of_memory;
  };
  for (const ParallelSpec& spec :
       {whole_experts(2), ParallelSpec{.tensor = 2}, ParallelSpec{.pipeline = 2}}) {
    EXPECT_TRUE(fits(machine_with_device(16), spec));
    EXPECT_FALSE(fits(machine_with_device(15), spec));
  }
  MachineSpec apart = machine_with_device(8);
  apart.gpu.count = 1;
  apart.network = {.hosts = 2, .bandwidth = {2e9}, .latency = {}, .per_copy = {}};
  EXPECT_TRUE(fits(apart, whole_experts(2)));
  apart.near_data.memory = test::tiny_expert * 7;
  EXPECT_FALSE(fits(apart, whole_experts(2)));
}

TEST(GroupNearData, WhatIsNotSimulatedIsRefused) {
  const ModelSpec model = test::tiny_model(2, 4, 2);
  ListSource source = test::random_source(1, 2, 4, 2, 1, 0, 2);
  const auto refused = [&](const SimulationOptions& options) {
    return test::error_of([&] { run(model, machine_with_device(), near_data(), source, options); });
  };
  EXPECT_NE(refused({.parallel = {.pipeline = 2, .batches = 2}}).find("near-data device"), std::string::npos);
  EXPECT_NE(refused({.engine = Engine::timed, .parallel = whole_experts(2)}).find("timed"),
            std::string::npos);
}

}  // namespace
}  // namespace pregate::sim
