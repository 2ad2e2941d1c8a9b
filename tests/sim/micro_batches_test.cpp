// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "models/error.hpp"
#include "sim/engine/event_engine.hpp"
#include "sim/schedule/analysis.hpp"
#include "sim/serve/micro_batches.hpp"
#include "tests/sim/lookahead_runs.hpp"
#include "tests/sim/served.hpp"
#include "tests/sim/timed_operations.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

Override cut_into(int parts) { return {"compute.micro_batches", std::to_string(parts)}; }

/// One decode step of as many sequences as `ids` has tokens.
test::ListSource one_step(int layers, int experts, int top_k, const std::vector<std::uint16_t>& ids,
                          int sequences) {
  test::ListSource source(test::decoder_info(layers, experts, top_k));
  source.add(trace::Phase::decode, sequences, ids, true, {}, 0, sequences);
  return source;
}

// Sequences of a pass whose experts overlap: what part 1 needs is copied as soon as its ids are known, which
// hides behind the attention of part 2; what only part 2 needs, behind both; an expert of both is copied
// once.
TEST(MicroBatches, AnExpertIsCopiedWhenTheFirstPartThatNeedsItIsKnownToAndServesAll) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  test::ListSource source = one_step(1, 8, 2, {0, 1, 0, 2, 1, 3, 2, 3}, 4);
  for (const double rate : {1e9, 1e8, 1e12}) {
    MachineSpec machine = test::tiny_machine();
    machine.h2d.bandwidth = {rate};
    const SimulationResult run = recorded(model, policy({cut_into(2)}), source, machine);
    const Timed attention = times_of(run, OpKind::attention), gate = times_of(run, OpKind::gate),
                ids = times_of(run, OpKind::gate_readback), copy = times_of(run, OpKind::fetch),
                experts = times_of(run, OpKind::experts);
    ASSERT_EQ(attention.start.size(), 2U);
    ASSERT_EQ(copy.start.size(), 4U);
    ASSERT_EQ(experts.start.size(), 2U);
    EXPECT_EQ(gate.start[0], attention.finish[0]);
    EXPECT_EQ(attention.start[1], gate.finish[0]);  // it waits for no ids
    EXPECT_EQ(ids.start[0], gate.finish[0]);
    EXPECT_EQ(copy.start[0], ids.finish[0]);  // experts 0, 1, 2: of part 1
    EXPECT_EQ(copy.start[1], copy.finish[0]);
    EXPECT_EQ(copy.start[2], copy.finish[1]);
    EXPECT_EQ(copy.start[3], std::max(copy.finish[2], ids.finish[1]));  // expert 3: of part 2 alone
    EXPECT_EQ(experts.start[0], std::max({copy.finish[2], gate.finish[1], ids.finish[1]}));
    EXPECT_EQ(experts.start[1], std::max(experts.finish[0], copy.finish[3]));
    EXPECT_EQ(run.decode_cache.misses, 4);
  }
}

// Two groups of GPUs with requests of their own: seven sequences are four and three, two parts of two of the
// first group's; the others are dealt with them, as they come.
TEST(MicroBatches, PartsAreOfTheSequencesOfAGroup) {
  test::ListSource source = one_step(1, 8, 1, {0, 1, 2, 3, 4, 5, 6}, 7);
  trace::Step step;
  ASSERT_TRUE(source.next(step));
  const Row row{.sequences = 7, .tokens = 7};
  const ServedPass pass{.step = step, .rows = {&row, 1}, .begin = {}};
  const ExpertMap map(source.info());
  for (const auto& [groups, parts, tokens] :
       {std::tuple{1, 2, std::vector{3, 4}}, {2, 2, {4, 3}}, {2, 3, {2, 2, 3}}, {4, 8, {4, 3}}, {8, 2, {}}}) {
    MicroBatches cut(map, parts, groups);
    cut.cut(pass, step, shape_of(pass.rows, 0));
    ASSERT_EQ(cut.shapes().size(), tokens.size());
    int first = 0;
    for (std::size_t part = 0; part < tokens.size(); ++part) {
      EXPECT_EQ(cut.shapes()[part].sequences, tokens[part]);
      EXPECT_EQ(cut.shapes()[part].tokens, tokens[part]);
      const std::span<const ExpertKey> activated = cut.routings()[part].activated(0);
      ASSERT_EQ(static_cast<int>(activated.size()), tokens[part]);
      EXPECT_EQ(static_cast<int>(activated.front()), first);
      first += tokens[part];
    }
  }
}

// A part costs what a pass of its sequences alone costs.
TEST(MicroBatches, APartCostsWhatAPassOfItsSequencesCosts) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  const MachineSpec machine = test::slow_memory();
  test::ListSource both = one_step(1, 8, 2, {0, 1, 0, 2, 1, 3, 2, 3, 4, 5}, 5);
  test::ListSource first = one_step(1, 8, 2, {0, 1, 0, 2}, 2);
  test::ListSource second = one_step(1, 8, 2, {1, 3, 2, 3, 4, 5}, 3);
  const SimulationResult cut = recorded(model, policy({cut_into(2)}), both, machine);
  std::size_t part = 0;
  for (test::ListSource* alone : {&first, &second}) {
    const SimulationResult own = recorded(model, policy({}), *alone, machine);
    for (const OpKind kind : {OpKind::attention, OpKind::gate, OpKind::experts, OpKind::head}) {
      const Timed in_cut = times_of(cut, kind), of_own = times_of(own, kind);
      EXPECT_EQ(in_cut.finish[part] - in_cut.start[part], of_own.finish[0] - of_own.start[0])
          << to_string(kind) << " of part " << part;
    }
    ++part;
  }
}

// Layers of load 28, a part of 6 (4 of attention, 2 of experts): T = max(load, n (t_attention + t_experts)) a
// layer, so that a batch takes 28, 6 and 6 in parts of 1, 5 and 10 (MoE-Lightning, arXiv 2411.11217,
// section 4). Layers end every T: the next one's attention has not begun at T - 1 and has at T.
TEST(MicroBatches, ALayerTakesTheLongerOfItsLoadAndThePartsWork) {
  const ModelSpec model = test::tiny_model(12, 4, 1);
  MachineSpec machine = copies_take(Picoseconds{7 * us});  // four experts
  machine.gpu.memory_bandwidth = {1e21};
  for (auto& [precision, rate] : machine.gpu.rates) rate = {1e24};
  machine.overhead.step = machine.overhead.gate = machine.overhead.gate_readback = {};
  machine.overhead.attention = Picoseconds{4 * us};
  machine.overhead.experts = Picoseconds{2 * us};
  for (const auto& [parts, expected] : {std::pair{1, 28}, {5, 30}, {10, 60}}) {
    std::vector<std::uint16_t> ids;
    for (int layer = 0; layer < 12; ++layer)
      for (int sequence = 0; sequence < parts; ++sequence)
        ids.push_back(static_cast<std::uint16_t>(sequence % 4));
    test::ListSource source = one_step(12, 4, 1, ids, parts);
    const SimulationResult run = recorded(model, policy({cut_into(parts)}, "prefetch-all"), source, machine);
    const Timed attention = times_of(run, OpKind::attention);
    const auto every = static_cast<std::size_t>(parts);
    ASSERT_EQ(attention.start.size(), 12 * every);
    const Picoseconds period{expected * us};
    for (std::size_t layer = 4; layer < 12; ++layer) {
      const Picoseconds before = attention.start[(layer - 1) * every], at = attention.start[layer * every];
      EXPECT_GT(at, before + period - Picoseconds{1}) << "parts " << parts << ", layer " << layer;
      EXPECT_LE(at, before + period) << "parts " << parts << ", layer " << layer;
    }
  }
}

// Which experts a layer needs, has and copies does not depend on how the pass is cut.
TEST(MicroBatches, HitsAndCopiesAreThoseOfTheWholePass) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(3, 4, 16, 3, 10, 7, 12);
  const auto batches = trace::compose_batches(source, 5);
  for (const char* name : {"on-demand", "on-demand-cache", "pre-gated-cache", "prefetch-all"}) {
    const SimulationResult whole = test::run(model, test::tiny_machine(), policy({}, name), *batches),
                           cut =
                               test::run(model, test::tiny_machine(), policy({cut_into(3)}, name), *batches);
    EXPECT_EQ(whole.decode_cache.hits, cut.decode_cache.hits) << name;
    EXPECT_EQ(whole.decode_cache.misses, cut.decode_cache.misses) << name;
    EXPECT_EQ(whole.other_cache.misses, cut.other_cache.misses) << name;
    EXPECT_EQ(whole.tally.fetched, cut.tally.fetched) << name;
    EXPECT_EQ(whole.output_tokens, cut.output_tokens) << name;
  }
}

// One sequence cannot be cut: every figure is that of a run without.
TEST(MicroBatches, OneSequenceIsOnePart) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(4, 4, 16, 3, 3, 6, 12);
  for (const char* name : {"on-demand-cache", "pre-gated-cache", "prefetch-all"}) {
    const SimulationResult whole = test::run(model, test::tiny_machine(), policy({}, name), source),
                           cut = test::run(model, test::tiny_machine(), policy({cut_into(4)}, name), source);
    test::expect_same_figures(whole, cut);
  }
}

// Experts one by one for all parts: those of the cache before those that are copied, which follow in the
// order of their copies although the gates named them first (Klotski).
TEST(MicroBatches, WhoIsThereIsComputedFirst) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  test::ListSource source(test::decoder_info(1, 8, 2));
  source.add(trace::Phase::decode, 2, {2, 3, 2, 3}, true, {}, 0, 2);
  source.add(trace::Phase::decode, 2, {1, 2, 0, 3}, false, {}, 0, 2);
  MachineSpec machine = test::tiny_machine();
  machine.h2d.bandwidth = {1e8};
  const SimulationResult run =
      recorded(model,
               policy({{"cache.capacity", "4 slots"}, {"compute.experts", "per-expert"}, cut_into(2)},
                      "on-demand-cache"),
               source, machine);
  const Timed experts = times_of(run, OpKind::experts), copy = times_of(run, OpKind::fetch),
              ids = times_of(run, OpKind::gate_readback);
  ASSERT_EQ(experts.start.size(), 6U);
  ASSERT_EQ(copy.start.size(), 4U);
  EXPECT_EQ(run.decode_cache.hits, 2);
  EXPECT_EQ(experts.start[2], ids.finish[3]);
  EXPECT_EQ(experts.start[3], experts.finish[2]);
  EXPECT_EQ(experts.start[4], copy.finish[2]);
  EXPECT_EQ(experts.start[5], copy.finish[3]);
}

// Times computed at issue, those of the event queue, and the event queue run once more on the exported
// schedule, with parts that need the clock, copies that overtake, are cut or taken back, and layers in waves.
TEST(MicroBatches, EnginesAndTheExportedScheduleAgree) {
  const ModelSpec model = test::tiny_model(5, 16, 3);
  const Set guesses = {{"lookahead.kind", "given-recall"}, {"lookahead.recall", "0.6"}};
  const std::vector<Variant> variants = {
      {"on-demand", {}},
      {"on-demand-cache", {{"cache.capacity", "25%"}}},
      {"prefetch-all", {}},
      {"prefetch-all-cache", {{"cache.capacity", "40%"}}},
      {"pre-gated", {}},
      {"pre-gated-cache", {{"cache.capacity", "25%"}, {"transfer.chunk", "40 kB"}}},
      {"on-demand", joined(guesses, {{"transfer.queue", "demand-first"}})},
      {"on-demand-cache",
       joined(guesses,
              {{"cache.capacity", "25%"}, {"transfer.queue", "demand-first"}, {"prefetch.wrong", "cancel"}})},
      {"on-demand", joined(guesses, {{"lookahead.cost", "20 us"}})},
      {"on-demand", {{"compute.experts", "per-expert"}}},
      {"pre-gated-cache", {{"cache.capacity", "25%"}, {"transfer.write_back", "swap"}}},
      {"gpu-only", {}}};
  for (const Variant& variant : variants) {
    for (const int parts : {2, 3}) {
      for (const double rate : {2e8, 2e9, 1e11}) {
        test::ListSource source = test::random_source(6, 5, 16, 3, 10, 6, 5);
        const auto batches = trace::compose_batches(source, 5);
        MachineSpec machine = test::tiny_machine();
        machine.h2d.bandwidth = {rate};
        machine.gpu.memory_bandwidth = {4e9};
        const PolicySpec cut = policy(joined(variant.set, {cut_into(parts)}), variant.of);
        SCOPED_TRACE(variant.of + ", " + std::to_string(parts) + ", " + std::to_string(rate) +
                     (variant.set.empty() ? "" : ", " + variant.set.back().path));
        const SimulationResult timed = test::run(model, machine, cut, *batches, {.engine = Engine::timed});
        const SimulationResult event =
            test::run(model, machine, cut, *batches, {.engine = Engine::event, .recorded_steps = 1'000'000});
        test::expect_same_run(timed, event);
        EXPECT_TRUE(is_acyclic(event.schedule));
        expect_replayed(event);
        if (rate > 1e9) continue;
        const Schedule parsed = parse_schedule_json(to_json(event.schedule, &event.timeline), "test");
        EXPECT_TRUE(parsed == event.schedule);
      }
    }
  }
}

// Requests that come and go: parts are cut of whoever is in the pass, prompts beside the others.
TEST(MicroBatches, AreCutOfWhoIsServed) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(8, 4, 16, 3, 9, 6, 10);
  const ServingSpec serving = test::continuous({{"max_batch", "4"}});
  const PolicySpec cut = policy({{"cache.capacity", "25%"}, cut_into(3)}, "on-demand-cache");
  const SimulationResult timed =
      test::run(model, test::tiny_machine(), cut, source, {.engine = Engine::timed, .serving = serving});
  const SimulationResult event =
      test::run(model, test::tiny_machine(), cut, source, {.engine = Engine::event, .serving = serving});
  test::expect_same_run(timed, event);
  EXPECT_EQ(timed.output_tokens, 90);
}

// Sequences in order, the larger part last; of each layer the tokens of its own sequences, and no others.
TEST(MicroBatches, ArePartsOfConsecutiveSequences) {
  const ExpertMap map(test::decoder_info(2, 8, 1));
  const std::vector<std::uint16_t> ids = {0, 1, 2, 3, 3, 7, 6, 5, 4, 4};
  trace::Step step;
  step.sequences = step.tokens = 5;
  step.experts = ids;
  const std::vector<Row> rows = {{.request = 0, .tokens = 1, .position = 10},
                                 {.request = 1, .sequences = 3, .tokens = 3, .position = 20},
                                 {.request = 4, .tokens = 1, .position = 40}};
  const ServedPass pass{.step = step, .rows = rows, .begin = {}, .own_costs = true};
  MicroBatches cut(map, 2);
  cut.cut(pass, step, shape_of(rows, 0));
  ASSERT_EQ(cut.shapes().size(), 2U);
  EXPECT_EQ(cut.shapes()[0].tokens, 2);
  EXPECT_EQ(cut.shapes()[0].position, 15);
  EXPECT_EQ(cut.shapes()[1].tokens, 3);
  EXPECT_EQ(cut.shapes()[1].alike.size(), 2U);
  const auto sets = [&](std::size_t part, int layer) {
    const auto keys = cut.routings()[part].activated(layer);
    return std::vector<ExpertKey>(keys.begin(), keys.end());
  };
  EXPECT_EQ(sets(0, 0), (std::vector<ExpertKey>{0, 1}));
  EXPECT_EQ(sets(1, 0), (std::vector<ExpertKey>{2, 3}));
  EXPECT_EQ(sets(0, 1), (std::vector<ExpertKey>{15, 14}));
  EXPECT_EQ(sets(1, 1), (std::vector<ExpertKey>{13, 12}));
  EXPECT_EQ(cut.routings()[1].tokens(1)[1], 2U);
}

TEST(MicroBatches, AreRefusedWhereTheyAreNotDone) {
  EXPECT_THROW(policy({cut_into(2), {"miss.service", "compute-on-cpu"}}), InputError);
  EXPECT_THROW(policy({cut_into(2), {"transfer.staging_copies", "1"}}), InputError);
  EXPECT_THROW(policy({cut_into(2), {"formats.low", "q4_k"}}), InputError);
  EXPECT_THROW(policy({cut_into(2), {"transfer.announced", "one-layer"}}, "pre-gated"), InputError);
  EXPECT_THROW(policy({cut_into(0)}), InputError);
}

}  // namespace
}  // namespace pregate::sim
