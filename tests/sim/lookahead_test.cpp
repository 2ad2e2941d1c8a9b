// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using test::tiny_machine;
using test::tiny_model;
using testing::ElementsAre;
using trace::Phase;

// Probe at t-1 and t: with a copy one picosecond shorter than the window it hides fully; one longer, one is
// exposed.
TEST(PreGated, ExposesExactlyWhatExceedsTheWindow) {
  const ModelSpec model = tiny_model(3, 8, 1);
  ListSource source(test::decoder_info(3, 8, 1));
  source.add(Phase::decode, 1, {0, 1, 2}, true);
  const Durations d = durations(model, source);
  // Window of a copy issued before the experts of layer L: those, then attention, gate and read-back of L+1.
  const Picoseconds window = d.experts + d.attention + d.gate + d.readback;
  for (const std::int64_t excess : {-1, 0, 1}) {
    MachineSpec machine = tiny_machine();
    machine.h2d.latency = Picoseconds{window.count + excess};
    machine.h2d.per_copy = {};
    machine.h2d.bandwidth =
        machine.host.memory_bandwidth = {1e18};  // the bytes take one picosecond (rounded up)
    machine.h2d.latency -= time_at(test::tiny_expert, {1e18});
    const SimulationResult result = run(model, machine, load_policy("pre-gated"), source);
    const Picoseconds first = Picoseconds{window.count + excess};  // exposed: the first layer fetches its own
    EXPECT_EQ(result.tally.exposed_transfer, first + Picoseconds{std::max<std::int64_t>(0, excess)} * 2)
        << "excess " << excess;
  }
}

TEST(PreGated, IssuesTheNextLayersFetchesBeforeTheExpertsOfThisOne) {
  const ModelSpec model = tiny_model(3, 8, 2);
  ListSource source(test::decoder_info(3, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3, 4, 5}, true);
  EXPECT_THAT(names(recorded(model, load_policy("pre-gated"), source).schedule),
              ElementsAre("attention L0", "gate_readback L0", "fetch L0 E0", "fetch L0 E1", "fetch L1 E2",
                          "fetch L1 E3", "experts L0",  //
                          "attention L1", "gate_readback L1", "fetch L2 E4", "fetch L2 E5", "experts L1",
                          "attention L2", "gate_readback L2", "experts L2"));
}

TEST(PreGated, LooksSeveralLayersAhead) {
  const ModelSpec model = tiny_model(4, 8, 1);
  ListSource source(test::decoder_info(4, 8, 1));
  source.add(Phase::decode, 1, {0, 1, 2, 3}, true);
  PolicySpec policy = load_policy("pre-gated");
  policy.lookahead.distance = 2;
  const SimulationResult result = recorded(model, policy, source);
  EXPECT_THAT(names(result.schedule),
              ElementsAre("attention L0", "gate_readback L0", "fetch L0 E0", "fetch L2 E2", "experts L0",  //
                          "attention L1", "gate_readback L1", "fetch L1 E1", "fetch L3 E3", "experts L1",  //
                          "attention L2", "gate_readback L2", "experts L2", "attention L3",
                          "gate_readback L3", "experts L3"));
  EXPECT_EQ(result.buffer_slots, 3);
}

TEST(PrefetchAll, CopiesEveryExpertOnceALayer) {
  const ModelSpec model = tiny_model(3, 4, 1);
  ListSource source(test::decoder_info(3, 4, 1));
  source.add(Phase::decode, 1, {0, 1, 2}, true);
  source.add(Phase::decode, 1, {3, 3, 3});
  const SimulationResult result = run(model, tiny_machine(), load_policy("prefetch-all"), source);
  EXPECT_EQ(result.tally.fetches, 2 * 3 * 4);
  EXPECT_EQ(result.buffer_slots, 8);
  EXPECT_EQ(result.decode_cache.wasted, 2 * 3 * 3);
}

// The first N layers of a step are announced by nobody: each fetches itself whole, so every layer is copied
// once.
TEST(PrefetchAll, LooksSeveralLayersAhead) {
  const ModelSpec model = tiny_model(5, 4, 1);
  ListSource source(test::decoder_info(5, 4, 1));
  source.add(Phase::decode, 1, {0, 1, 2, 3, 0}, true);
  PolicySpec policy = load_policy("prefetch-all");
  policy.lookahead.distance = 3;
  const SimulationResult result = run(model, tiny_machine(), policy, source);
  EXPECT_EQ(result.tally.fetches, 5 * 4);
  EXPECT_EQ(result.decode_cache.wasted, 5 * 3);
}

// Nothing crosses from one decode step to the next, and a prefill is on-demand.
TEST(PreGated, EveryStepFetchesItsFirstLayerExposedAndPrefillIsOnDemand) {
  const ModelSpec model = tiny_model(2, 8, 1);
  ListSource source(test::decoder_info(2, 8, 1));
  source.add(Phase::prefill, 2, {0, 1, 2, 3}, true);
  source.add(Phase::decode, 1, {4, 5});
  source.add(Phase::decode, 1, {6, 7});
  const SimulationResult result = recorded(model, load_policy("pre-gated"), source);
  EXPECT_EQ(result.decode_cache.misses, 4);
  EXPECT_EQ(result.decode_cache.prefetched, 2);  // layer 1 of each decode step
  EXPECT_EQ(result.other_cache.prefetched, 0);
  EXPECT_EQ(result.other_cache.misses, 4);
}

TEST(Recorded, WrongGuessesAreWastedAndMissesFetchedOnDemand) {
  trace::TraceInfo info = test::decoder_info(2, 8, 2);
  info.has_predictions = true;
  info.prediction_distance = 1;
  ListSource source(info);
  source.add(Phase::decode, 1, {0, 1, 2, 3}, true, {0, 1, 2, 7});
  const ModelSpec model = tiny_model(2, 8, 2);
  PolicySpec policy = load_policy("pre-gated");
  choose(policy.lookahead.predictor, built_in_parts().predictors, "recorded");
  const SimulationResult result = recorded(model, policy, source);
  EXPECT_THAT(names(result.schedule),
              ElementsAre("attention L0", "gate_readback L0", "fetch L0 E0", "fetch L0 E1", "fetch L1 E2",
                          "fetch L1 E7", "experts L0",  //
                          "attention L1", "gate_readback L1", "fetch L1 E3", "experts L1"));
  EXPECT_EQ(result.decode_cache.wasted, 1);
  EXPECT_EQ(result.decode_cache.prefetched, 1);
}

// Asked one layer ahead: the prediction at distance 2, where there is none at 1; farther than was recorded:
// nothing. One layer's experts are announced by the layer that is `distance` before it.
TEST(Recorded, EachDistanceHasItsOwn) {
  const ExpertMap map(test::decoder_info(4, 8, 1));
  trace::TraceInfo info = test::decoder_info(4, 8, 1);
  info.has_predictions = true;
  info.prediction_distance = 2;
  info.further_distances = {3};
  const std::vector<std::uint16_t> experts = {0, 1, 2, 3};
  constexpr std::uint16_t none = trace::no_expert;
  const std::vector<std::uint16_t> predicted = {none, none, 4, 5, none, none, none, 6};
  trace::Step step;
  step.tokens = 1;
  step.experts = experts;
  step.predicted = predicted;
  StepPredictions predictions(map, info);
  predictions.load(step);
  EXPECT_THAT(predictions.predicted(1, 2), ElementsAre(2 * 8 + 4));
  EXPECT_THAT(predictions.predicted(0, 2), ElementsAre(2 * 8 + 4));
  EXPECT_THAT(predictions.predicted(1, 3), ElementsAre(3 * 8 + 5));
  EXPECT_THAT(predictions.predicted(0, 3), ElementsAre(3 * 8 + 6));
  EXPECT_THAT(predictions.predicted(-1, 3), ElementsAre());
}

// Where the trace holds what gate reuse predicted, that is announced, whatever the recall that is given; what
// something else predicted is not gate reuse.
TEST(GateReuse, ReadsWhatWasRecordedOfIt) {
  trace::TraceInfo info = test::decoder_info(2, 8, 2);
  info.has_predictions = true;
  info.prediction_distance = 1;
  info.predicted_by = "gate-reuse";
  const ModelSpec model = tiny_model(2, 8, 2);
  PolicySpec policy = load_policy("pre-gated");
  choose(policy.lookahead.predictor, built_in_parts().predictors, "gate-reuse");
  const auto run_of = [&](const char* recall) {
    ListSource source(info);
    source.add(Phase::decode, 1, {0, 1, 2, 3}, true, {0, 1, 2, 7});
    policy.lookahead.predictor.set("recall", recall);
    return recorded(model, policy, source);
  };
  const SimulationResult result = run_of("0");
  EXPECT_THAT(names(result.schedule),
              ElementsAre("attention L0", "gate_readback L0", "fetch L0 E0", "fetch L0 E1", "fetch L1 E2",
                          "fetch L1 E7", "experts L0",  //
                          "attention L1", "gate_readback L1", "fetch L1 E3", "experts L1"));
  EXPECT_EQ(run_of("1").total, result.total);
  info.predicted_by = "something";
  EXPECT_EQ(run_of("1").decode_cache.prefetched, 2);
  EXPECT_EQ(run_of("0").decode_cache.prefetched, 0);
  info.predicted_by = "gate-reuse";
  policy.lookahead.distance = 2;
  EXPECT_THROW(run_of("1"), InputError);
}

TEST(Recorded, NeedsATraceWithPredictions) {
  ListSource source(test::decoder_info(2, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3}, true);
  PolicySpec policy = load_policy("pre-gated");
  choose(policy.lookahead.predictor, built_in_parts().predictors, "recorded");
  EXPECT_THROW(run(tiny_model(2, 8, 2), tiny_machine(), policy, source), InputError);
}

// A demand fetch overtakes guesses that wait in the same queue; with one queue it does not.
TEST(DemandFirst, MissesOvertakeGuessesThatHaveNotStarted) {
  trace::TraceInfo info = test::decoder_info(3, 8, 4);
  info.has_predictions = true;
  info.prediction_distance = 2;
  ListSource source(info);
  source.add(Phase::decode, 1, {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}, true,
             {0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7});
  const ModelSpec model = tiny_model(3, 8, 4);
  PolicySpec policy = load_policy("pre-gated");
  choose(policy.lookahead.predictor, built_in_parts().predictors, "recorded");
  policy.lookahead.distance = 2;
  const SimulationResult fifo = run(model, tiny_machine(), policy, source);
  test::queue(policy, "demand-first");
  const SimulationResult demand_first = run(model, tiny_machine(), policy, source);
  EXPECT_EQ(fifo.tally.fetched, demand_first.tally.fetched);
  EXPECT_LT(demand_first.tally.exposed_transfer, fifo.tally.exposed_transfer);
}

TEST(PredictorLookahead, OfRecallOneIsPreGated) {
  const ModelSpec model = tiny_model(4, 16, 3);
  ListSource source = test::random_source(3, 4, 16, 3, 2, 7, 20);
  PolicySpec policy = load_policy("pre-gated");
  const SimulationResult exact = run(model, tiny_machine(), policy, source);
  choose(policy.lookahead.predictor, built_in_parts().predictors, "given-recall");
  const SimulationResult predicted = run(model, tiny_machine(), policy, source);
  EXPECT_EQ(predicted.total, exact.total);
  EXPECT_EQ(predicted.decode_cache.prefetched, exact.decode_cache.prefetched);
  policy.lookahead.predictor.set("recall", "0");
  const SimulationResult wrong = run(model, tiny_machine(), policy, source);
  EXPECT_EQ(wrong.decode_cache.prefetched, 0);
  EXPECT_EQ(wrong.decode_cache.wasted, exact.decode_cache.prefetched);
  EXPECT_GT(wrong.total, exact.total);
}

// As many guesses as experts; the right ones among them are the recall, within four standard deviations.
TEST(PredictorLookahead, HasTheRecallThatWasAsked) {
  const ModelSpec model = tiny_model(2, 32, 2);
  ListSource source = test::random_source(5, 2, 32, 2, 1, 0, 4000);
  PolicySpec policy = load_policy("pre-gated");
  choose(policy.lookahead.predictor, built_in_parts().predictors, "given-recall");
  for (const double recall : {0.2, 0.5, 0.9}) {
    policy.lookahead.predictor.set("recall", std::to_string(recall));
    const CacheResult result = run(model, tiny_machine(), policy, source).decode_cache;
    const auto announced = static_cast<double>(result.prefetched + result.wasted);
    EXPECT_EQ(announced, static_cast<double>(result.hits + result.misses) / 2);  // the second of two layers
    EXPECT_NEAR(static_cast<double>(result.prefetched) / announced, recall,
                4 * std::sqrt(recall * (1 - recall) / announced));
  }
}

}  // namespace
}  // namespace pregate::sim
