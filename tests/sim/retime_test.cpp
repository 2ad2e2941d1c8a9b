// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What is timed from the decisions of another machine's run is what a run of its own gives, in every figure
// and every sum behind it.
#include <gtest/gtest.h>

#include <cmath>

#include "sim/policy/load_policy.hpp"
#include "sim/retime/many_machines.hpp"
#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/tiny.hpp"
#include "traces/reader.hpp"
#include "traces/synthetic.hpp"

namespace pregate::sim {
namespace {

/// Machines that differ in their links, and in everything that has a price on the GPU.
std::vector<MachineSpec> unlike_machines() {
  std::vector<MachineSpec> machines;
  for (const double rate : {1e8, 1e9, 1e10, 1e12}) {
    machines.push_back(test::tiny_machine());
    machines.back().h2d.bandwidth = {rate};
  }
  MachineSpec slow = test::slow_memory(), quiet = test::tiny_machine(), pageable = test::tiny_machine();
  quiet.overhead.step = quiet.overhead.gate_readback = {};
  quiet.overhead.request = {};
  pageable.host.memory_bandwidth = {2e8};  // copies read it
  for (const MachineSpec& machine : {slow, quiet, pageable}) {
    machines.push_back(machine);
    machines.push_back(machine);
    machines.back().h2d.latency = from_seconds(1e-4);
  }
  return machines;
}

/// Each of the machines, re-timed and simulated. Returns how many of them were re-timed.
std::int64_t expect_exact(const ModelSpec& model, const PolicySpec& policy, trace::StepSource& source,
                          const std::vector<MachineSpec>& machines, const SimulationOptions& options = {}) {
  const PreparedTrace prepared(source, model, "test", options.serving);
  ManyMachines many(model, policy, prepared, source, options);
  const std::vector<SimulationResult> results = many.run(machines);
  for (std::size_t i = 0; i < machines.size(); ++i) {
    SCOPED_TRACE("machine " + std::to_string(i));
    const SimulationResult alone = simulate(model, machines[i], policy, prepared, source, options);
    test::expect_same_run(results[i], alone);
    EXPECT_EQ(results[i].notes, alone.notes);
    EXPECT_EQ(one_result_json(results[i], {}), one_result_json(alone, {}));
    EXPECT_EQ(requests_csv(results[i].request_records), requests_csv(alone.request_records));
  }
  return many.retimed();
}

struct Setting {
  const char *capacity, *eviction;
  CacheScope scope;
};

TEST(Retiming, IsExactOnDemand) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 30);
  const std::vector<MachineSpec> machines = unlike_machines();
  for (const Setting& set :
       {Setting{"0", "lru", CacheScope::layer}, Setting{"25%", "lru", CacheScope::layer},
        Setting{"40%", "lru", CacheScope::global}, Setting{"25%", "belady", CacheScope::layer},
        Setting{"100%", "lfu", CacheScope::layer}}) {
    SCOPED_TRACE(std::string(set.capacity) + " " + set.eviction);
    PolicySpec policy = load_policy("on-demand");
    policy.cache.capacity = parse_capacity(set.capacity, "test");
    policy.cache.eviction = set.eviction;
    policy.cache.scope = set.scope;
    EXPECT_EQ(expect_exact(model, policy, source, machines, {.keeps_requests = true}),
              static_cast<std::int64_t>(machines.size()));
  }
  EXPECT_EQ(expect_exact(model, load_policy("gpu-only"), source, machines),
            static_cast<std::int64_t>(machines.size()));
}

// On many links the latencies of blocks are sorted once; lanes of one set of prices are full and in part
// empty.
TEST(Retiming, IsExactOnManyLinks) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 30);
  std::vector<MachineSpec> machines;
  for (int i = 0; i < 43; ++i) {
    machines.push_back(test::tiny_machine());
    machines.back().h2d.bandwidth = {1e8 * std::pow(1.2, i)};
  }
  for (const char* name : {"on-demand-cache", "on-demand", "pre-gated-cache", "prefetch-all"})
    EXPECT_EQ(expect_exact(model, load_policy(name), source, machines, {.keeps_requests = true}), 43) << name;
}

// Slow links let copies run into the layers after; fast ones hide them.
TEST(Retiming, IsExactWhereLayersAnnounce) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 30);
  const std::vector<MachineSpec> machines = unlike_machines();
  for (const std::string kind : {"pre-gate", "all-next"}) {
    for (const int distance : {1, 2, 7}) {
      for (const char* capacity : {"0", "25%"}) {
        SCOPED_TRACE(kind + " " + std::to_string(distance) + " " + capacity);
        PolicySpec policy = load_policy("on-demand");
        choose(policy.lookahead.predictor, built_in_parts().predictors, kind);
        policy.lookahead.distance = distance;
        policy.cache.capacity = parse_capacity(capacity, "test");
        policy.transfer.chunk = Bytes{distance == 2 ? 40'000 : 0};
        EXPECT_EQ(expect_exact(model, policy, source, machines, {.keeps_requests = true}),
                  static_cast<std::int64_t>(machines.size()));
      }
    }
  }
}

/// One policy with caches of many capacities, each of them on all of the machines.
void expect_exact_at(const std::vector<std::string>& capacities, const PolicySpec& policy,
                     trace::StepSource& source, std::int64_t passes_over_trace) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  const std::vector<MachineSpec> machines = unlike_machines();
  const PreparedTrace prepared(source, model, "test");
  std::vector<PolicySpec> policies;
  for (const std::string& capacity : capacities) {
    policies.push_back(policy);
    policies.back().cache.capacity = parse_capacity(capacity, "test");
  }
  const SimulationOptions options{.keeps_requests = true};
  ManyMachines many(model, policies, prepared, source, options);
  for (std::size_t i = policies.size(); i-- > 0;) {
    SCOPED_TRACE(policy.name + " " + capacities[i]);
    const std::vector<SimulationResult> results = many.run(i, machines);
    for (std::size_t j = 0; j < machines.size(); ++j) {
      const SimulationResult alone = simulate(model, machines[j], policies[i], prepared, source, options);
      test::expect_same_run(results[j], alone);
      EXPECT_EQ(results[j].notes, alone.notes);
      EXPECT_EQ(one_result_json(results[j], {}), one_result_json(alone, {}));
      EXPECT_EQ(requests_csv(results[j].request_records), requests_csv(alone.request_records));
    }
  }
  EXPECT_EQ(many.retimed(), static_cast<std::int64_t>(policies.size() * machines.size()));
  EXPECT_EQ(many.passes_over_trace(), passes_over_trace);
}

// Capacities below a batch, of a batch, between and of all experts are looked up in one pass; nothing cached
// is a pass of its own.
TEST(Retiming, FindsAllCapacitiesOfAStackAtOnce) {
  test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 30);
  const std::vector<std::string> capacities{"0",       "1 slots", "2 slots", "3 slots",  "4 slots", "30%",
                                            "6 slots", "9 slots", "80%",     "15 slots", "100%"};
  for (const char* name : {"on-demand-cache", "pre-gated-cache", "prefetch-all-cache"})
    expect_exact_at(capacities, load_policy(name), source, 2);
  PolicySpec policy = load_policy("on-demand-cache");
  policy.cache.scope = CacheScope::global;
  expect_exact_at({"1 slots", "3 slots", "7 slots", "20 slots", "50%", "100%"}, policy, source, 1);
  policy.cache.eviction = "lfu";
  expect_exact_at({"3 slots", "20 slots", "100%"}, policy, source, 3);
}

// An encoder and a decoder whose MoE layers lie between others, batches, another count of lanes than
// machines.
TEST(Retiming, IsExactForBatchesOfAnEncoderAndDecoder) {
  const ModelSpec model = load_model("switch-base-128");
  trace::GeneratorProfile profile = trace::load_profile("switch-base-128");
  profile.decode_steps = 12;
  const auto generated = trace::generate(profile, 5, 3);
  const auto memory = trace::load_into_memory(*generated);
  const auto batched = trace::compose_batches(*memory, 2);
  std::vector<MachineSpec> machines(3, load_machine("a100-80g-pcie4"));
  machines[1].h2d.bandwidth = {3e9};
  machines[2].gpu.memory_bandwidth.value /= 2;
  for (const char* policy : {"on-demand", "pre-gated", "pre-gated-cache", "prefetch-all"}) {
    SCOPED_TRACE(policy);
    EXPECT_EQ(expect_exact(model, load_policy(policy), *batched, machines), 3);
  }
}

// Where attention or experts take no time a pass may depend on the one before it; where the memory is short a
// layer runs in waves; where the machine's own traffic slows copies times decide. Those are simulated.
TEST(Retiming, LeavesToSimulationWhatItCannotTime) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 30);
  const PolicySpec policy = load_policy("pre-gated");
  std::vector<MachineSpec> machines(2, test::tiny_machine());
  machines[1].overhead.experts = {};
  machines[1].gpu.memory_bandwidth = {1e30};
  for (auto& [precision, rate] : machines[1].gpu.rates) rate = {1e30};
  EXPECT_EQ(expect_exact(model, policy, source, machines), 1);
  std::vector<MachineSpec> sharing(2, test::tiny_machine());
  sharing[1].gpu.host_memory_traffic = {1e9};
  EXPECT_EQ(expect_exact(model, policy, source, sharing), 1);
  const SimulationResult roomy = test::run(model, test::tiny_machine(), policy, source);
  std::vector<MachineSpec> short_of_memory(3, test::tiny_machine());
  short_of_memory[1].gpu.memory = short_of_memory[1].gpu.reserved + roomy.memory.total() - Bytes{400'000};
  short_of_memory[2].gpu.memory = short_of_memory[2].gpu.reserved + Bytes{200'000};
  EXPECT_LE(expect_exact(model, policy, source, short_of_memory), 2);
  EXPECT_EQ(expect_exact(model, policy, source, {test::tiny_machine()}), 0) << "one alone is simulated";
}

}  // namespace
}  // namespace pregate::sim
