// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "models/error.hpp"
#include "sim/engine/event_engine.hpp"
#include "sim/parallel/parallel_fields.hpp"
#include "sim/parallel/rank.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/group_runs.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using test::linked_machine;
using test::ListSource;
using test::run;
using trace::Phase;

ParallelSpec pipeline(int stages) { return {.pipeline = stages}; }

/// Of the operations of this kind, in the order of issue.
std::vector<OpId> operations(const SimulationResult& result, OpKind kind) {
  std::vector<OpId> all;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    if (result.schedule.operation(static_cast<OpId>(i)).kind == kind) all.push_back(static_cast<OpId>(i));
  }
  return all;
}

class OneGpuAsAGroup : public testing::TestWithParam<std::tuple<std::string, std::string, Engine>> {};

// Every policy: the way of several GPUs with one of them is the other way, to the picosecond.
TEST_P(OneGpuAsAGroup, EqualsOneGpu) {
  const auto& [name, capacity, engine] = GetParam();
  PolicySpec policy = load_policy(name);
  if (capacity != "own") policy.cache.capacity = parse_capacity(capacity, "test");
  const ModelSpec model = test::tiny_model(4, 16, 3);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    ListSource source = test::random_source(seed, 4, 16, 3, 2, 7, 20);
    source.weigh_by_halves(3);
    MachineSpec machine = test::tiny_machine();
    machine.h2d.bandwidth = {1e9 * static_cast<double>(seed * seed)};
    machine.ssd = {.capacity = {1LL << 40}, .read_bandwidth = {0.5e9}, .latency = from_seconds(80e-6)};
    SimulationOptions options{.engine = engine};
    const SimulationResult alone = run(model, machine, policy, source, options);
    options.parallel.even_for_one = true;
    const SimulationResult group = run(model, machine, policy, source, options);
    SCOPED_TRACE(name + ", " + capacity + ", " + std::to_string(seed));
    ASSERT_FALSE(alone.out_of_memory);
    test::expect_same_run(alone, group);
    EXPECT_EQ(alone.memory.total(), group.memory.total());
    EXPECT_EQ(alone.memory.host, group.memory.host);
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, OneGpuAsAGroup,
                         testing::Combine(testing::Values("gpu-only", "on-demand", "prefetch-all",
                                                          "pre-gated", "promoe", "hybrimoe", "experts-on-cpu",
                                                          "fiddler"),
                                          testing::Values("own"), testing::Values(Engine::event)));
INSTANTIATE_TEST_SUITE_P(
    FormatsAndDrives, OneGpuAsAGroup,
    testing::Combine(testing::Values("hobbit", "mc-moe", "m2cache", "streamlx", "warp", "llama-cpp-mmap"),
                     testing::Values("own"), testing::Values(Engine::automatic, Engine::event)));
INSTANTIATE_TEST_SUITE_P(
    Caches, OneGpuAsAGroup,
    testing::Combine(testing::Values("on-demand-cache", "prefetch-all-cache", "pre-gated-cache"),
                     testing::Values("25%", "60%"), testing::Values(Engine::automatic, Engine::event)));

// Stages one after the other: as on one GPU, and between them the activations go from one to the next.
TEST(SeveralGpus, StagesHandOverActivations) {
  const ModelSpec model = test::tiny_model(4, 8, 2);
  ListSource source(test::decoder_info(4, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3, 4, 5, 6, 7}, true);
  source.add(Phase::decode, 1, {1, 2, 3, 4, 5, 6, 7, 0});
  const PolicySpec policy = load_policy("gpu-only");
  const MachineSpec machine = linked_machine();
  const SimulationResult alone = run(model, machine, policy, source);
  const SimulationResult two = run(model, machine, policy, source, {.parallel = pipeline(2)});
  // 64 numbers of fp32.
  const Picoseconds sent = from_seconds(5e-6) + time_at(Bytes{64 * 4}, machine.peer.bandwidth);
  EXPECT_EQ(two.total, alone.total + sent * 2);
  ASSERT_EQ(two.gpus.size(), 2U);
  EXPECT_EQ(two.gpus[0].routed, 8);
  EXPECT_EQ(two.gpus[1].routed, 8);
}

// Through the host's memory: out over one link, in over the other.
TEST(SeveralGpus, WithoutALinkBetweenThemTheyGoThroughTheHost) {
  const ModelSpec model = test::tiny_model(4, 8, 2);
  ListSource source(test::decoder_info(4, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3, 4, 5, 6, 7}, true);
  const PolicySpec policy = load_policy("gpu-only");
  const MachineSpec machine = test::tiny_machine();
  const SimulationResult alone = run(model, machine, policy, source);
  const SimulationResult two = run(model, machine, policy, source, {.parallel = pipeline(2)});
  const auto hop = [&](const LinkSpec& link) {
    return link.latency + link.per_copy + time_at(Bytes{64 * 4}, copy_rate(link, Bytes{64 * 4}));
  };
  EXPECT_EQ(two.total, alone.total + hop(machine.h2d) + hop(machine.d2h));
}

// What is fetched on demand is fetched over the link of the GPU that needs it.
TEST(SeveralGpus, EachStageFetchesOverItsOwnLink) {
  const ModelSpec model = test::tiny_model(4, 8, 2);
  ListSource source = test::random_source(3, 4, 8, 2, 1, 0, 12);
  const PolicySpec policy = load_policy("on-demand");
  const SimulationResult alone = run(model, linked_machine(), policy, source);
  const SimulationResult two =
      run(model, linked_machine(), policy, source, {.parallel = pipeline(2), .recorded_steps = 100});
  EXPECT_EQ(two.tally.fetched, alone.tally.fetched);
  EXPECT_EQ(two.decode_cache.misses, alone.decode_cache.misses);
  const StreamId first = two.topology.platform.stream_named("h2d").value(),
                 second = two.topology.platform.stream_named("gpu1.h2d").value();
  for (const OpId id : operations(two, OpKind::fetch)) {
    const Operation& fetch = two.schedule.operation(id);
    EXPECT_EQ(fetch.stream, fetch.layer < 2 ? first : second);
  }
}

// Experts 0 to 3 are the first GPU's, 4 to 7 the second's; attention and its sum are in step. A layer takes
// as long as the GPU that has more to do.
TEST(SeveralGpus, ALayerTakesAsLongAsItsSlowestGpu) {
  const ModelSpec model = test::tiny_model(1, 8, 4);
  const PolicySpec policy = load_policy("on-demand");
  const auto total = [&](std::vector<std::uint16_t> experts) {
    ListSource source(test::decoder_info(1, 8, 4));
    source.add(Phase::decode, 1, std::move(experts), true);
    return run(model, linked_machine(), policy, source, {.parallel = whole_experts(2)});
  };
  const SimulationResult balanced = total({0, 1, 4, 5}), uneven = total({0, 1, 2, 4}),
                         all = total({0, 1, 2, 3});
  EXPECT_LT(balanced.total, uneven.total);
  EXPECT_LT(uneven.total, all.total);
  // One copy more or less on the GPU that has most, one expert more or less in its kernel.
  EXPECT_GE((uneven.total - balanced.total).count, copy_time().count);
  EXPECT_EQ(balanced.gpus[0].routed, 2);
  EXPECT_EQ(uneven.gpus[0].routed, 3);
  EXPECT_EQ(uneven.gpus[1].routed, 1);
  EXPECT_EQ(all.gpus[1].routed, 0);
  EXPECT_EQ(all.gpus[1].misses, 0);
}

// Two GPUs, as many experts each, in closed form: what one GPU does of its part, and two all-reduces a layer.
TEST(SeveralGpus, ABalancedPairIsItsClosedForm) {
  const ModelSpec model = test::tiny_model(3, 8, 4);
  ListSource source(test::decoder_info(3, 8, 4));
  for (int step = 0; step < 5; ++step)
    source.add(Phase::decode, 1, {0, 1, 4, 5, 2, 3, 6, 7, 0, 2, 4, 6}, step == 0);
  const PolicySpec policy = load_policy("gpu-only");
  const MachineSpec machine = linked_machine();
  const ParallelSpec spec = whole_experts(2);
  const SimulationResult pair = run(model, machine, policy, source, {.parallel = spec});

  CostModel costs(priced_model(model, spec), with_gpus(machine, 2), policy, {});
  Picoseconds expected;
  for (int step = 0; step < 5; ++step) {
    costs.begin_step({.tokens = 1, .position = step});
    const LayerCost& layer = costs.layer(costs.layer_class(0, 0));
    const std::vector<std::uint32_t> each{1, 1};
    const Picoseconds sum =
        costs.exchange({.exchange = Exchange::all_reduce, .gpus = 2, .bytes = Bytes{64 * 4}});
    EXPECT_GT(sum.count, 0);
    const Picoseconds of_layer = layer.attention.whole() + layer.gate.whole() + sum * 2 +
                                 costs.experts(costs.layer_class(0, 0), each, 2, 1, true).whole();
    expected += costs.step_overhead().whole() + of_layer * 3 + costs.head().whole() +
                costs.exchange({.exchange = Exchange::all_gather, .gpus = 2, .bytes = Bytes{100 * 4}});
  }
  EXPECT_EQ(pair.total, expected);
}

// A number of layers or experts that are placed is one GPU's, which a note says.
TEST(SeveralGpus, PlacedCountsAreOfEachGpu) {
  const ModelSpec model = test::tiny_model(4, 8, 2);
  ListSource source = test::random_source(5, 4, 8, 2, 1, 0, 6);
  PolicySpec policy = load_policy("on-demand");
  test::place(policy, "last-layers", 1);
  const auto placed = [&](const ParallelSpec& spec) {
    const SimulationResult result = run(model, linked_machine(), policy, source, {.parallel = spec});
    const bool is_said = std::any_of(result.notes.begin(), result.notes.end(), [](const std::string& note) {
      return note.find("placement.count is a GPU's") != std::string::npos;
    });
    return std::pair(result.decode_cache.hits, is_said);
  };
  EXPECT_EQ(placed({}), std::pair(std::int64_t{12}, false));
  EXPECT_EQ(placed(pipeline(2)), std::pair(std::int64_t{24}, true));
  EXPECT_EQ(placed({.tensor = 2}), std::pair(std::int64_t{24}, false));  // of parts: both have it
}

// Columns of every expert on each GPU: both fetch a half of every miss, and each does what the other does.
TEST(SeveralGpus, PartsOfExpertsAreFetchedByAll) {
  const ModelSpec model = test::tiny_model(3, 8, 2);
  ListSource source = test::random_source(5, 3, 8, 2, 2, 4, 10);
  PolicySpec policy = load_policy("on-demand-cache");
  policy.cache.capacity = parse_capacity("50%", "test");
  const SimulationResult alone = run(model, linked_machine(), policy, source);
  const SimulationResult two = run(model, linked_machine(), policy, source, {.parallel = {.tensor = 2}});
  EXPECT_EQ(two.tally.fetched, alone.tally.fetched);
  EXPECT_EQ(two.tally.fetches, alone.tally.fetches * 2);
  EXPECT_EQ(two.decode_cache.hits, alone.decode_cache.hits * 2);
  EXPECT_EQ(two.gpus[0].misses, two.gpus[1].misses);
}

// Misses overtake guesses on the link of every GPU, not on the first one's alone: GPUs that have the same to
// do copy it in the same order.
TEST(SeveralGpus, CopiesOvertakeOnTheLinkOfEach) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(5, 4, 16, 3, 1, 0, 12);
  MachineSpec machine = linked_machine();
  machine.h2d.bandwidth = {1e8};  // guesses wait
  const std::vector<Override> set = {{"policy.cache.capacity", "50%"},
                                     {"policy.lookahead.kind", "given-recall"},
                                     {"policy.lookahead.recall", "0.5"},
                                     {"policy.transfer.queue", "demand-first"}};
  const PolicySpec policy = load_policy("on-demand-cache", set);
  const SimulationResult two =
      run(model, machine, policy, source, {.parallel = {.tensor = 2}, .recorded_steps = 100});
  const auto starts = [&](const char* link) {
    const StreamId stream = two.topology.platform.stream_named(link).value();
    std::vector<Picoseconds> all;
    for (const OpId id : operations(two, OpKind::fetch))
      if (two.schedule.operation(id).stream == stream)
        all.push_back(two.timeline.start[static_cast<std::size_t>(id)]);
    return all;
  };
  const std::vector<Picoseconds> first = starts("h2d");
  EXPECT_EQ(first, starts("gpu1.h2d"));
  EXPECT_FALSE(std::is_sorted(first.begin(), first.end())) << "nothing overtook";
}

// Whole experts: together they hit and miss what is activated, and copy no byte twice.
TEST(SeveralGpus, SpreadExpertsAreCountedOnce) {
  const ModelSpec model = test::tiny_model(3, 16, 3);
  for (const ExpertSpread spread : {ExpertSpread::contiguous, ExpertSpread::round_robin}) {
    ListSource source = test::random_source(5, 3, 16, 3, 2, 4, 10);
    ParallelSpec spec = whole_experts(4);
    spec.spread = spread;
    const SimulationResult alone = run(model, linked_machine(), load_policy("on-demand"), source);
    const SimulationResult four =
        run(model, linked_machine(), load_policy("on-demand"), source, {.parallel = spec});
    EXPECT_EQ(four.decode_cache.misses, alone.decode_cache.misses);
    EXPECT_EQ(four.tally.fetched, alone.tally.fetched);
    std::int64_t routed = 0;
    for (const GpuShare& gpu : four.gpus) routed += gpu.routed;
    EXPECT_EQ(routed, source.info().routed_entries);
    EXPECT_EQ(four.memory.host, alone.memory.host);
  }
}

// As a table of homes says, layer by layer, where GPUs may have different numbers of experts.
TEST(SeveralGpus, ExpertsLieWhereATableSays) {
  const ModelSpec model = test::tiny_model(2, 4, 2);
  ListSource source(test::decoder_info(2, 4, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3}, true);
  ParallelSpec spec = whole_experts(2);
  const auto routed = [&](std::vector<std::uint8_t> homes) {
    spec.homes = std::make_shared<const ExpertHomes>(ExpertHomes{2, std::move(homes), {}});
    const SimulationResult result =
        run(model, linked_machine(), load_policy("on-demand"), source, {.parallel = spec});
    EXPECT_EQ(result.gpus[0].routed + result.gpus[1].routed, 4);
    return result.gpus[0].routed;
  };
  EXPECT_EQ(routed({0, 0, 1, 1, 0, 0, 1, 1}), 2);
  EXPECT_EQ(routed({0, 0, 1, 1, 1, 1, 0, 0}), 4);
  EXPECT_EQ(routed({1, 1, 0, 0, 1, 0, 1, 1}), 0);
  EXPECT_THROW(routed({0, 0, 1, 1, 1, 1, 1, 1}), InputError);
}

class GroupEngines : public testing::TestWithParam<std::tuple<std::string, int>> {};

// The times computed at issue, those of the event queue, and those of the exported schedule.
TEST_P(GroupEngines, Agree) {
  const auto& [name, shape] = GetParam();
  const ParallelSpec& spec = spreads.at(static_cast<std::size_t>(shape));
  const ModelSpec model = test::tiny_model(4, 16, 3);
  PolicySpec policy = load_policy(name);
  if (policy.cache.capacity.kind != CapacityKind::none) policy.cache.capacity = parse_capacity("50%", "test");
  ListSource source = test::random_source(9, 4, 16, 3, 2, 6, 15);
  const SimulationResult timed =
      run(model, linked_machine(), policy, source, {.engine = Engine::timed, .parallel = spec});
  const SimulationResult event =
      run(model, linked_machine(), policy, source, {.engine = Engine::event, .parallel = spec});
  ASSERT_FALSE(timed.out_of_memory) << timed.out_of_memory_reason;
  // Several operations may end last.
  test::expect_same_figures(timed, event);
  const SimulationResult recorded =
      run(model, linked_machine(), policy, source, {.parallel = spec, .recorded_steps = 1000});
  if (name == "gpu-only") {
    // One GPU stands for those that do alike, and here all are drawn: the same times.
    EXPECT_EQ(timed.total, recorded.total);
    EXPECT_EQ(timed.path.finish, recorded.path.finish);
    EXPECT_TRUE(timed.path.spent == recorded.path.spent);
    EXPECT_EQ(timed.decode_cache.hits, recorded.decode_cache.hits);
    EXPECT_LE(timed.tally.operations, recorded.tally.operations);
    for (std::size_t gpu = 0; gpu < timed.gpus.size(); ++gpu)
      EXPECT_EQ(timed.gpus[gpu].routed, recorded.gpus[gpu].routed);
  } else {
    test::expect_same_figures(timed, recorded);
  }
  const Timeline again = sim::run(recorded.schedule);
  EXPECT_EQ(again.start, recorded.timeline.start);
  EXPECT_EQ(again.finish, recorded.timeline.finish);
  EXPECT_EQ(timed.path.spent.total() + timed.path.gpu_arithmetic(), timed.path.finish);
}

INSTANTIATE_TEST_SUITE_P(All, GroupEngines,
                         testing::Combine(testing::Values("gpu-only", "on-demand", "on-demand-cache",
                                                          "pre-gated-cache", "prefetch-all"),
                                          testing::Range(0, static_cast<int>(spreads.size()))));

TEST(Parallel, FlagsAgreeOrAreRefused) {
  EXPECT_EQ(load_parallel({.gpus = 2}, {}).pipeline, 2);
  EXPECT_EQ(load_parallel({.tensor = 4}, {}).gpus(), 4);
  const ParallelSpec experts = load_parallel({.gpus = 4, .expert = 4}, {});
  EXPECT_EQ(experts.tensor, 4);
  EXPECT_TRUE(experts.spreads_experts());
  EXPECT_EQ(load_parallel({.gpus = 4, .data = 4, .expert = 4}, {}).data, 4);
  EXPECT_TRUE(load_parallel({}, {}).is_one());
  EXPECT_EQ(load_parallel({}, std::vector<Override>{{"parallel.pipeline", "3"}}).gpus(), 3);
  EXPECT_THROW(load_parallel({.gpus = 4, .tensor = 2}, {}), InputError);
  EXPECT_THROW(load_parallel({.tensor = 4, .expert = 2}, {}), InputError);
  EXPECT_THROW(load_parallel({.tensor = 128, .pipeline = 4}, {}), InputError);
  EXPECT_THROW(load_parallel({}, std::vector<Override>{{"parallel.experts", "halves"}}), InputError);
  EXPECT_THROW(load_parallel({}, std::vector<Override>{{"parallel.gpus", "2"}}), InputError);
}

TEST(SeveralGpus, WhatCannotBeSpreadIsRefused) {
  ListSource source = test::random_source(1, 2, 4, 2, 1, 0, 2);
  const ModelSpec model = test::tiny_model(2, 4, 2);
  const auto attempt = [&](const ParallelSpec& spec, const char* policy) {
    return run(model, test::tiny_machine(), load_policy(policy), source, {.parallel = spec});
  };
  EXPECT_THROW(attempt({.pipeline = 3}, "on-demand"), InputError);
  EXPECT_THROW(attempt({.data = 2}, "on-demand"), InputError);
  EXPECT_THROW(attempt(whole_experts(8), "on-demand"), InputError);  // heads and experts: four each
  EXPECT_THROW(attempt(pipeline(2), "monde"), InputError);
  EXPECT_THROW(attempt(whole_experts(2), "hobbit"), InputError);
}

}  // namespace
}  // namespace pregate::sim
