// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Misses that the host's CPU, or a near-data device, computes for GPUs that attend to requests of their own.
#include <gtest/gtest.h>

#include <string>

#include "sim/parallel/rank.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "sim/platform/machine_topology.hpp"
#include "tests/sim/group_runs.hpp"
#include "tests/sim/timed_operations.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using trace::Phase;

constexpr std::int64_t token = 64 * 4;

ParallelSpec own_requests(TokenExchange tokens, int data = 2) {
  return {.data = data, .experts = ExpertShare::whole, .tokens = tokens};
}

/// Whose arithmetic decides, so that what the CPU reads leaves the memory to copies.
MachineSpec with_slow_cpu() {
  MachineSpec machine = with_host_memory(1e12);
  machine.host.rate = {1e9};
  return machine;
}

MachineSpec with_device() {
  MachineSpec machine = with_slow_cpu();
  machine.h2d.bandwidth = machine.h2d.pageable_bandwidth = {1e3};  // nothing is copied
  machine.near_data = {.name = "test",
                       .memory = test::tiny_expert * 1000,
                       .memory_bandwidth = {1e12},
                       .rate = {1e9},
                       .fixed = from_seconds(30e-6),
                       .link = {.bandwidth = {1e9}, .latency = from_seconds(7e-6), .per_copy = {}}};
  return machine;
}

/// Two GPUs with a request each, whose token has `experts` of either: the first ones of each. All miss.
class BothMiss : public testing::TestWithParam<std::tuple<TokenExchange, int>> {
 protected:
  static constexpr int layers = 3, steps = 4;
  const TokenExchange tokens = std::get<0>(GetParam());
  const int experts = std::get<1>(GetParam());
  const ModelSpec model = test::tiny_model(layers, 8, 2 * experts);
  ListSource source{test::decoder_info(layers, 8, 2 * experts)};
  BothMiss() {
    std::vector<std::uint16_t> ids;
    for (int i = 0; i < layers * 2; ++i) {
      for (const int first : {0, 4}) {
        for (int expert = 0; expert < experts; ++expert)
          ids.push_back(static_cast<std::uint16_t>(first + (i % 2) * experts + expert));
      }
    }
    for (int step = 0; step < steps; ++step) source.add(Phase::decode, 2, ids, step == 0, {}, 0, 2);
  }
  /// `served`: what a layer takes from the ids on until all results are there. A GPU's experts are 2 x
  /// `experts`, of a token each.
  template <class Served>
  Picoseconds expected(const MachineSpec& machine, const PolicySpec& policy, Served&& served) {
    const ParallelSpec spec = own_requests(tokens);
    CostModel costs(priced_model(model, spec), with_gpus(machine, 2), policy, {});
    const auto exchanged = [&](Exchange exchange, std::int64_t bytes) {
      return costs.exchange({.exchange = exchange, .gpus = 2, .bytes = Bytes{bytes}});
    };
    const Picoseconds rows = exchanged(Exchange::all_to_all, experts * token);
    Picoseconds total;
    for (int step = 0; step < steps; ++step) {
      costs.begin_step({.tokens = 1, .position = step});
      const LayerCost& layer = costs.layer(costs.layer_class(0, 0));
      // Routed tokens are on their way while the ids are read.
      const Picoseconds tokens_and_ids =
          tokens == TokenExchange::gather
              ? exchanged(Exchange::all_gather, 2 * token) + layer.gate_readback
              : exchanged(Exchange::all_to_all, 4 * 8) + std::max(layer.gate_readback, rows);
      const Picoseconds back =
          tokens == TokenExchange::gather ? exchanged(Exchange::reduce_scatter, 2 * token) : rows;
      total +=
          costs.step_overhead().whole() + costs.head().whole() +
          (layer.attention.whole() + layer.gate.whole() + tokens_and_ids + served(costs) + back) * layers;
    }
    return total;
  }
};

// The first GPU's activations and the second's go down links of their own at once: all that were gathered,
// two tokens, or those that were routed, one a missing expert and no more than there are. The CPU computes
// for the first GPU and sends it the results, then for the second.
TEST_P(BothMiss, TheCpuComputesForOneGpuAfterTheOtherInClosedForm) {
  const PolicySpec policy = load_policy("experts-on-cpu");
  const SimulationResult two =
      run(model, with_slow_cpu(), policy, source, {.parallel = own_requests(tokens), .recorded_steps = 100});
  EXPECT_EQ(two.total, expected(with_slow_cpu(), policy, [&](const CostModel& costs) {
              const auto rows = static_cast<std::uint32_t>(2 * experts);
              return costs.activations(gpu_to_host, 2).duration +
                     costs.cpu_experts(costs.layer_class(0, 0), 2 * experts, rows).duration * 2 +
                     costs.activations(host_to_gpu, 2).duration * 2;
            }));
  EXPECT_EQ(two.decode_cache.computed_on_cpu, 4 * experts * layers * steps);
  EXPECT_EQ(two.tally.fetches, 0);
  expect_replayed(two);
}

// One link to the device brings the first GPU's activations, then the second's, and the device computes for
// one after the other: 2 a + c + max(a, c), as where all attend to the same requests.
TEST_P(BothMiss, OneDeviceComputesForBothInClosedForm) {
  PolicySpec policy = load_policy("on-demand");
  choose(policy.miss.service, built_in_parts().miss_services, "near-data-optimal");
  const SimulationResult two =
      run(model, with_device(), policy, source, {.parallel = own_requests(tokens), .recorded_steps = 100});
  EXPECT_EQ(
      two.total, expected(with_device(), policy, [&](const CostModel& costs) {
        const auto rows = static_cast<std::uint32_t>(2 * experts);
        const Picoseconds sent = costs.activations(near_data_link, 2).duration,
                          computed =
                              costs.near_data_experts(costs.layer_class(0, 0), 2 * experts, rows).duration;
        return sent * 2 + computed + std::max(sent, computed);
      }));
  EXPECT_EQ(two.decode_cache.near_data, 4 * experts * layers * steps);
  expect_replayed(two);
}

INSTANTIATE_TEST_SUITE_P(All, BothMiss,
                         testing::Combine(testing::Values(TokenExchange::gather, TokenExchange::route),
                                          testing::Values(1, 2)));

// Of one token's experts one GPU has one and the other none: where tokens are routed the CPU gets that token
// alone, where they are gathered all four.
TEST(GroupCpu, RoutedTokensGoToTheCpuAlone) {
  const ModelSpec model = test::tiny_model(1, 8, 1);
  ListSource source(test::decoder_info(1, 8, 1));
  source.add(Phase::decode, 4, {0, 4, 4, 4}, true, {}, 0, 4);
  for (const auto& [tokens, sent] :
       {std::pair{TokenExchange::gather, std::vector{4, 4}}, {TokenExchange::route, {1, 3}}}) {
    const MachineSpec machine = with_slow_cpu();
    const SimulationResult two = run(model, machine, load_policy("experts-on-cpu"), source,
                                     {.parallel = own_requests(tokens), .recorded_steps = 100});
    std::vector<Bytes> down;
    for (std::size_t i = 0; i < two.schedule.size(); ++i) {
      const Operation& operation = two.schedule.operation(static_cast<OpId>(i));
      if (operation.kind == OpKind::activations) down.push_back(operation.bytes);
    }
    ASSERT_EQ(down.size(), 4U);
    for (std::size_t gpu = 0; gpu < 2; ++gpu) {
      EXPECT_EQ(down[2 * gpu], Bytes{token * sent[gpu]});
      EXPECT_EQ(down[2 * gpu + 1], down[2 * gpu]);
    }
  }
}

class CpuEngines : public testing::TestWithParam<int> {};

// Every miss is copied or computed beside the GPUs, once; the engine that is chosen gives the times of the
// event queue and of the exported schedule.
TEST_P(CpuEngines, Agree) {
  const ParallelSpec specs[] = {
      own_requests(TokenExchange::gather),
      own_requests(TokenExchange::route),
      own_requests(TokenExchange::follow, 4),
      {.tensor = 2, .data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::route},
      {.pipeline = 2, .data = 2, .experts = ExpertShare::whole}};
  const ParallelSpec& spec = specs[GetParam()];
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(3, 4, 16, 3, 8, 7, 12);
  source.weigh_by_halves(3);
  const auto batches = trace::compose_batches(source, 4);
  MachineSpec machine = with_device();
  machine.h2d.bandwidth = {1e8};  // some copies pay
  for (const double host_memory : {2e9, 1e12}) {
    machine.host.memory_bandwidth = {host_memory};
    for (const char* const name : {"experts-on-cpu", "fiddler", "hybrimoe", "monde"}) {
      SCOPED_TRACE(name);
      const PolicySpec policy = load_policy(name);
      const auto with = [&](SimulationOptions options) {
        return run(model, machine, policy, *batches, options);
      };
      const SimulationResult recorded = with({.parallel = spec, .recorded_steps = 1000});
      ASSERT_FALSE(recorded.out_of_memory) << recorded.out_of_memory_reason;
      test::expect_same_figures(recorded, with({.engine = Engine::event, .parallel = spec}));
      expect_replayed(recorded);
      EXPECT_EQ(recorded.path.spent.total() + recorded.path.gpu_arithmetic() + recorded.path.waiting,
                recorded.path.finish);
      std::int64_t routed = 0;
      for (const GpuShare& gpu : recorded.gpus) routed += gpu.routed;
      EXPECT_EQ(routed, source.info().routed_entries);
      EXPECT_GT(recorded.decode_cache.computed_on_cpu + recorded.decode_cache.near_data, 0);
      if (policy.cache.capacity.kind != CapacityKind::none || policy.placement.kind->name != "none") continue;
      const SimulationResult alone = with({});
      EXPECT_EQ(recorded.decode_cache.misses, alone.decode_cache.misses);
      EXPECT_EQ(recorded.memory.host, alone.memory.host);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CpuEngines, testing::Range(0, 5));

// Two hosts, each of whose CPUs computes for its own GPU: neither waits for the other.
TEST(GroupCpu, EachHostComputesForItsOwnGpus) {
  const ModelSpec model = test::tiny_model(3, 8, 2);
  ListSource source(test::decoder_info(3, 8, 2));
  for (int step = 0; step < 4; ++step)
    source.add(Phase::decode, 2, {0, 4, 1, 5, 0, 4, 1, 5, 2, 6, 3, 7}, step == 0, {}, 0, 2);
  const PolicySpec policy = load_policy("experts-on-cpu");
  const ParallelSpec spec = own_requests(TokenExchange::gather);
  MachineSpec apart = with_slow_cpu();
  apart.gpu.count = 1;
  apart.network = {.hosts = 2, .bandwidth = {1e15}, .latency = {}, .per_copy = {}};
  MachineSpec together = with_slow_cpu();  // the way over both hosts' memories is the link
  together.peer = {.bandwidth = together.h2d.bandwidth,
                   .latency = together.h2d.latency + together.d2h.latency,
                   .per_copy = together.h2d.per_copy + together.d2h.per_copy};
  CostModel costs(priced_model(model, spec), with_gpus(together, 2), policy, {});
  costs.begin_step({.tokens = 1});
  const Picoseconds of_other =
      costs.cpu_experts(costs.layer_class(0, 0), 2, 2).duration + costs.activations(host_to_gpu, 2).duration;
  EXPECT_EQ(run(model, together, policy, source, {.parallel = spec}).total,
            run(model, apart, policy, source, {.parallel = spec}).total + of_other * (3 * 4));
}

}  // namespace
}  // namespace pregate::sim
