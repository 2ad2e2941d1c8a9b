// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A KV cache in the host's memory, of several GPUs.
#include <gtest/gtest.h>

#include <map>

#include "models/error.hpp"
#include "sim/parallel/rank.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "sim/platform/machine_topology.hpp"
#include "tests/models/error_of.hpp"
#include "tests/sim/group_runs.hpp"
#include "tests/sim/served.hpp"
#include "tests/sim/timed_operations.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using trace::Phase;

const Set on_host = {{"kv_cache.memory", "host"}};
const Set on_cpu = {{"kv_cache.memory", "host"}, {"kv_cache.attention", "cpu"}};
/// Keys and values of a token in a layer of the tiny model: 2 x 4 heads of 16 in fp32.
constexpr std::int64_t entry = 2 * 4 * 16 * 4;

const std::vector<Variant> kept_systems = {{"gpu-only", {}},
                                           {"on-demand", {}},
                                           {"on-demand-cache", {{"cache.capacity", "25%"}}},
                                           {"pre-gated-cache", {{"cache.capacity", "25%"}}},
                                           {"prefetch-all", {}}};

TEST(GroupKv, OneGpuAsAGroupIsOneGpu) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(3, 4, 16, 3, 10, 7, 12);
  const auto batches = trace::compose_batches(source, 5);
  for (const Variant& variant : kept_systems) {
    for (const Set& where : {on_host, on_cpu}) {
      for (const int cut : {1, 3}) {
        for (const double host_memory : {1.5e9, 1e12}) {
          const PolicySpec tried = policy(joined(joined(variant.set, where), {cut_into(cut)}), variant.of);
          SimulationOptions options;
          const SimulationResult alone = run(model, with_host_memory(host_memory), tried, *batches, options);
          options.parallel.even_for_one = true;
          const SimulationResult group = run(model, with_host_memory(host_memory), tried, *batches, options);
          test::expect_same_run(alone, group);
          EXPECT_EQ(alone.memory.host, group.memory.host);
          EXPECT_EQ(alone.memory.host_kv, group.memory.host_kv);
        }
      }
    }
  }
}

/// A layer, a prompt of ten tokens, and decode steps whose experts are there.
class OfTwoGpus : public testing::Test {
 protected:
  static constexpr int steps = 5, prompt = 10;
  const ModelSpec model = test::tiny_model(1, 8, 4);
  ListSource source{test::decoder_info(1, 8, 4)};
  OfTwoGpus() {
    const std::vector<std::uint16_t> of_token = {0, 1, 4, 5};
    std::vector<std::uint16_t> ids;
    for (int token = 0; token < prompt; ++token) ids.insert(ids.end(), of_token.begin(), of_token.end());
    source.add(Phase::prefill, prompt, ids, true);
    for (int step = 0; step < steps; ++step) source.add(Phase::decode, 1, of_token);
  }
};

// Each GPU has half of the heads, whose cached tokens come over its own link before its attention: in 10 us +
// half of them / 1 GB/s, or where the host's memory gives 1 GB/s to both, twice the bytes' time. What is new
// goes back meanwhile.
TEST_F(OfTwoGpus, LoadsAreTheirClosedForm) {
  const PolicySpec kept = policy(on_host, "gpu-only");
  const ParallelSpec spec = whole_experts(2);
  for (const auto& [host_memory, rate] : {std::pair{1e12, 1e9}, {1e9, 0.5e9}}) {
    const MachineSpec machine = with_host_memory(host_memory);
    const SimulationResult pair = run(model, machine, kept, source, {.parallel = spec});
    CostModel costs(priced_model(model, spec), with_gpus(machine, 2), kept, {});
    Picoseconds expected;
    for (int step = 0; step < steps; ++step) {
      costs.begin_step({.tokens = 1, .position = prompt + step});
      const LayerCost& layer = costs.layer(costs.layer_class(0, 0));
      const std::vector<std::uint32_t> each{1, 1};
      const Picoseconds loaded =
          Picoseconds{copy_us * us} + time_at(Bytes{(prompt + step) * entry / 2}, {rate});
      expected += costs.step_overhead().whole() + loaded + layer.attention.whole() + layer.gate.whole() +
                  costs.exchange({.exchange = Exchange::all_reduce, .gpus = 2, .bytes = Bytes{64 * 4}}) * 2 +
                  costs.experts(costs.layer_class(0, 0), each, 2, 1, true).whole() + costs.head().whole() +
                  costs.exchange({.exchange = Exchange::all_gather, .gpus = 2, .bytes = Bytes{100 * 4}});
    }
    EXPECT_EQ(pair.decode, expected) << host_memory;
    // As much host memory as one GPU takes, half of it a GPU.
    EXPECT_EQ(pair.memory.host_kv, Bytes{(prompt + steps) * entry});
    EXPECT_EQ(pair.memory.host_kv, run(model, machine, kept, source).memory.host_kv);
  }
}

// The CPU has each GPU's new keys and values and its heads' queries, which come down two links at once, and
// attends for one GPU after the other: to half of the cached bytes, and sends it half of each token.
TEST_F(OfTwoGpus, TheCpuAttendsForTheHeadsOfEachInClosedForm) {
  const PolicySpec kept = policy(on_cpu, "gpu-only");
  const ParallelSpec spec = whole_experts(2);
  MachineSpec machine = with_host_memory(1e12);
  machine.host.rate = {1e8};  // its arithmetic decides: copies have the memory
  const SimulationResult pair = run(model, machine, kept, source, {.parallel = spec, .recorded_steps = 100});
  CostModel costs(priced_model(model, spec), with_gpus(machine, 2), kept, {});
  Picoseconds expected;
  for (int step = 0; step < steps; ++step) {
    costs.begin_step({.tokens = 1, .position = prompt + step});
    const LayerCost& layer = costs.layer(costs.layer_class(0, 0));
    EXPECT_EQ(layer.kv.attended, Bytes{(prompt + step + 1) * entry / 2});
    const std::vector<std::uint32_t> each{1, 1};
    const Picoseconds down = costs.kv_copy(gpu_to_host, Bytes{entry / 2}).duration +
                             costs.activations(gpu_to_host, 1, 2).duration,
                      attended = costs.cpu_attention(layer.kv).duration +
                                 costs.activations(host_to_gpu, 1, 2).duration;
    expected += costs.step_overhead().whole() + layer.attention.whole() + down + attended * 2 +
                layer.gate.whole() +
                costs.exchange({.exchange = Exchange::all_reduce, .gpus = 2, .bytes = Bytes{64 * 4}}) * 2 +
                costs.experts(costs.layer_class(0, 0), each, 2, 1, true).whole() + costs.head().whole() +
                costs.exchange({.exchange = Exchange::all_gather, .gpus = 2, .bytes = Bytes{100 * 4}});
  }
  EXPECT_EQ(pair.decode, expected);
  expect_replayed(pair);
}

// The CPU attends for one stage after the other, and nothing overlaps: what one GPU does, and the activations
// that go from one stage to the next.
TEST(GroupKv, TheCpuAttendsForEachStage) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(5, 4, 16, 3, 1, 0, 12);
  const MachineSpec machine = with_host_memory(1e12);
  const Picoseconds sent = from_seconds(5e-6) + time_at(Bytes{64 * 4}, machine.peer.bandwidth);
  for (const char* const name : {"gpu-only", "on-demand"}) {
    const PolicySpec kept = policy(on_cpu, name);
    const SimulationResult alone = run(model, machine, kept, source),
                           two = run(model, machine, kept, source,
                                     {.parallel = {.pipeline = 2}, .recorded_steps = 100});
    EXPECT_EQ(two.total, alone.total + sent * 12);
    EXPECT_EQ(two.memory.host_kv, alone.memory.host_kv);
    expect_replayed(two);
  }
}

/// Of each kind, over all GPUs.
std::map<OpKind, Bytes> copied(const SimulationResult& recorded) {
  std::map<OpKind, Bytes> all;
  for (std::size_t i = 0; i < recorded.schedule.size(); ++i) {
    const Operation& operation = recorded.schedule.operation(static_cast<OpId>(i));
    all[operation.kind] += operation.bytes;
  }
  return all;
}

class GroupKvEngines : public testing::TestWithParam<int> {
 protected:
  const ParallelSpec spec = spreads.at(static_cast<std::size_t>(GetParam()));
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(3, 4, 16, 3, 8, 7, 12);
  /// In the engine that is chosen, by events and recorded; `known`: the timed engine can say.
  SimulationResult agreed(const PolicySpec& kept, double host_memory, bool known) {
    const auto batches = trace::compose_batches(source, 4);
    const auto with = [&](SimulationOptions options) {
      options.parallel = spec;
      return run(model, with_host_memory(host_memory), kept, *batches, options);
    };
    SimulationResult recorded = with({.recorded_steps = 1000});
    EXPECT_FALSE(recorded.out_of_memory) << recorded.out_of_memory_reason;
    test::expect_same_figures(recorded, with({}));
    test::expect_same_figures(recorded, with({.engine = known ? Engine::timed : Engine::event}));
    expect_replayed(recorded);
    EXPECT_EQ(recorded.path.spent.total() + recorded.path.gpu_arithmetic(), recorded.path.finish);
    return recorded;
  }
};

// Where the host's memory carries all at once the times computed at issue are those of the event queue; the
// exported schedule has them in any case. Every byte of keys and values crosses a link once.
TEST_P(GroupKvEngines, Agree) {
  for (const Variant& variant : kept_systems) {
    SCOPED_TRACE(variant.of);
    for (const double host_memory : {2e9, 1e12}) {
      for (const Set& where : {on_host, on_cpu}) {
        const bool on_gpu = where.size() == on_host.size();
        const PolicySpec kept = policy(joined(variant.set, where), variant.of);
        std::map<OpKind, Bytes> all = copied(agreed(kept, host_memory, on_gpu && host_memory > 1e11));
        const auto batches = trace::compose_batches(source, 4);
        std::map<OpKind, Bytes> one =
            copied(run(model, with_host_memory(host_memory), kept, *batches, {.recorded_steps = 1000}));
        EXPECT_EQ(all[OpKind::kv_load], one[OpKind::kv_load]);
        EXPECT_EQ(all[OpKind::kv_store], one[OpKind::kv_store]);
      }
    }
  }
}

// The same where each GPU waits for all of its copies after a micro-batch (FlexGen).
TEST_P(GroupKvEngines, AgreeWhereAllCopiesAreWaitedFor) {
  const Set waits = joined(on_host, {{"compute.synchronized", "micro-batch"}, cut_into(2)});
  for (const Variant& variant : kept_systems) {
    SCOPED_TRACE(variant.of);
    const PolicySpec waiting = policy(joined(variant.set, waits), variant.of);
    for (const double host_memory : {2e9, 1e12}) agreed(waiting, host_memory, host_memory > 1e11);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GroupKvEngines, testing::Range(0, static_cast<int>(spreads.size())));

// Stages in hosts of their own: what they hand over goes down and up the links on which keys and values are
// copied, and each host's memory holds those of its GPU.
TEST(GroupKv, StagesOfTwoHosts) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(5, 4, 16, 3, 2, 6, 12);
  MachineSpec machine = with_host_memory(1e12);
  machine.gpu.count = 1;
  machine.network = {.hosts = 2, .bandwidth = {2e9}, .latency = from_seconds(20e-6), .per_copy = {}};
  for (const char* const name : {"gpu-only", "on-demand"}) {
    const PolicySpec kept = policy(on_host, name);
    const SimulationResult chosen = run(model, machine, kept, source, {.parallel = {.pipeline = 2}});
    test::expect_same_figures(
        chosen, run(model, machine, kept, source, {.engine = Engine::event, .parallel = {.pipeline = 2}}));
    EXPECT_EQ(chosen.memory.host_kv * 2, run(model, machine, kept, source).memory.host_kv);
  }
}

TEST(GroupKv, WhatIsNotSimulatedIsRefused) {
  const ModelSpec model = test::tiny_model(2, 4, 2);
  ListSource source = test::random_source(1, 2, 4, 2, 1, 0, 2);
  const auto refused = [&](const Set& set, const SimulationOptions& options) {
    return test::error_of(
        [&] { run(model, with_host_memory(1e12), policy(set, "gpu-only"), source, options); });
  };
  const ParallelSpec follows{.data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::follow};
  EXPECT_NE(refused(on_host, {.parallel = {.pipeline = 2, .batches = 2}}).find("one pass"),
            std::string::npos);
  EXPECT_NE(refused(on_host, {.parallel = follows}).find("one group of GPUs"), std::string::npos);
  const ServingSpec mixed = test::continuous({{"prompts", "beside"}});
  EXPECT_NE(refused(on_cpu, {.serving = mixed, .parallel = {.pipeline = 2}}).find("prompts run beside"),
            std::string::npos);
}

}  // namespace
}  // namespace pregate::sim
