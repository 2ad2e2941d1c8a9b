// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Many GPUs of several hosts, of which the slowest stand for all; static gating; experts with copies and
// experts that are placed anew.
#include <gtest/gtest.h>

#include <numeric>

#include "models/error.hpp"
#include "sim/parallel/rank.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "tests/sim/recorded_run.hpp"
#include "tests/sim/served.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using trace::Phase;

/// 5 us and 10 GB/s between GPUs of a host.
MachineSpec large_machine(int gpus_a_host = 8, int hosts = 1) {
  MachineSpec machine = test::linked_machine();
  machine.gpu.count = gpus_a_host;
  if (hosts > 1)
    machine.network = {.hosts = hosts, .bandwidth = {2e9}, .latency = from_seconds(20e-6), .per_copy = {}};
  return machine;
}

class SlowestOfAlike : public testing::TestWithParam<int> {};

// Where every GPU is drawn and where only the slowest are: the same run.
TEST_P(SlowestOfAlike, StandForAll) {
  const ParallelSpec specs[] = {
      {.tensor = 4, .experts = ExpertShare::whole},
      {.data = 4, .experts = ExpertShare::whole, .tokens = TokenExchange::route},
      {.tensor = 2, .data = 2, .experts = ExpertShare::whole, .spread = ExpertSpread::round_robin},
      {.tensor = 4},
      {.pipeline = 2, .tensor = 2, .experts = ExpertShare::whole},
      {.data = 4, .experts = ExpertShare::whole, .redundant = 4, .rebalance_every = 3},
      {.data = 4, .experts = ExpertShare::whole, .tokens = TokenExchange::route, .capacity_factor = 1.5}};
  ParallelSpec spec = specs[GetParam()];
  const ModelSpec model = test::tiny_model(4, 16, 3);
  ListSource source = test::random_source(9, 4, 16, 3, 2, 6, 15);
  const SimulationResult all =
      run(model, large_machine(), load_policy("gpu-only"), source, {.parallel = spec, .recorded_steps = 100});
  spec.even_for_few = true;
  const SimulationResult few =
      run(model, large_machine(), load_policy("gpu-only"), source, {.parallel = spec});
  ASSERT_FALSE(few.out_of_memory);
  EXPECT_EQ(few.total, all.total);
  EXPECT_TRUE(few.path.spent == all.path.spent);
  EXPECT_EQ(few.decode_cache.hits, all.decode_cache.hits);
  EXPECT_EQ(few.memory.total(), all.memory.total());
  for (std::size_t gpu = 0; gpu < few.gpus.size(); ++gpu)
    EXPECT_EQ(few.gpus[gpu].routed, all.gpus[gpu].routed) << gpu;
}

INSTANTIATE_TEST_SUITE_P(Specs, SlowestOfAlike, testing::Range(0, 7));

/// One layer, `gpus` GPUs with a request each: token i goes to experts i and i + 1 of as many experts as
/// GPUs.
ListSource ring_of_tokens(int gpus) {
  ListSource source(test::decoder_info(1, gpus, 2));
  std::vector<std::uint16_t> ids;
  for (int token = 0; token < gpus; ++token) {
    ids.push_back(static_cast<std::uint16_t>(token));
    ids.push_back(static_cast<std::uint16_t>((token + 1) % gpus));
  }
  source.add(Phase::decode, gpus, ids, true, {}, 0, gpus);
  return source;
}

// Two hosts of 4 GPUs in closed form. Each GPU keeps a row and sends one to the next: 256 B, over links of
// 5 us and 10 GB/s, and at the end of a host over the network. Hierarchical: 3 messages within, then one
// between the hosts, which is the way down to the host, 20 us over the network and the way up.
TEST(LargeGroups, RoutedTokensOfTwoHostsInClosedForm) {
  const MachineSpec machine = large_machine(4, 2);
  ListSource source = ring_of_tokens(8);
  const ModelSpec model = test::tiny_model(1, 8, 2);
  const PolicySpec policy = load_policy("gpu-only");
  const double hop = (machine.d2h.latency + machine.d2h.per_copy + machine.h2d.latency +
                      machine.h2d.per_copy + machine.network.latency)
                         .seconds();
  const auto time = [&](double within_bytes, int messages, int hops, double network_bytes) {
    const double within = messages * 5e-6 + within_bytes / 10e9;
    const double between = hops * hop + network_bytes / 2e9;
    return std::pair(from_seconds(within), from_seconds(between));
  };
  for (const AllToAllWay way : {AllToAllWay::hierarchical, AllToAllWay::flat}) {
    ParallelSpec spec{.data = 8,
                      .experts = ExpertShare::whole,
                      .tokens = TokenExchange::route,
                      .all_to_all = way,
                      .even_for_few = true};
    const SimulationResult result = run(model, machine, policy, source, {.parallel = spec});
    CostModel costs(priced_model(model, spec), machine, policy, {});
    costs.begin_step({.tokens = 1, .position = 0});
    const LayerCost& layer = costs.layer(costs.layer_class(0, 0));
    const std::vector<std::uint32_t> two{2};
    const Picoseconds work = costs.step_overhead().whole() + layer.attention.whole() + layer.gate.whole() +
                             costs.experts(costs.layer_class(0, 0), two, 2, 1, true).whole() +
                             costs.head().whole();
    Picoseconds sizes, tokens;
    if (way == AllToAllWay::hierarchical) {
      // Sizes: 32 B by each, of which 4/7 to the other host.
      const auto [s_in, s_out] = time(32, 3, 1, std::ceil(32 * 4 * 4 / 7.0));
      const auto [t_in, t_out] = time(256, 3, 1, 256);
      sizes = s_in + s_out;
      tokens = t_in + t_out;
    } else {
      const auto [s_in, s_out] = time(std::ceil(32 * 3 / 7.0), 3, 4, std::ceil(32 * 4 * 4 / 7.0));
      const auto [t_in, t_out] = time(256, 3, 4, 256);
      sizes = std::max(s_in, s_out);
      tokens = std::max(t_in, t_out);
    }
    EXPECT_NEAR(static_cast<double>((result.total - work).count),
                static_cast<double>((sizes + tokens * 2).count), 8)
        << static_cast<int>(way);
  }
}

// What a GPU holds is its experts and its part of the rest, however many GPUs and experts there are
// elsewhere.
TEST(LargeGroups, AGpuHoldsItsOwnExpertsAlone) {
  const auto held = [](int gpus) {
    ListSource source = ring_of_tokens(gpus);
    const ParallelSpec spec{.data = gpus, .experts = ExpertShare::whole, .even_for_few = true};
    const SimulationResult result = run(test::tiny_model(1, gpus, 2), large_machine(8, std::max(1, gpus / 8)),
                                        load_policy("gpu-only"), source, {.parallel = spec});
    EXPECT_EQ(result.gpus.size(), static_cast<std::size_t>(gpus));
    EXPECT_EQ(result.memory.peak[static_cast<std::size_t>(MemoryPurpose::resident_experts)],
              test::tiny_expert);
    std::int64_t routed = 0;
    for (const GpuShare& gpu : result.gpus) routed += gpu.routed;
    EXPECT_EQ(routed, 2 * gpus);
    return result.memory.peak[static_cast<std::size_t>(MemoryPurpose::kv_cache)];
  };
  EXPECT_EQ(held(8), held(64));
  EXPECT_EQ(held(8), held(256));
}

TEST(LargeGroups, WhatIsNotSimulatedOnManyIsRefused) {
  ListSource source = ring_of_tokens(16);
  const ModelSpec model = test::tiny_model(1, 16, 2);
  const auto attempt = [&](const MachineSpec& machine, ParallelSpec spec, const char* policy) {
    spec.experts = ExpertShare::whole;
    return run(model, machine, load_policy(policy), source, {.parallel = spec});
  };
  EXPECT_NO_THROW(attempt(large_machine(8, 2), {.data = 16}, "gpu-only"));
  EXPECT_THROW(attempt(large_machine(8, 2), {.pipeline = 5, .data = 4}, "gpu-only"), InputError);
  EXPECT_THROW(attempt(large_machine(8, 1), {.data = 16}, "gpu-only"), InputError);
  EXPECT_THROW(run(model, large_machine(8, 2), load_policy("gpu-only"), source), InputError);
}

// Huang et al. (2303.06182): static gating sends E C rows for each of k, here 16 x (1.5 x 2 / 16) / 2 = 1.5,
// and computes as many, whoever is chosen. All tokens to experts 0 and 1: each GPU's two tokens find one room
// at each of them (1.5 x 2 x 2 / 16, rounded up), so a half is dropped.
TEST(StaticGating, SendsAndComputesRoomsAndDropsTheRest) {
  const ModelSpec model = test::tiny_model(1, 16, 2);
  const auto with = [&](bool is_uniform, double factor) {
    ListSource source(test::decoder_info(1, 16, 2));
    std::vector<std::uint16_t> ids;
    for (int token = 0; token < 8; ++token) {
      ids.push_back(static_cast<std::uint16_t>(is_uniform ? 2 * token : 0));
      ids.push_back(static_cast<std::uint16_t>(is_uniform ? 2 * token + 1 : 1));
    }
    source.add(Phase::decode, 8, ids, true, {}, 0, 8);
    const ParallelSpec spec{
        .data = 4, .experts = ExpertShare::whole, .tokens = TokenExchange::route, .capacity_factor = factor};
    return run(model, large_machine(), load_policy("gpu-only"), source, {.parallel = spec});
  };
  const SimulationResult uniform = with(true, 1.5), uneven = with(false, 1.5);
  EXPECT_EQ(uniform.total, uneven.total);
  EXPECT_EQ(uniform.dropped_routes, 0);
  EXPECT_EQ(uneven.dropped_routes, 8);
  // 4 GPUs with room for one row at each of 16 experts.
  EXPECT_EQ(uniform.gpus[0].routed, 4 * 4);
  EXPECT_EQ(with(false, 8).dropped_routes, 0);
  EXPECT_FALSE(with(false, 0).dropped_routes);
  EXPECT_LT(with(true, 1.5).total, with(true, 64).total);
}

// Of 16 experts and 4 GPUs that send 2^14 tokens each with 2 experts: rooms of 2^11 F rows, so that at F =
// 2^15 a layer would have 2^32 rows.
TEST(StaticGating, RoomsThatNoCountHoldsAreRefused) {
  const ModelSpec model = test::tiny_model(1, 16, 2);
  ListSource source(test::decoder_info(1, 16, 2));
  const int tokens = 4 << 14;
  std::vector<std::uint16_t> ids;
  for (int token = 0; token < tokens; ++token) {
    ids.push_back(0);
    ids.push_back(1);
  }
  source.add(Phase::decode, tokens, ids, true, {}, 0, tokens);
  const auto with = [&](double factor) {
    const ParallelSpec spec{
        .data = 4, .experts = ExpertShare::whole, .tokens = TokenExchange::route, .capacity_factor = factor};
    return run(model, large_machine(), load_policy("gpu-only"), source, {.parallel = spec});
  };
  const std::int64_t most = with(32767).gpus[0].routed;
  EXPECT_EQ(most, std::int64_t{32767} * 2048 * 4 * 4);
  try {
    with(32768);
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_EQ(error.where(), "parallel.capacity_factor");
  }
}

// Expert 0 gets all tokens. With a copy on the other GPU each computes a half of them.
TEST(ExpertCopies, ShareTheTokens) {
  const ModelSpec model = test::tiny_model(1, 4, 1);
  ListSource source(test::decoder_info(1, 4, 1));
  source.add(Phase::decode, 5, {0, 0, 0, 0, 0}, true, {}, 0, 5);
  ParallelSpec spec{.tensor = 2, .experts = ExpertShare::whole};
  const auto routed = [&](std::vector<ExpertCopy> copies) {
    spec.homes = std::make_shared<const ExpertHomes>(ExpertHomes{2, {0, 0, 1, 1}, std::move(copies)});
    const SimulationResult result =
        run(model, large_machine(), load_policy("gpu-only"), source, {.parallel = spec});
    return std::pair(result.gpus[0].routed, result.gpus[1].routed);
  };
  EXPECT_EQ(routed({}), std::pair(std::int64_t{5}, std::int64_t{0}));
  EXPECT_EQ(routed({{0, 1}}), std::pair(std::int64_t{3}, std::int64_t{2}));
  EXPECT_EQ(routed({{0, 1}, {0, 1}}), std::pair(std::int64_t{2}, std::int64_t{3}));
  EXPECT_THROW(run(model, large_machine(), load_policy("on-demand"), source, {.parallel = spec}), InputError);
}

// EPLB's own example of two loaded experts on one GPU. 4 experts, 2 GPUs, experts 0 and 1 get all tokens and
// are both the first GPU's. After two passes they are placed anew: 0 and 1 apart, which changes the homes of
// two experts, each a copy of 98,304 B to the other GPU, both ways at once over a link of 5 us and 10 GB/s.
TEST(Rebalancing, MovesExpertsAndTakesTheTimeOfTheirCopies) {
  const ModelSpec model = test::tiny_model(1, 4, 1);
  ListSource source(test::decoder_info(1, 4, 1));
  for (int step = 0; step < 4; ++step) source.add(Phase::decode, 4, {0, 1, 0, 1}, step == 0, {}, 0, 4);
  const auto with = [&](int every, std::int64_t steps_of_first) {
    const ParallelSpec spec{.tensor = 2, .experts = ExpertShare::whole, .rebalance_every = every};
    const SimulationResult result =
        run(model, large_machine(), load_policy("gpu-only"), source, {.parallel = spec});
    EXPECT_EQ(result.gpus[0].routed, steps_of_first);
    return result;
  };
  const SimulationResult stays = with(0, 16), moves = with(2, 8 + 4);
  ASSERT_TRUE(moves.rebalanced);
  EXPECT_EQ(moves.rebalanced->times, 1);
  EXPECT_EQ(moves.rebalanced->copies, 2);
  EXPECT_EQ(moves.rebalanced->bytes, test::tiny_expert * 2);
  EXPECT_FALSE(stays.rebalanced);
  const Picoseconds copied = from_seconds(5e-6 + static_cast<double>(test::tiny_expert.count) / 10e9);
  CostModel costs(priced_model(model, {.tensor = 2, .experts = ExpertShare::whole}),
                  with_gpus(large_machine(), 2), load_policy("gpu-only"), {});
  costs.begin_step({.tokens = 4, .sequences = 4, .position = 3});
  const auto experts = [&](const std::vector<std::uint32_t>& tokens, std::uint32_t routed) {
    return costs.experts(costs.layer_class(0, 0), tokens, routed, 4, true).whole();
  };
  const Picoseconds gained = experts({2, 2}, 4) - experts({2}, 2);
  EXPECT_NEAR(static_cast<double>((moves.total - stays.total).count),
              static_cast<double>((copied - gained * 2).count), 2);
}

}  // namespace
}  // namespace pregate::sim
