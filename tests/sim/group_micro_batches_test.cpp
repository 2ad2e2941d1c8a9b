// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Passes cut into micro-batches on several GPUs.
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/parallel/rank.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "tests/models/error_of.hpp"
#include "tests/sim/group_runs.hpp"
#include "tests/sim/timed_operations.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using trace::Phase;

/// Guesses that turn out wrong are not copied, if they have not begun: who asks for that asks for the time.
const Set takes_back = {{"cache.capacity", "25%"},
                        {"lookahead.kind", "given-recall"},
                        {"lookahead.recall", "0.6"},
                        {"prefetch.wrong", "cancel"}};

/// A host that waits for all copies.
const Override waits = {"compute.synchronized", "micro-batch"};

const std::vector<Variant> cut_systems = {
    {"prefetch-all", {waits}},
    {"pre-gated-cache", {{"cache.capacity", "25%"}, waits}},
    {"gpu-only", {}},
    {"on-demand", {}},
    {"on-demand", {{"compute.experts", "per-expert"}}},
    {"on-demand-cache", {{"cache.capacity", "25%"}}},
    {"pre-gated-cache", {{"cache.capacity", "25%"}}},
    {"prefetch-all", {}},
    {"on-demand-cache",
     {{"cache.capacity", "25%"}, {"lookahead.kind", "given-recall"}, {"lookahead.recall", "0.6"}}},
    {"on-demand-cache", takes_back}};

TEST(GroupMicroBatches, OneGpuAsAGroupIsOneGpu) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(3, 4, 16, 3, 10, 7, 12);
  const auto batches = trace::compose_batches(source, 5);
  for (const Variant& variant : cut_systems) {
    const PolicySpec cut = policy(joined(variant.set, {cut_into(3)}), variant.of);
    for (const Engine engine : {Engine::timed, Engine::event}) {
      SimulationOptions options{.engine = engine};
      const SimulationResult alone = run(model, with_host_memory(1e12), cut, *batches, options);
      options.parallel.even_for_one = true;
      test::expect_same_run(alone, run(model, with_host_memory(1e12), cut, *batches, options));
    }
  }
}

// Four sequences in two parts, all experts there: attention, its sum and the gate of each part, then the
// experts of each and the sum of each; the logits are gathered once. A GPU computes two experts a part and
// layer of its four.
TEST(GroupMicroBatches, ABalancedPairIsItsClosedForm) {
  const int layers = 3, steps = 4, sequences = 4;
  const ModelSpec model = test::tiny_model(layers, 8, 2);
  ListSource source(test::decoder_info(layers, 8, 2));
  std::vector<std::uint16_t> ids;
  const std::vector<std::uint16_t> of_layer = {0, 4, 1, 5, 2, 6, 3, 7};
  for (int layer = 0; layer < layers; ++layer) ids.insert(ids.end(), of_layer.begin(), of_layer.end());
  for (int step = 0; step < steps; ++step)
    source.add(Phase::decode, sequences, ids, step == 0, {}, 0, sequences);
  const PolicySpec cut = policy({cut_into(2)}, "gpu-only");
  const ParallelSpec spec = whole_experts(2);
  const MachineSpec machine = with_host_memory(1e12);
  CostModel costs(priced_model(model, spec), with_gpus(machine, 2), cut, {});
  const auto exchanged = [&](Exchange exchange, std::int64_t bytes) {
    return costs.exchange({.exchange = exchange, .gpus = 2, .bytes = Bytes{bytes}});
  };
  Picoseconds expected;
  for (int step = 0; step < steps; ++step) {
    costs.begin_step({.tokens = sequences, .sequences = sequences, .position = step});
    expected += costs.step_overhead().whole() + exchanged(Exchange::all_gather, 100 * 4 * sequences);
    costs.begin_step({.tokens = 2, .sequences = 2, .position = step});
    const int layer_class = costs.layer_class(0, 0);
    const LayerCost& layer = costs.layer(layer_class);
    const std::vector<std::uint32_t> each{1, 1};
    const Picoseconds part = layer.attention.whole() + layer.gate.whole() +
                             costs.experts(layer_class, each, 2, 2, true).whole() +
                             exchanged(Exchange::all_reduce, 2 * 64 * 4) * 2;
    expected += part * (2 * layers) + costs.head().whole() * 2;
  }
  for (const Engine engine : {Engine::timed, Engine::event})
    EXPECT_EQ(run(model, machine, cut, source, {.engine = engine, .parallel = spec}).total, expected);
}

// Two GPUs with four requests each, in two parts, whose experts are balanced: a token has one expert on
// either. Each part is attended to, chooses, and its tokens come to the experts; then the experts of each
// part, and what each gives back.
TEST(GroupMicroBatches, ABalancedPairWithRequestsOfItsOwnIsItsClosedForm) {
  const int layers = 3, steps = 4, sequences = 8;
  const ModelSpec model = test::tiny_model(layers, 8, 2);
  ListSource source(test::decoder_info(layers, 8, 2));
  std::vector<std::uint16_t> ids;
  for (int i = 0; i < layers * sequences; ++i) {
    const auto expert = static_cast<std::uint16_t>(i % 4);
    ids.insert(ids.end(), {expert, static_cast<std::uint16_t>(4 + expert)});
  }
  for (int step = 0; step < steps; ++step)
    source.add(Phase::decode, sequences, ids, step == 0, {}, 0, sequences);
  const PolicySpec cut = policy({cut_into(2)}, "gpu-only");
  const MachineSpec machine = with_host_memory(1e12);
  constexpr std::int64_t token = 64 * 4;
  for (const TokenExchange tokens : {TokenExchange::gather, TokenExchange::route}) {
    const ParallelSpec spec{.data = 2, .experts = ExpertShare::whole, .tokens = tokens};
    CostModel costs(priced_model(model, spec), with_gpus(machine, 2), cut, {});
    const auto exchanged = [&](Exchange exchange, std::int64_t bytes) {
      return costs.exchange({.exchange = exchange, .gpus = 2, .bytes = Bytes{bytes}});
    };
    // Of four tokens a part, two each; routed, each sends its own to one expert of the other.
    const Picoseconds of_part =
        tokens == TokenExchange::gather
            ? exchanged(Exchange::all_gather, 4 * token) + exchanged(Exchange::reduce_scatter, 4 * token)
            : exchanged(Exchange::all_to_all, 8 * 4) + exchanged(Exchange::all_to_all, 2 * token) * 2;
    Picoseconds expected;
    for (int step = 0; step < steps; ++step) {
      costs.begin_step({.tokens = 4, .sequences = 4, .position = step});
      expected += costs.step_overhead().whole();
      costs.begin_step({.tokens = 2, .sequences = 2, .position = step});
      const int layer_class = costs.layer_class(0, 0);
      const LayerCost& layer = costs.layer(layer_class);
      const std::vector<std::uint32_t> each{1, 1, 1, 1};
      const Picoseconds part = layer.attention.whole() + layer.gate.whole() +
                               costs.experts(layer_class, each, 4, 2, true).whole() + of_part;
      expected += part * (2 * layers) + costs.head().whole() * 2;
    }
    for (const Engine engine : {Engine::timed, Engine::event})
      EXPECT_EQ(run(model, machine, cut, source, {.engine = engine, .parallel = spec}).total, expected);
  }
}

// A request a group is one part, however many are asked for.
TEST(GroupMicroBatches, OneRequestAGroupIsNotCut) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(3, 4, 16, 3, 6, 7, 12);
  const auto batches = trace::compose_batches(source, 2);
  const ParallelSpec spec{.data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::route};
  const auto with = [&](int parts) {
    return run(model, with_host_memory(1e12), policy({cut_into(parts)}, "on-demand"), *batches,
               {.parallel = spec});
  };
  test::expect_same_run(with(1), with(3));
}

class GroupMicroBatchEngines : public testing::TestWithParam<int> {};

// The times computed at issue, those of the event queue, and those of the exported schedule; and which
// experts each GPU needs, has and copies does not depend on how a pass is cut.
TEST_P(GroupMicroBatchEngines, Agree) {
  const ParallelSpec specs[] = {
      {.pipeline = 2},
      {.pipeline = 2, .batches = 2},
      {.tensor = 2},
      {.tensor = 4, .experts = ExpertShare::whole},
      {.pipeline = 2, .tensor = 2, .experts = ExpertShare::whole},
      {.data = 2, .experts = ExpertShare::whole},
      {.data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::follow},
      {.tensor = 2, .data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::route},
      {.pipeline = 2, .data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::route}};
  const ParallelSpec& spec = specs[GetParam()];
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(3, 4, 16, 3, 10, 7, 12);
  const auto batches = trace::compose_batches(source, 5);
  for (const Variant& variant : cut_systems) {
    SCOPED_TRACE(variant.of);
    const bool asks_time = variant.set.size() == takes_back.size();
    if (asks_time && spec.batches > 1) continue;  // refused
    const PolicySpec cut = policy(joined(variant.set, {cut_into(3)}), variant.of);
    const auto with = [&](const PolicySpec& policy, SimulationOptions options) {
      options.parallel = spec;
      return run(model, with_host_memory(1e12), policy, *batches, options);
    };
    // Copies to several GPUs that may be taken back are left to events.
    const SimulationResult timed = with(cut, {.engine = asks_time ? Engine::automatic : Engine::timed}),
                           recorded = with(cut, {.recorded_steps = 1000});
    ASSERT_FALSE(timed.out_of_memory) << timed.out_of_memory_reason;
    test::expect_same_figures(timed, with(cut, {.engine = Engine::event}));
    test::expect_same_figures(timed, recorded);
    expect_replayed(recorded);
    EXPECT_EQ(timed.path.spent.total() + timed.path.gpu_arithmetic(), timed.path.finish);
    const SimulationResult whole = with(policy(variant.set, variant.of), {});
    EXPECT_EQ(timed.decode_cache.hits, whole.decode_cache.hits);
    EXPECT_EQ(timed.decode_cache.misses, whole.decode_cache.misses);
    if (variant.set.size() < 3) {
      EXPECT_EQ(timed.tally.fetched, whole.tally.fetched);
    }
    for (std::size_t gpu = 0; gpu < timed.gpus.size(); ++gpu)
      EXPECT_EQ(timed.gpus[gpu].routed, whole.gpus[gpu].routed);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GroupMicroBatchEngines, testing::Range(0, 9));

TEST(GroupMicroBatches, WhatIsNotSimulatedIsRefused) {
  const ModelSpec model = test::tiny_model(2, 4, 2);
  ListSource source = test::random_source(1, 2, 4, 2, 1, 0, 2);
  MachineSpec machine = with_host_memory(1e12);
  const auto refused = [&](const ParallelSpec& spec) {
    return test::error_of(
        [&] { run(model, machine, policy({cut_into(2)}, "gpu-only"), source, {.parallel = spec}); });
  };
  EXPECT_NE(refused({.tensor = 2, .experts = ExpertShare::whole, .redundant = 2}).find("stays there"),
            std::string::npos);
  machine.others = {with_host_memory(1e12)};
  EXPECT_NE(refused({.pipeline = 2}).find("its GPUs differ"), std::string::npos);
}

}  // namespace
}  // namespace pregate::sim
