// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Tokens of several groups of GPUs at the experts, and their way back.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "sim/parallel/rank.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "tests/sim/group_runs.hpp"

namespace pregate::sim {
namespace {

using test::linked_machine;
using test::ListSource;
using test::run;
using trace::Phase;

// Two groups of two GPUs: a token is sent by one GPU of its group and comes back to it, and both go on with
// it. A group has two tokens, each of which has an expert on every GPU: one on its own, three elsewhere.
TEST(GroupExchanges, RoutedTokensComeBackToAllGpusOfTheirGroup) {
  const ModelSpec model = test::tiny_model(3, 8, 4);
  ListSource source(test::decoder_info(3, 8, 4));
  std::vector<std::uint16_t> ids;
  for (int i = 0; i < 3 * 2; ++i) {
    for (int token = 0; token < 2; ++token) ids.insert(ids.end(), {0, 2, 4, 6});
  }
  source.add(Phase::decode, 4, ids, true, {}, 0, 2);
  const PolicySpec policy = load_policy("gpu-only");
  const ParallelSpec spec{
      .tensor = 2, .data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::route};
  CostModel costs(priced_model(model, spec), with_gpus(linked_machine(), 4), policy, {});
  const auto exchanged = [&](Exchange exchange, std::uint16_t gpus, std::int64_t bytes) {
    return costs.exchange({.exchange = exchange, .gpus = gpus, .bytes = Bytes{bytes}});
  };
  constexpr std::int64_t token = 64 * 4;
  costs.begin_step({.tokens = 2, .sequences = 1});
  const LayerCost& layer = costs.layer(costs.layer_class(0, 0));
  const std::vector<std::uint32_t> each{4};
  const Picoseconds of_layer = layer.attention.whole() + exchanged(Exchange::all_reduce, 2, 2 * token) +
                               layer.gate.whole() + exchanged(Exchange::all_to_all, 4, 4 * 8) +
                               exchanged(Exchange::all_to_all, 4, 3 * token) * 2 +
                               costs.experts(costs.layer_class(0, 0), each, 4, 2, true).whole() +
                               exchanged(Exchange::all_gather, 2, 2 * token);
  const Picoseconds expected = costs.step_overhead().whole() + of_layer * 3 + costs.head().whole() +
                               exchanged(Exchange::all_gather, 2, 2 * 100 * 4);
  for (const Engine engine : {Engine::timed, Engine::event})
    EXPECT_EQ(run(model, linked_machine(), policy, source, {.engine = engine, .parallel = spec}).total,
              expected);
}

// What a kernel for all experts takes was measured by the tokens of a pass: those of both groups, which a
// GPU's experts get, and not those that it attended to.
TEST(GroupExchanges, ExpertsArePricedForTheTokensOfAllGroups) {
  const ModelSpec model = test::tiny_model(2, 8, 2);
  ListSource source(test::decoder_info(2, 8, 2));
  source.add(Phase::decode, 4, {0, 4, 1, 5, 0, 4, 1, 5, 0, 4, 1, 5, 0, 4, 1, 5}, true, {}, 0, 4);
  MachineSpec machine = linked_machine();
  const PolicySpec policy = load_policy("gpu-only");
  const auto total = [&](Picoseconds of_two, Picoseconds of_four, int micro_batches) {
    machine.expert_kernel_table = {{2, 2, of_two}, {4, 2, of_four}};
    PolicySpec cut = policy;
    cut.compute.micro_batches = micro_batches;
    return run(model, machine, cut, source, {.parallel = {.data = 2, .experts = ExpertShare::whole}}).total;
  };
  const Picoseconds few = from_seconds(20e-6), many = from_seconds(80e-6), more = from_seconds(90e-6);
  EXPECT_EQ(total(few, more, 1), total(few, many, 1) + (more - many) * 2);
  EXPECT_EQ(total(many, more, 1), total(few, more, 1));
  // Two parts of two tokens each, over both groups.
  EXPECT_EQ(total(many, more, 2), total(few, more, 2) + (many - few) * 4);
}

}  // namespace
}  // namespace pregate::sim
