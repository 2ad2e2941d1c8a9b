// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/host_run.hpp"

#include <gtest/gtest.h>

#include <string>

#include "sim/planner/by_counts.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

PolicySpec beside_copies(const char* capacity) {
  PolicySpec policy = load_policy("on-demand-cache");
  policy.cache.capacity = parse_capacity(capacity, "test");
  choose(policy.miss.service, built_in_parts().miss_services, "compute-on-cpu");
  policy.miss.admission = MissAdmission::background;
  return policy;
}

/// The CPU alone needs 8 of `bus` GB/s.
MachineSpec machine_with(double bus, double link, bool arithmetic) {
  MachineSpec machine = test::tiny_machine();
  machine.h2d.bandwidth = {link};
  machine.d2h = machine.h2d;
  machine.host.memory_bandwidth = {bus};
  machine.host.rate = {arithmetic ? 2e9 : 1e18};
  machine.host.compute = {
      .bandwidth_efficiency = 8e9 / bus, .compute_efficiency = 1, .fixed = {}, .formats = {}};
  if (bus > 10e9) machine.host.compute.fixed = Picoseconds{3'000'000};
  if (bus > 20e9) machine.host.compute.expert = Picoseconds{700'000};
  return machine;
}

bool runs_beside_copies(const PolicySpec& policy, const ModelSpec& model, trace::StepSource& source) {
  const PreparedTrace trace(source, model, "test");
  SimulationResult result;
  result.topology = topology_of(test::tiny_machine());
  const auto plan = plan_run(model, memory_limits(test::tiny_machine()), policy, trace, source,
                             CountedExperts::all, result);
  return plan && computes_misses_beside_copies(*plan);
}

void compare(const PolicySpec& policy, const MachineSpec& machine, test::ListSource& source) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ASSERT_TRUE(runs_beside_copies(policy, model, source));
  const SimulationResult beside = test::run(model, machine, policy, source);
  const SimulationResult events = test::run(model, machine, policy, source, {.engine = Engine::event});
  EXPECT_GT(events.decode_cache.computed_on_cpu, 0);
  test::expect_same_run(beside, events);
}

// From a bus that throttles copies alone to one that throttles nobody, from links that never come to an end
// to ones that wait; the CPU bound by its reading or by its arithmetic.
TEST(HostRun, EqualsTheEventEngine) {
  for (const double bus : {8.5e9, 9e9, 12.3e9, 40e9}) {
    for (const double link : {3e8, 1e9, 3.7e9, 2e10}) {
      for (const bool arithmetic : {false, true}) {
        for (const std::int64_t chunk : {0, 40'000}) {
          for (const char* capacity : {"25%", "1 slots", "80%"}) {
            SCOPED_TRACE(std::to_string(bus) + ", " + std::to_string(link) + ", " + capacity);
            PolicySpec policy = beside_copies(capacity);
            policy.transfer.chunk = Bytes{chunk};
            MachineSpec machine = machine_with(bus, link, arithmetic);
            if (chunk > 0) machine.overhead.gate_readback = {};
            test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 30);
            compare(policy, machine, source);
          }
        }
      }
    }
  }
}

TEST(HostRun, EqualsItForEveryEvictionScopeAndQueue) {
  for (const char* eviction : {"lru", "fifo", "lfu", "random", "s3-fifo", "arc"}) {
    for (const CacheScope scope : {CacheScope::layer, CacheScope::global}) {
      for (const char* queue : {"fifo", "demand-first"}) {
        SCOPED_TRACE(eviction);
        PolicySpec policy = beside_copies("30%");
        policy.cache.eviction = eviction;
        policy.cache.scope = scope;
        test::queue(policy, queue);
        test::ListSource source = test::random_source(8, 4, 16, 3, 2, 9, 40);
        compare(policy, machine_with(9.1e9, 2.3e9, false), source);
      }
    }
  }
}

// Rates that a link's table and the host's memory set: what a copy's time is spent on has two parts.
TEST(HostRun, EqualsItWhereTheHostsMemoryBoundsCopies) {
  for (const bool fixed : {false, true}) {
    PolicySpec policy = beside_copies("25%");
    policy.transfer.pinned = false;
    MachineSpec machine = machine_with(8.2e9, 3e10, false);
    machine.h2d.latency = machine.d2h.latency = machine.h2d.per_copy = machine.d2h.per_copy =
        Picoseconds{fixed ? 700'000 : 0};
    test::ListSource source = test::random_source(2, 4, 16, 3, 3, 7, 30);
    compare(policy, machine, source);
  }
}

TEST(HostRun, LeavesToThePlannerWhatNeedsOperations) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 30);
  const PolicySpec served = beside_copies("25%");
  EXPECT_TRUE(runs_beside_copies(served, model, source));
  EXPECT_FALSE(runs_beside_copies(beside_copies("0"), model, source));
  PolicySpec staging = served, each = served, pinned = served, guesses = served, fetches = served;
  staging.transfer.staging_copies = 1;
  EXPECT_FALSE(runs_beside_copies(staging, model, source));
  each.compute.experts = ExpertCompute::per_expert;
  EXPECT_FALSE(runs_beside_copies(each, model, source));
  test::place(pinned, "popular", 1);
  EXPECT_FALSE(runs_beside_copies(pinned, model, source));
  choose(guesses.lookahead.predictor, built_in_parts().predictors, "given-recall");
  EXPECT_FALSE(runs_beside_copies(guesses, model, source));
  choose(fetches.miss.service, built_in_parts().miss_services, "fetch");
  fetches.miss.admission = MissAdmission::none;
  EXPECT_FALSE(runs_beside_copies(fetches, model, source));
}

}  // namespace
}  // namespace pregate::sim
