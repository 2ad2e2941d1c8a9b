// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Several passes under way in a pipeline of GPUs (parallel.batches).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "models/error.hpp"
#include "sim/engine/event_engine.hpp"
#include "sim/parallel/parallel_fields.hpp"
#include "sim/serve/prompt_chunks.hpp"
#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/recorded_run.hpp"
#include "tests/sim/served.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using testing::ElementsAre;

/// With a link between its GPUs, and a memory that carries the copies of all at once.
MachineSpec machine_of_stages() {
  MachineSpec machine = test::linked_machine();
  machine.host.memory_bandwidth = {1e12};
  return machine;
}

/// What a pass takes in each of two stages and between them, and when it ended.
struct StagesOfPass {
  Picoseconds first, between, second, end;
};

std::vector<StagesOfPass> stages_of(const SimulationResult& result) {
  const StreamId second = result.topology.platform.stream_named("gpu1.compute").value();
  const StreamId first = result.topology.platform.stream_named("compute").value();
  std::map<std::int64_t, StagesOfPass> passes;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    const Operation& operation = result.schedule.operation(static_cast<OpId>(i));
    StagesOfPass& pass = passes[operation.step];
    const Picoseconds took = result.timeline.finish[i] - result.timeline.start[i];
    (operation.stream == first    ? pass.first
     : operation.stream == second ? pass.second
                                  : pass.between) += took;
    pass.end = std::max(pass.end, result.timeline.finish[i]);
  }
  std::vector<StagesOfPass> all;
  for (const auto& [step, pass] : passes) all.push_back(pass);
  return all;
}

/// A pass begins when the first GPU is free and the one `batches` before it has ended.
void expect_closed_form(const SimulationResult& result, std::size_t batches) {
  std::vector<Picoseconds> ends;
  Picoseconds first_free, second_free;
  for (const StagesOfPass& pass : stages_of(result)) {
    const Picoseconds begin =
        std::max(first_free, ends.size() < batches ? Picoseconds{} : ends[ends.size() - batches]);
    first_free = begin + pass.first;
    second_free = std::max(first_free + pass.between, second_free) + pass.second;
    EXPECT_EQ(pass.end, second_free) << "pass " << ends.size();
    ends.push_back(second_free);
  }
  EXPECT_EQ(result.total, ends.back());
}

ServingSpec continuous_batches() { return test::continuous({{"max_batch", "6"}}); }

class ClosedForm : public testing::TestWithParam<int> {};

TEST_P(ClosedForm, OfDecodingBatches) {
  ListSource source = test::random_source(4, 4, 8, 2, 6, 0, 12);
  const SimulationResult result =
      run(test::tiny_model(4, 8, 2), machine_of_stages(), load_policy("gpu-only"), source,
          {.serving = continuous_batches(),
           .parallel = {.pipeline = 2, .layers = "3,1", .batches = GetParam()},
           .recorded_steps = 1000});
  EXPECT_EQ(result.steps, 12 * std::min(GetParam(), 6));
  expect_closed_form(result, static_cast<std::size_t>(GetParam()));
}

TEST_P(ClosedForm, OfAPromptInParts) {
  ListSource whole = test::random_source(5, 4, 8, 2, 1, 40, 0);
  const auto source = cut_prompts(whole, 7);
  const auto with = [&](int batches) {
    return run(test::tiny_model(4, 8, 2), machine_of_stages(), load_policy("gpu-only"), *source,
               {.parallel = {.pipeline = 2, .batches = batches}, .recorded_steps = 1000});
  };
  const SimulationResult result = with(GetParam());
  EXPECT_EQ(result.steps, 6);
  expect_closed_form(result, static_cast<std::size_t>(GetParam()));
  if (GetParam() > 1) {
    EXPECT_LT(result.ttft_ms, with(1).ttft_ms);
  }
}

INSTANTIATE_TEST_SUITE_P(Batches, ClosedForm, testing::Values(1, 2, 3, 8));

/// Who runs in each pass: requests and how many tokens each had before.
std::vector<std::string> passes_of(trace::StepSource& source, const ServingSpec& serving, int batches) {
  const auto batcher = serving.make(source, {}, batches);
  std::vector<std::string> passes;
  ServedPass pass;
  while (true) {
    const int beside = batcher->may_run_beside();
    EXPECT_LT(beside, batches);
    if (!batcher->next({}, pass)) return passes;
    if (pass.rows.empty()) continue;
    std::string text = std::to_string(beside) + ":";
    for (const Row& row : pass.rows)
      text += " " + std::to_string(row.request) + "@" + std::to_string(row.position);
    passes.push_back(text);
  }
}

TEST(PipelinedBatches, TheWayToThemIsNamedWhereItIsOpen) {
  ListSource source = test::random_source(1, 4, 8, 2, 3, 4, 4);
  const auto is_named = [&](const char* policy, ParallelSpec spec) {
    const SimulationResult result =
        run(test::tiny_model(4, 8, 2), machine_of_stages(), load_policy(policy), source, {.parallel = spec});
    return std::any_of(result.notes.begin(), result.notes.end(), [](const std::string& note) {
      return note.find("--set parallel.batches=2") != std::string::npos;
    });
  };
  EXPECT_TRUE(is_named("gpu-only", {.pipeline = 2}));
  EXPECT_FALSE(is_named("gpu-only", {.pipeline = 2, .batches = 2}));
  EXPECT_FALSE(is_named("experts-on-cpu", {.pipeline = 2}));
  EXPECT_FALSE(is_named("gpu-only", {.tensor = 2}));
}

// What software has is asked of nobody: a policy that does not go with it has one pass at a time, and says
// so.
TEST(PipelinedBatches, ThoseOfTheSoftwareGiveWay) {
  ListSource source = test::random_source(1, 4, 8, 2, 3, 4, 4);
  source.weigh_by_halves(2);
  const auto with = [&](const char* policy, int batches, bool usual, bool paged = false) {
    const ServingSpec serving = paged ? test::continuous({{"max_batch", "4"}, {"kv_block", "4"}})
                                      : test::continuous({{"max_batch", "4"}});
    return run(test::tiny_model(4, 8, 2), machine_of_stages(), load_policy(policy), source,
               {.serving = serving, .parallel = {.pipeline = 2, .batches = batches, .usual_batches = usual}});
  };
  const auto says = [](const SimulationResult& result) {
    for (const std::string& note : result.notes)
      if (note.find("not the software's 2: ") != std::string::npos) return note.substr(note.find(": ") + 2);
    return std::string();
  };
  const SimulationResult goes = with("gpu-only", 2, true);
  test::expect_same_figures(goes, with("gpu-only", 2, false));
  EXPECT_EQ(says(goes), "");
  const SimulationResult on_cpu = with("experts-on-cpu", 2, true);
  test::expect_same_figures(on_cpu, with("experts-on-cpu", 1, false));
  EXPECT_EQ(says(on_cpu), "the CPU computes experts");
  EXPECT_EQ(says(with("promoe", 2, true)), "it asks what time it is");
  const SimulationResult paged = with("gpu-only", 2, true, true);
  test::expect_same_figures(paged, with("gpu-only", 1, false, true));
  EXPECT_EQ(says(paged), "KV memory may run out");
  EXPECT_THROW(with("experts-on-cpu", 2, false), InputError);
}

// A token is known when its pass has ended: nothing of a request overlaps.
TEST(PipelinedBatches, DecodeStepsOfOneRequestFollowEachOther) {
  ListSource source = test::random_source(6, 4, 8, 2, 2, 5, 6);
  const auto total = [&](int batches) {
    return run(test::tiny_model(4, 8, 2), machine_of_stages(), load_policy("gpu-only"), source,
               {.parallel = {.pipeline = 2, .batches = batches}})
        .total;
  };
  EXPECT_EQ(total(4), total(1));
}

// What a request is asked next comes after what it answered.
TEST(PipelinedBatches, ALaterPromptOfARequestWaitsForItsAnswer) {
  ListSource source = test::requests_of({{4, 1}});
  source.add(trace::Phase::prefill, 4, test::two_of_four(4));
  const auto cut = cut_prompts(source, 2);
  EXPECT_THAT(passes_of(*cut, {}, 3), ElementsAre("0: 0@0", "2: 0@2", "0: 0@4", "0: 0@5", "2: 0@7"));
}

// Copies that wait behind urgent ones: whoever decides when they start must know what all passes under way
// still ask for.
TEST(PipelinedBatches, UrgentCopiesOfOtherPassesGoFirst) {
  ListSource source = test::random_source(3, 9, 16, 2, 6, 4, 10);
  for (const TransferEntry& order : built_in_parts().transfers.entries()) {
    for (const double recall : {0.0, 0.5}) {
      for (const double link : {2e8, 1e9, 4e9}) {
        PolicySpec policy = load_policy("on-demand");
        choose(policy.lookahead.predictor, built_in_parts().predictors, "given-recall");
        policy.lookahead.predictor.set("recall", std::to_string(recall));
        policy.lookahead.distance = 1;
        test::queue(policy, order.name);
        policy.cache.capacity = parse_capacity("25%", "test");
        MachineSpec machine = machine_of_stages();
        machine.h2d.bandwidth = {link};
        const auto with = [&](Engine engine) {
          return run(
              test::tiny_model(9, 16, 2), machine, policy, source,
              {.engine = engine, .serving = continuous_batches(), .parallel = {.pipeline = 3, .batches = 3}});
        };
        SCOPED_TRACE(order.name + ", " + std::to_string(recall) + ", " + std::to_string(link));
        test::expect_same_figures(with(Engine::automatic), with(Engine::event));
        if (order.order() == StreamOrder::priority) {
          EXPECT_THROW(with(Engine::timed), InputError);
        }
      }
    }
  }
}

class BatchesOnBothEngines : public testing::TestWithParam<std::tuple<std::string, int>> {};

TEST_P(BatchesOnBothEngines, Agree) {
  const auto& [name, shape] = GetParam();
  const ParallelSpec specs[] = {{.pipeline = 2, .batches = 2},
                                {.pipeline = 3, .batches = 5},
                                {.pipeline = 2, .batches = 2, .tensor = 2, .experts = ExpertShare::whole},
                                {.pipeline = 2,
                                 .batches = 3,
                                 .data = 2,
                                 .experts = ExpertShare::whole,
                                 .tokens = TokenExchange::route}};
  const ParallelSpec& spec = specs[shape];
  const ModelSpec model = test::tiny_model(4, 16, 3);
  PolicySpec policy = load_policy(name);
  if (policy.cache.capacity.kind != CapacityKind::none) policy.cache.capacity = parse_capacity("50%", "test");
  ListSource at_once = test::random_source(9, 4, 16, 3, 7, 6, 9);
  test::Arriving arriving(at_once, {0, 0, 100, 100, 2000, 9000, 900'000});
  trace::StepSource& source = shape % 2 == 0 ? static_cast<trace::StepSource&>(at_once) : arriving;
  const auto with = [&](SimulationOptions options) {
    options.parallel = spec;
    options.serving = continuous_batches();
    return run(model, machine_of_stages(), policy, source, options);
  };
  const SimulationResult timed = with({.engine = Engine::timed}), event = with({.engine = Engine::event}),
                         recorded = with({.recorded_steps = 1000});
  test::expect_same_figures(timed, event);
  EXPECT_EQ(timed.total, recorded.total);
  EXPECT_EQ(timed.path.spent.total() + timed.path.gpu_arithmetic() + timed.path.waiting, timed.path.finish);
  EXPECT_EQ(timed.idle.count > 0, shape % 2 != 0);
  if (timed.idle.count > 0) return;  // which no schedule has
  const Timeline again = sim::run(recorded.schedule);
  EXPECT_EQ(again.start, recorded.timeline.start);
  EXPECT_EQ(again.finish, recorded.timeline.finish);
}

INSTANTIATE_TEST_SUITE_P(All, BatchesOnBothEngines,
                         testing::Combine(testing::Values("gpu-only", "on-demand", "on-demand-cache",
                                                          "pre-gated-cache", "prefetch-all"),
                                          testing::Range(0, 4)));

// Dealt to the batch that has fewest; a place is free when the pass that ends a request has ended.
TEST(PipelinedBatches, RequestsAreDealtToBatchesThatHavePassesInTurn) {
  ListSource source = test::requests_of({{2, 2}, {3, 1}, {4, 3}, {5, 1}});
  EXPECT_THAT(passes_of(source, test::continuous({{"max_batch", "3"}}), 2),
              ElementsAre("0: 0@0 2@0", "1: 1@0", "1: 0@2 2@4", "1: 1@3", "1: 0@3 2@5", "1: 3@0", "1: 2@6",
                          "1: 3@5"));
  EXPECT_THAT(passes_of(source, test::continuous({{"max_batch", "1"}}), 2),
              ElementsAre("0: 0@0", "0: 0@2", "0: 0@3", "0: 1@0", "0: 1@3", "0: 2@0", "0: 2@4", "0: 2@5",
                          "0: 2@6", "0: 3@0", "0: 3@5"));
}

TEST(PipelinedBatches, WhatNeedsOnePassAtATimeIsRefused) {
  ListSource source = test::random_source(1, 4, 8, 2, 2, 4, 4);
  const auto attempt = [&](const PolicySpec& policy, const ServingSpec& serving) {
    return run(test::tiny_model(4, 8, 2), machine_of_stages(), policy, source,
               {.serving = serving, .parallel = {.pipeline = 2, .batches = 2}});
  };
  PolicySpec belady = load_policy("on-demand-cache");
  belady.cache.eviction = "belady";
  EXPECT_NO_THROW(attempt(load_policy("on-demand-cache"), continuous_batches()));
  EXPECT_THROW(attempt(belady, continuous_batches()), InputError);
  EXPECT_THROW(attempt(load_policy("experts-on-cpu"), continuous_batches()), InputError);
  EXPECT_THROW(attempt(load_policy("hybrimoe"), continuous_batches()), InputError);
  EXPECT_THROW(attempt(load_policy("gpu-only"), test::continuous({{"max_batch", "6"}, {"kv_block", "16"}})),
               InputError);
  const auto load = [](std::vector<Override> set) { return load_parallel({}, set); };
  EXPECT_EQ(load({{"parallel.pipeline", "2"}, {"parallel.batches", "3"}}).batches, 3);
  EXPECT_THROW(load({{"parallel.batches", "2"}}), InputError);
  EXPECT_THROW(load({{"parallel.pipeline", "2"}, {"parallel.batches", "65"}}), InputError);
  EXPECT_THROW(load({{"parallel.pipeline", "2"},
                     {"parallel.tensor", "2"},
                     {"parallel.experts", "whole"},
                     {"parallel.batches", "2"},
                     {"parallel.rebalance_every", "4"}}),
               InputError);
}

}  // namespace
}  // namespace pregate::sim
