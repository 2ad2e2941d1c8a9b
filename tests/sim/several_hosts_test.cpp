// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// GPUs of several hosts that copy experts, each from the memory of its own host.
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/parallel/rank.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/recorded_run.hpp"
#include "tests/sim/served.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using trace::Phase;

/// GPUs of a host have a link of 5 us and 10 GB/s; a host's memory carries the copies of all of them at once.
MachineSpec hosts_of(int hosts, int gpus, double network = 2e9, double latency = 20e-6) {
  MachineSpec machine = test::linked_machine();
  machine.host.memory_bandwidth = {1e12};
  machine.gpu.count = gpus;
  if (hosts > 1) {
    machine.network = {
        .hosts = hosts, .bandwidth = {network}, .latency = from_seconds(latency), .per_copy = {}};
  }
  return machine;
}

PolicySpec half_cached(const std::string& name) {
  PolicySpec policy = load_policy(name);
  if (policy.cache.capacity.kind != CapacityKind::none) policy.cache.capacity = parse_capacity("50%", "test");
  return policy;
}

class OnePerHost : public testing::TestWithParam<std::tuple<std::string, int>> {};

// Two hosts with a GPU each whose network takes no time, and a host with both, whose link between them is as
// the way down to a host's memory and up again.
TEST_P(OnePerHost, EqualsOneHostWhereTheNetworkIsTheLink) {
  const auto& [name, shape] = GetParam();
  const ParallelSpec specs[] = {{.tensor = 2},
                                {.tensor = 2, .experts = ExpertShare::whole},
                                {.data = 2, .experts = ExpertShare::whole}};
  const SimulationOptions options{.parallel = specs[shape]};
  MachineSpec apart = hosts_of(2, 1, 1e15, 0), together = hosts_of(1, 2);
  together.peer = {.bandwidth = std::min(together.h2d.bandwidth, together.d2h.bandwidth),
                   .latency = together.h2d.latency + together.d2h.latency,
                   .per_copy = together.h2d.per_copy + together.d2h.per_copy};
  ListSource source = test::random_source(9, 4, 16, 3, 2, 6, 15);
  source.weigh_by_halves(3);
  const ModelSpec model = test::tiny_model(4, 16, 3);
  const SimulationResult two = run(model, apart, half_cached(name), source, options),
                         one = run(model, together, half_cached(name), source, options);
  ASSERT_FALSE(two.out_of_memory) << two.out_of_memory_reason;
  EXPECT_EQ(two.total, one.total);
  EXPECT_EQ(two.ttft_ms, one.ttft_ms);
  EXPECT_TRUE(two.path.spent == one.path.spent);
  EXPECT_EQ(two.tally.fetched, one.tally.fetched);
  EXPECT_EQ(two.decode_cache.hits, one.decode_cache.hits);
  EXPECT_EQ(two.tally.operations, one.tally.operations);
  // Each host's memory holds the experts of its own GPU.
  EXPECT_EQ(two.memory.host * 2, one.memory.host);
}

INSTANTIATE_TEST_SUITE_P(All, OnePerHost,
                         testing::Combine(testing::Values("on-demand", "on-demand-cache", "pre-gated-cache",
                                                          "prefetch-all", "promoe"),
                                          testing::Range(0, 3)));

// A pass crosses the network once, beside the way down and up that it takes in one host as well.
TEST(SeveralHosts, StagesHandOverActivationsOverTheNetwork) {
  MachineSpec apart = hosts_of(2, 1), together = hosts_of(1, 2);
  together.peer = apart.peer = {};
  ListSource source(test::decoder_info(4, 8, 2));
  for (int step = 0; step < 3; ++step) source.add(Phase::decode, 1, {0, 1, 2, 3, 4, 5, 6, 7}, step == 0);
  const ModelSpec model = test::tiny_model(4, 8, 2);
  for (const char* const name : {"on-demand", "pre-gated-cache"}) {
    const SimulationOptions options{.parallel = {.pipeline = 2}};
    const SimulationResult two = run(model, apart, half_cached(name), source, options),
                           one = run(model, together, half_cached(name), source, options);
    const Picoseconds crossed = from_seconds(20e-6) + time_at(Bytes{64 * 4}, {2e9});
    EXPECT_EQ(two.total, one.total + crossed * 3) << name;
  }
}

class HostsEngines : public testing::TestWithParam<std::tuple<std::string, int>> {};

// Of 16 GPUs and more, too, the times computed at issue are those of the event queue.
TEST_P(HostsEngines, Agree) {
  const auto& [name, shape] = GetParam();
  const ParallelSpec specs[] = {
      {.data = 16, .experts = ExpertShare::whole},
      {.data = 16, .experts = ExpertShare::whole, .tokens = TokenExchange::route},
      {.tensor = 4, .data = 4, .experts = ExpertShare::whole, .spread = ExpertSpread::round_robin}};
  const ModelSpec model = test::tiny_model(4, 64, 6);
  ListSource source = test::random_source(9, 4, 64, 6, 2, 40, 8);
  const PolicySpec policy = half_cached(name);
  const ParallelSpec& spec = specs[static_cast<std::size_t>(shape)];
  const auto with = [&](Engine engine) {
    return run(model, hosts_of(4, 4), policy, source, {.engine = engine, .parallel = spec});
  };
  const SimulationResult timed = with(Engine::timed), event = with(Engine::event);
  ASSERT_FALSE(timed.out_of_memory) << timed.out_of_memory_reason;
  test::expect_same_figures(timed, event);
  EXPECT_EQ(timed.path.spent.total() + timed.path.gpu_arithmetic(), timed.path.finish);
}

INSTANTIATE_TEST_SUITE_P(All, HostsEngines,
                         testing::Combine(testing::Values("on-demand", "on-demand-cache", "pre-gated-cache",
                                                          "prefetch-all"),
                                          testing::Range(0, 3)));

// Wherever the GPUs are: each hits, misses and copies what it does in one host of all.
TEST(SeveralHosts, CopyWhatOneHostCopies) {
  const ModelSpec model = test::tiny_model(4, 64, 6);
  ListSource source = test::random_source(9, 4, 64, 6, 2, 40, 8);
  for (const ParallelSpec& spec :
       {ParallelSpec{.data = 8, .experts = ExpertShare::whole}, ParallelSpec{.pipeline = 2, .tensor = 4}}) {
    const auto with = [&](int hosts, int gpus) {
      return run(model, hosts_of(hosts, gpus), half_cached("on-demand-cache"), source, {.parallel = spec});
    };
    const SimulationResult one = with(1, 8);
    for (const auto& [hosts, gpus] : {std::pair(2, 4), std::pair(4, 2), std::pair(8, 1)}) {
      const SimulationResult several = with(hosts, gpus);
      EXPECT_EQ(several.tally.fetched, one.tally.fetched);
      const std::int64_t shares = spec.spreads_experts() ? 1 : spec.tensor;
      EXPECT_EQ(several.tally.fetched * shares, test::tiny_expert * several.tally.fetches);
      EXPECT_GT(several.total, one.total);
      ASSERT_EQ(several.gpus.size(), one.gpus.size());
      for (std::size_t gpu = 0; gpu < one.gpus.size(); ++gpu) {
        EXPECT_EQ(several.gpus[gpu].hits, one.gpus[gpu].hits);
        EXPECT_EQ(several.gpus[gpu].misses, one.gpus[gpu].misses);
        EXPECT_EQ(several.gpus[gpu].routed, one.gpus[gpu].routed);
      }
    }
  }
}

/// `gpus` GPUs, a request and two experts each: token i goes to those of GPU i.
ListSource each_its_own(int gpus, int layers) {
  ListSource source(test::decoder_info(layers, 2 * gpus, 2));
  std::vector<std::uint16_t> ids;
  for (int layer = 0; layer < layers; ++layer)
    for (int id = 0; id < 2 * gpus; ++id) ids.push_back(static_cast<std::uint16_t>(id));
  for (int step = 0; step < 3; ++step) source.add(Phase::decode, gpus, ids, step == 0, {}, 0, gpus);
  return source;
}

// All GPUs do as much at once, however many there are: what one does of its part, and two exchanges a layer.
TEST(SeveralHosts, BalancedGpusAreTheirClosedForm) {
  constexpr int layers = 3;
  const PolicySpec policy = load_policy("on-demand");
  for (const auto& [hosts, each] : {std::pair(2, 8), std::pair(32, 8)}) {
    const int gpus = hosts * each;
    const MachineSpec machine = hosts_of(hosts, each);
    const ModelSpec model = test::tiny_model(layers, 2 * gpus, 2);
    ListSource source = each_its_own(gpus, layers);
    const ParallelSpec spec{.data = gpus, .experts = ExpertShare::whole};
    const SimulationResult result = run(model, machine, policy, source, {.parallel = spec});
    ASSERT_FALSE(result.out_of_memory) << result.out_of_memory_reason;
    CostModel costs(priced_model(model, spec), machine, policy, {});
    Picoseconds expected;
    for (int step = 0; step < 3; ++step) {
      costs.begin_step({.tokens = 1, .position = step});
      const int first = costs.layer_class(0, 0);
      const LayerCost& layer = costs.layer(first);
      const std::vector<std::uint32_t> two{1, 1};
      const auto exchange = [&](Exchange kind) {
        return costs.exchange({.exchange = kind,
                               .gpus = static_cast<std::uint16_t>(gpus),
                               .bytes = Bytes{64 * 4 * std::int64_t{gpus}}});
      };
      const Picoseconds of_layer = layer.attention.whole() + layer.gate.whole() + layer.gate_readback +
                                   exchange(Exchange::all_gather) + exchange(Exchange::reduce_scatter) +
                                   copy_time() * 2 + costs.experts(first, two, 2, 1, true).whole();
      expected += costs.step_overhead().whole() + of_layer * layers + costs.head().whole();
    }
    EXPECT_EQ(result.total, expected) << gpus;
    EXPECT_EQ(result.tally.fetched, test::tiny_expert * (2 * gpus * layers * 3));
    EXPECT_EQ(result.memory.host, test::tiny_expert * (2 * each * layers));
  }
}

// What a GPU needs in its memory and its host's does not grow with the GPUs and experts elsewhere.
TEST(SeveralHosts, AGpuAndItsHostHoldTheirOwnExpertsAlone) {
  const auto held = [](int hosts) {
    ListSource source = each_its_own(8 * hosts, 2);
    const ParallelSpec spec{.data = 8 * hosts, .experts = ExpertShare::whole};
    const SimulationResult result = run(test::tiny_model(2, 16 * hosts, 2), hosts_of(hosts, 8),
                                        half_cached("on-demand-cache"), source, {.parallel = spec});
    return std::pair(result.gpus.back().cache_slots, result.memory.host);
  };
  EXPECT_EQ(held(2), held(1));
  EXPECT_EQ(held(32), held(1));
}

// Copies to GPUs of a host share its memory; those to GPUs of two hosts do not.
TEST(SeveralHosts, EachHasAMemoryOfItsOwn) {
  const ModelSpec model = test::tiny_model(2, 4, 4);
  ListSource source(test::decoder_info(2, 4, 4));
  source.add(Phase::decode, 1, {0, 1, 2, 3, 0, 1, 2, 3}, true);
  const auto total = [&](int hosts, double memory) {
    MachineSpec machine = hosts_of(hosts, 2 / hosts, 1e15, 0);
    machine.peer = {};
    machine.host.memory_bandwidth = {memory};
    return run(model, machine, load_policy("on-demand"), source,
               {.parallel = {.tensor = 2, .experts = ExpertShare::whole}})
        .total;
  };
  // A link carries 1 GB/s, in each layer two experts over each.
  const Picoseconds slower = total(1, 1.25e9) - total(1, 1e12);
  EXPECT_GT(slower, time_at(test::tiny_expert * 2, {1e9}));
  EXPECT_EQ(total(2, 1e9), total(2, 1e12));
}

TEST(SeveralHosts, WhatIsNotSimulatedIsRefused) {
  ListSource source = each_its_own(16, 1);
  const ModelSpec model = test::tiny_model(1, 32, 2);
  const auto attempt = [&](const MachineSpec& machine, ParallelSpec spec, std::int64_t recorded = 0) {
    spec.experts = ExpertShare::whole;
    return run(model, machine, load_policy("on-demand"), source,
               {.parallel = spec, .recorded_steps = recorded});
  };
  EXPECT_NO_THROW(attempt(hosts_of(2, 8), {.data = 16}));
  EXPECT_NO_THROW(attempt(hosts_of(4, 8), {.data = 16}));               // of which two take part
  EXPECT_THROW(attempt(hosts_of(1, 8), {.data = 16}), InputError);      // no network
  EXPECT_THROW(attempt(hosts_of(1, 16), {.data = 16}), InputError);     // more than a host has
  EXPECT_THROW(attempt(hosts_of(2, 8), {.data = 16}, 10), InputError);  // a schedule
  EXPECT_THROW(attempt(hosts_of(2, 8), {.data = 16, .redundant = 16}), InputError);
}

// A host that holds less than its GPUs' experts lacks memory, though all hosts together would not.
TEST(SeveralHosts, AHostMayLackMemory) {
  ListSource source = each_its_own(16, 2);
  const auto with = [&](Bytes memory) {
    MachineSpec machine = hosts_of(2, 8);
    machine.host.memory = memory;
    machine.host.numa = {};
    return run(test::tiny_model(2, 32, 2), machine, load_policy("on-demand"), source,
               {.parallel = {.data = 16, .experts = ExpertShare::whole}});
  };
  const Bytes of_host = test::tiny_expert * (16 * 2);
  EXPECT_FALSE(with(of_host).out_of_memory);
  EXPECT_TRUE(with(Bytes{of_host.count - 1}).out_of_memory);
}

}  // namespace
}  // namespace pregate::sim
