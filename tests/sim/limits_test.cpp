// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What bounds a run, and what would bound it next, by hand. One decode step of one layer that activates two
// of eight experts, 98,304 B each:
//   step 100 us | attention 40 us + A | gate 10 us | read-back 20 us | two copies | experts 60 us + G | head
// A, G and the head are what the GPU's memory takes to stream the weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/policy/load_policy.hpp"
#include "sim/report/report.hpp"
#include "sim/report/shares.hpp"
#include "tests/sim/tiny.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using test::tiny_machine;
using test::tiny_model;
using testing::HasSubstr;
using testing::StartsWith;
using trace::Phase;

constexpr std::int64_t ns = 1000;

ListSource one_step() {
  ListSource source(test::decoder_info(1, 8, 2));
  source.add(Phase::decode, 1, {0, 1}, true);
  return source;
}

Picoseconds part(const Limits& limits, Limit limit) { return limits.path[static_cast<std::size_t>(limit)]; }

/// Every picosecond has one cause.
void expect_whole(const SimulationResult& result, const Limits& limits) {
  Picoseconds sum;
  double shares = 0;
  for (std::size_t i = 0; i < limits.path.size(); ++i) {
    EXPECT_GE(limits.path.at(i).count, 0) << i;
    sum += limits.path.at(i);
    shares += limits.share.at(i);
  }
  EXPECT_EQ(sum, result.total);
  EXPECT_NEAR(shares, 1, 1e-12);
  EXPECT_GE(result.tally.gpu_arithmetic().count, 0);
  const Picoseconds busy = result.tally.busy[static_cast<std::size_t>(one_gpu::compute)];
  EXPECT_EQ(busy + result.tally.exposed_transfer + result.tally.exposed_cpu + result.tally.exposed_host,
            result.total);
}

// Copies of 10 us + 98,304 B / 0.5 GB/s = 206.608 us: 413.216 us of two beside 210 us of launches. Without
// the link the 210 us, the 20 us of the read-back and what the GPU computes remain.
TEST(Limits, BoundByTheLink) {
  ListSource source = one_step();
  MachineSpec machine = tiny_machine();
  machine.h2d.bandwidth = {0.5e9};
  const SimulationResult result = run(tiny_model(1, 8, 2), machine, load_policy("on-demand"), source);
  const Limits limits = limits_of(result);
  expect_whole(result, limits);
  EXPECT_EQ(part(limits, Limit::link).count, 2 * 206'608 * ns);
  EXPECT_EQ(part(limits, Limit::launches).count, 210'000 * ns);
  EXPECT_EQ(part(limits, Limit::gate).count, 20'000 * ns);
  EXPECT_EQ(part(limits, Limit::host_memory).count, 0);
  EXPECT_EQ(limits.binding, Limit::link);
  EXPECT_EQ(limits.least.count, result.total.count - 2 * 206'608 * ns);
  EXPECT_EQ(limits.next, Limit::launches);
  EXPECT_THAT(why(result),
              AllOf(StartsWith("bound by the link (64 % of the time); without that at most 2.8"),
                    HasSubstr(" times as fast, then bound by launches; 64 % of the time waits")));

  // A host memory of 0.4 GB/s is what copies run at then: 245.760 us each, after 10 us that stay the link's.
  machine.host.memory_bandwidth = {0.4e9};
  const SimulationResult starved = run(tiny_model(1, 8, 2), machine, load_policy("on-demand"), source);
  const Limits behind = limits_of(starved);
  expect_whole(starved, behind);
  EXPECT_EQ(part(behind, Limit::host_memory).count, 2 * 245'760 * ns);
  EXPECT_EQ(part(behind, Limit::link).count, 2 * 10'000 * ns);
  EXPECT_EQ(behind.binding, Limit::host_memory);
}

// Of the second layer both guesses are wrong; its own copies go before the one that has not begun, which then
// outlasts the token: five copies of the six are on the way to it, and the link is busy all of the run.
TEST(Limits, CopiesThatNobodyWaitsForMayOutlastTheRun) {
  ListSource source(test::decoder_info(2, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 0, 1}, true);
  MachineSpec machine = tiny_machine();
  machine.h2d.bandwidth = {0.5e6};
  const std::vector<Override> late = {{"policy.lookahead.kind", "given-recall"},
                                      {"policy.lookahead.recall", "0"},
                                      {"policy.transfer.queue", "demand-first"}};
  const PolicySpec policy = load_policy("on-demand", late);
  const SimulationResult result = run(tiny_model(2, 8, 2), machine, policy, source);
  EXPECT_EQ(result.tally.fetches, 6);
  EXPECT_GT(result.tally.busy[static_cast<std::size_t>(one_gpu::h2d)], result.total);
  EXPECT_EQ(utilisation(result).h2d, 1);
  const Limits limits = limits_of(result);
  EXPECT_EQ(limits.binding, Limit::link);
  EXPECT_LE(limits.least, result.total);
}

// Copies of 10 us + 98,304 B / 100 GB/s = 10.983 us: the launches' 210 us are the most, the copies come next.
TEST(Limits, BoundByLaunches) {
  ListSource source = one_step();
  MachineSpec machine = tiny_machine();
  machine.h2d.bandwidth = {100e9};
  const SimulationResult result = run(tiny_model(1, 8, 2), machine, load_policy("on-demand"), source);
  const Limits limits = limits_of(result);
  expect_whole(result, limits);
  EXPECT_EQ(part(limits, Limit::link).count, 2 * 10'983'040);
  EXPECT_EQ(part(limits, Limit::launches).count, 210'000 * ns);
  EXPECT_EQ(limits.binding, Limit::launches);
  EXPECT_EQ(limits.next, Limit::link);
}

// Without fixed costs and copies: at 1 GB/s everything is the memory's, at 1 GFLOP/s the arithmetic's. The
// experts' share of it: 2 x 98,304 B, and 2 x 6 x 64 x 128 = 98,304 FLOP.
TEST(Limits, BoundByTheGpu) {
  ListSource source = one_step();
  MachineSpec machine = tiny_machine();
  machine.overhead = {};
  machine.gpu.memory_efficiency = machine.gpu.compute_efficiency = 1;
  machine.gpu.memory_bandwidth = {1e9};
  machine.gpu.rates["fp32"] = {1e15};
  SimulationResult result = run(tiny_model(1, 8, 2), machine, load_policy("gpu-only"), source);
  Limits limits = limits_of(result);
  expect_whole(result, limits);
  EXPECT_EQ(limits.binding, Limit::gpu_memory);
  EXPECT_EQ(part(limits, Limit::gpu_memory), result.total);
  EXPECT_EQ(limits.next, std::nullopt);
  EXPECT_THAT(why(result),
              StartsWith("bound by GPU memory (100 % of the time), and by nothing else; no expert"));
  const std::uint32_t ones[] = {1, 1};
  CostModel by_memory(tiny_model(1, 8, 2), machine, load_policy("gpu-only"));
  by_memory.begin_step({.tokens = 1});
  const GpuTime streamed = by_memory.experts(0, ones, 2, 1, false);
  EXPECT_EQ(streamed.count, 196'608 * ns);
  EXPECT_EQ(streamed.memory, streamed);

  machine.gpu.memory_bandwidth = {1e14};
  machine.gpu.rates["fp32"] = {1e9};
  result = run(tiny_model(1, 8, 2), machine, load_policy("gpu-only"), source);
  limits = limits_of(result);
  expect_whole(result, limits);
  EXPECT_EQ(limits.binding, Limit::gpu_arithmetic);
  EXPECT_GT(limits.share[static_cast<std::size_t>(Limit::gpu_arithmetic)], 0.99);
  CostModel by_arithmetic(tiny_model(1, 8, 2), machine, load_policy("gpu-only"));
  by_arithmetic.begin_step({.tokens = 1});
  const GpuTime computed = by_arithmetic.experts(0, ones, 2, 1, false);
  EXPECT_EQ(computed.count, 98'304 * ns);
  EXPECT_EQ(computed.memory.count, 0);
}

// Both experts on the CPU, no fixed costs: 196,608 B at 0.8 of 10 GB/s are 24.576 us of host memory; the
// activations there and back are 10 us + 256 B / 1 GB/s each. Not "computation": the GPU is idle meanwhile.
TEST(Limits, BoundByTheCpu) {
  ListSource source = one_step();
  PolicySpec policy = load_policy("on-demand");
  choose(policy.miss.service, built_in_parts().miss_services, "compute-on-cpu");
  MachineSpec machine = tiny_machine();
  machine.overhead = {};
  machine.d2h = machine.h2d;
  machine.host.memory_bandwidth = {10e9};
  machine.host.rate = {1e18};
  machine.host.compute = {.bandwidth_efficiency = 0.8, .compute_efficiency = 0.5, .fixed = {}, .formats = {}};
  SimulationResult result = run(tiny_model(1, 8, 2), machine, policy, source);
  Limits limits = limits_of(result);
  expect_whole(result, limits);
  EXPECT_EQ(part(limits, Limit::host_memory).count, 24'576 * ns);
  EXPECT_EQ(part(limits, Limit::link).count, 2 * 10'256 * ns);
  EXPECT_EQ(limits.binding, Limit::host_memory);
  EXPECT_EQ(limits.next, Limit::link);
  EXPECT_EQ(result.path.cpu().count, 24'576 * ns);
  EXPECT_EQ(result.tally.exposed_host.count, 0);
  EXPECT_GT(result.tally.exposed_cpu.count, (24'576 + 2 * 10'256 - 1'000) * ns);
  EXPECT_THAT(why(result), AllOf(StartsWith("bound by host memory ("),
                                 HasSubstr("the CPU computes 100 % of the activated experts, in 5")));
  RunConfiguration configuration;
  configuration.model = tiny_model(1, 8, 2);
  EXPECT_THAT(results_table(configuration, {result}), HasSubstr("  CPU  "));
  const SimulationResult other = run(tiny_model(1, 8, 2), machine, load_policy("on-demand"), source);
  EXPECT_THAT(results_table(configuration, {other}), testing::Not(HasSubstr("  CPU  ")));

  // 98,304 FLOP at 0.5 x 1 GFLOP/s: 196.608 us of arithmetic.
  machine.host.rate = {1e9};
  result = run(tiny_model(1, 8, 2), machine, policy, source);
  limits = limits_of(result);
  expect_whole(result, limits);
  EXPECT_NEAR(static_cast<double>(part(limits, Limit::cpu_arithmetic).count), 196'608.0 * ns, 2);
  EXPECT_EQ(part(limits, Limit::host_memory).count, 0);
  EXPECT_EQ(limits.binding, Limit::cpu_arithmetic);
}

// What the limit promises is an upper bound: with a link that costs nothing the run is no faster than said.
TEST(Limits, TheGainOfALinkThatCostsNothingIsAtMostWhatIsSaid) {
  int bound = 0;
  for (const char* name : {"on-demand", "pre-gated", "prefetch-all", "pre-gated-cache"}) {
    for (const double rate : {0.3e9, 2e9, 20e9}) {
      ListSource source = test::random_source(11, 4, 16, 3, 2, 7, 20);
      MachineSpec machine = tiny_machine();
      machine.h2d.bandwidth = {rate};
      const ModelSpec model = tiny_model(4, 16, 3);
      const SimulationResult result = run(model, machine, load_policy(name), source);
      const Limits limits = limits_of(result);
      expect_whole(result, limits);
      if (limits.binding != Limit::link) continue;
      ++bound;
      machine.h2d = {
          .bandwidth = {1e14}, .latency = {}, .per_copy = {}, .pageable_bandwidth = {1e14}, .table = {}};
      machine.host.memory_bandwidth = {1e14};
      const SimulationResult faster = run(model, machine, load_policy(name), source);
      EXPECT_GE(faster.total, limits.least) << name << " " << rate;
    }
  }
  EXPECT_GE(bound, 4);
}

// Copies in the background share the bus with the CPU: what that adds has a cause as well.
TEST(Limits, TimeThatSharingAddsIsCounted) {
  const ModelSpec model = tiny_model(3, 8, 2);
  ListSource source = test::random_source(5, 3, 8, 2, 1, 0, 30);
  PolicySpec policy = load_policy("on-demand");
  choose(policy.miss.service, built_in_parts().miss_services, "compute-on-cpu");
  policy.miss.admission = MissAdmission::background;
  policy.cache.capacity = parse_capacity("3 slots", "test");
  MachineSpec machine = tiny_machine();
  machine.d2h = machine.h2d;
  machine.h2d.bandwidth = {6e9};
  machine.host.memory_bandwidth = {10e9};
  machine.host.rate = {1e18};
  machine.host.compute.fixed = {};
  const SimulationResult result = run(model, machine, policy, source);
  EXPECT_GT(result.tally.fetches, 0);
  expect_whole(result, limits_of(result));
  // Copies of 6 GB/s that the bus held up: time of the host's memory.
  EXPECT_GT(result.tally.spent[Cause::copied_host_memory].count, 0);
}

}  // namespace
}  // namespace pregate::sim
