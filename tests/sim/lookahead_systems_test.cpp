// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Predictors, prefetchers, what predictions cost and what is taken back, in runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/report/metrics.hpp"
#include "tests/sim/lookahead_runs.hpp"

namespace pregate::sim {
namespace {

const std::vector<Set>& lookaheads() {
  static const std::vector<Set> all = {
      {{"lookahead.kind", "gate-reuse"}, {"lookahead.guesses", "4"}},
      {{"lookahead.kind", "learned"}, {"lookahead.distance", "2"}},
      {{"lookahead.kind", "previous-token"}},
      {{"lookahead.kind", "table"}, {"lookahead.guesses", "4"}},
      {{"lookahead.kind", "table"}, {"lookahead.order", "2"}},
      {{"lookahead.kind", "activation-matrix"}},
      {{"lookahead.kind", "hash"}, {"lookahead.accuracy", "0.7"}},
      {{"lookahead.kind", "hash"}, {"lookahead.accuracy", "0.7"}, {"lookahead.exact", "false"}},
      {{"lookahead.kind", "window-oracle"}, {"lookahead.foresight", "3"}, {"lookahead.noise", "0.2"}},
  };
  return all;
}
const std::vector<Set>& prefetchers() {
  static const std::vector<Set> all = {
      {},
      {{"prefetch.kind", "horizons"}, {"prefetch.horizons", "3"}},
      {{"prefetch.kind", "time-budget"}},
      {{"prefetch.kind", "adaptive-horizon"}},
      {{"prefetch.kind", "first-miss"}},
      {{"prefetch.kind", "likeliest"}},
      {{"prefetch.kind", "gain"}},
      {{"prefetch.kind", "before-pass"}},
      {{"prefetch.kind", "before-pass"}, {"prefetch.window", "2"}},
  };
  return all;
}
bool goes_together(const Set& ahead, const Set& prefetch) {
  const bool before = !prefetch.empty() && prefetch.front().value == "before-pass";
  return !before || ahead.front().value == "hash" || ahead.front().value == "previous-token" ||
         ahead.front().value == "window-oracle";
}

// Executors agree to the picosecond, and every miss is one copy: what was copied in vain is counted.
TEST(LookaheadSystems, EnginesAgreeAndBytesAreConserved) {
  const ModelSpec model = test::tiny_model(5, 16, 3);
  int number = 0;
  for (const Set& ahead : lookaheads()) {
    for (const Set& prefetch : prefetchers()) {
      if (!goes_together(ahead, prefetch)) continue;
      ++number;
      Set set = joined(joined(ahead, prefetch), {{"cache.capacity", number % 2 == 0 ? "0" : "25%"},
                                                 {"cache.scope", number % 3 == 0 ? "global" : "layer"}});
      const bool cancels = number % 4 >= 2;
      if (number % 5 < 2) set.push_back({"transfer.queue", "demand-first"});
      if (number % 3 > 0) set.push_back({"lookahead.cost", "30 us"});
      if (number % 3 == 2) set.push_back({"lookahead.cost_stream", "host"});
      if (cancels) set.push_back({"prefetch.wrong", "cancel"});
      if (number % 7 == 0) set.push_back({"compute.experts", "per-expert"});
      if (number % 6 == 1) set.push_back({"transfer.announced", "one-layer"});
      if (number % 8 == 3) set.push_back({"transfer.staging_copies", "1"});
      std::string text;
      for (const Override& each : set) text += each.path + "=" + each.value + " ";
      SCOPED_TRACE(text);
      test::ListSource source = test::random_source(static_cast<unsigned>(number), 5, 16, 3, 3, 6, 25);
      MachineSpec machine = test::tiny_machine();
      machine.h2d.bandwidth = {number % 2 == 0 ? 4e9 : 6e8};
      if (number % 4 == 1) machine.overhead.step = {};
      const SimulationResult result = run_both(model, machine, policy(set), source);
      const std::int64_t misses = result.decode_cache.misses + result.other_cache.misses;
      // Of what is taken back a part may have moved: here its one copy, and not what would have staged it.
      const std::int64_t needed = misses + result.decode_cache.wasted;
      EXPECT_GE(result.tally.fetches, needed);
      EXPECT_LE(result.tally.fetches, needed + result.decode_cache.cancelled);
      EXPECT_EQ(result.tally.fetched.count, result.tally.fetches * test::tiny_expert.count);
      EXPECT_LE(result.decode_cache.right_guesses, result.decode_cache.foreseeable);
      EXPECT_LE(result.decode_cache.right_guesses, result.decode_cache.guesses);
      EXPECT_EQ(result.decode_cache.cancelled == 0 || cancels, true);
    }
  }
}

// What is taken back delays nobody, however slow the link is; where it is idle nothing changes.
TEST(LookaheadSystems, CancellingNeverLengthensARun) {
  const ModelSpec model = test::tiny_model(5, 16, 3);
  std::int64_t cancelled = 0;
  for (const char* queue : {"fifo", "demand-first"}) {
    for (const double rate : {1e8, 6e8, 2e9, 1e12}) {
      test::ListSource source = test::random_source(5, 5, 16, 3, 3, 6, 25);
      MachineSpec machine = test::tiny_machine();
      machine.h2d.bandwidth = {rate};
      const Set set = {{"lookahead.kind", "gate-reuse"},
                       {"lookahead.recall", "0.4"},
                       {"lookahead.distance", "2"},
                       {"transfer.queue", queue}};
      const SimulationResult kept = run_both(model, machine, policy(set), source),
                             taken = run_both(model, machine,
                                              policy(joined(set, {{"prefetch.wrong", "cancel"}})), source);
      EXPECT_LE(taken.total, kept.total) << rate;
      EXPECT_LE(taken.tally.fetches, kept.tally.fetches);
      if (rate == 1e12) {
        EXPECT_EQ(taken.total, kept.total);
      }
      cancelled += taken.decode_cache.cancelled;
    }
  }
  EXPECT_GT(cancelled, 0);
}

// Layer 0 uses one expert, layer 1 two of them in turns, with one slot each. Known one step ahead, the one
// that comes next is copied while layer 0 runs and enters the cache once the other is done with: of 8
// look-ups all hit but the first step's two. Known for the running step alone, layer 1 never hits.
TEST(WindowOracle, KeepsWhatALaterStepUses) {
  test::ListSource source = steps(2, 4, 1, {{0, 0}, {0, 1}, {0, 0}, {0, 1}});
  const auto with = [&](const char* foresight) {
    return run_both(test::tiny_model(2, 4, 1), test::tiny_machine(),
                    policy({{"cache.capacity", "1 slots"},
                            {"lookahead.kind", "window-oracle"},
                            {"lookahead.foresight", foresight}}),
                    source)
        .decode_cache;
  };
  EXPECT_EQ(with("2").hits, 6);
  EXPECT_EQ(with("2").prefetched, 1);
  EXPECT_EQ(with("1").hits, 3);
  EXPECT_EQ(with("1").prefetched, 4);
}

// Whoever knows the whole future demands no more copies than any other predictor asked by the same
// prefetcher: of a layer that is announced, none. That holds where every name finds a slot, as in the buffers
// that a plan provides, and where what is kept for later costs nobody a hit: without a cache, or with a
// foresight of one.
TEST(WindowOracle, DemandsNoMoreThanAnyOther) {
  const ModelSpec model = test::tiny_model(5, 16, 3);
  test::ListSource source = test::random_source(3, 5, 16, 3, 3, 6, 25);
  const auto demanded = [&](const Set& ahead, const Set& more) {
    const CacheResult counts =
        run_both(model, test::tiny_machine(), policy(joined(ahead, more)), source).decode_cache;
    return counts.misses - counts.prefetched;
  };
  for (const Set& prefetch : prefetchers()) {
    if (!prefetch.empty() && prefetch.front().value != "horizons" && prefetch.front().value != "before-pass")
      continue;  // the others choose by what is there and by the clock
    for (const auto& [foresight, cache] : {std::pair("1000000000", "0"), std::pair("1", "25%")}) {
      const Set both = joined(prefetch, {{"cache.capacity", cache}});
      const std::int64_t bound =
          demanded({{"lookahead.kind", "window-oracle"}, {"lookahead.foresight", foresight}}, both);
      for (const Set& ahead : lookaheads()) {
        if (!goes_together(ahead, prefetch) || ahead.back().path == "lookahead.exact") continue;
        EXPECT_LE(bound, demanded(ahead, both)) << ahead.front().value << " " << foresight;
      }
    }
  }
}

TEST(WindowOracle, IsRefusedWhereTheFutureIsNotKnown) {
  test::ListSource source = steps(2, 4, 1, {{0, 0}, {0, 1}});
  EXPECT_THROW(test::run(test::tiny_model(2, 4, 1), test::tiny_machine(),
                         policy({{"cache.capacity", "1 slots"},
                                 {"cache.eviction", "belady"},
                                 {"lookahead.kind", "window-oracle"}}),
                         source),
               InputError);
}

// A link that is idle has time for all guesses: the budget leaves none out.
TEST(LookaheadSystems, ABudgetCostsNothingOnAnIdleLink) {
  const ModelSpec model = test::tiny_model(5, 16, 3);
  test::ListSource source = test::random_source(6, 5, 16, 3, 3, 6, 25);
  const MachineSpec machine = copies_take(Picoseconds{us});
  const Set guess = {{"lookahead.kind", "gate-reuse"}, {"lookahead.guesses", "5"}};
  const SimulationResult all = run_both(model, machine, policy(guess), source),
                         budget = run_both(model, machine,
                                           policy(joined(guess, {{"prefetch.kind", "time-budget"}})), source);
  EXPECT_EQ(budget.total, all.total);
  EXPECT_EQ(budget.tally.fetches, all.tally.fetches);
}

TEST(LookaheadSystems, ARecallOfOneIsAPreGate) {
  const ModelSpec model = test::tiny_model(5, 16, 3);
  for (const char* distance : {"1", "3"}) {
    test::ListSource source = test::random_source(9, 5, 16, 3, 3, 6, 25);
    const auto with = [&](Set set) {
      return run_both(model, test::tiny_machine(),
                      policy(joined(std::move(set), {{"lookahead.distance", distance}})), source);
    };
    const SimulationResult gate = with({{"lookahead.kind", "pre-gate"}});
    for (const Set& sure :
         {Set{{"lookahead.kind", "gate-reuse"}, {"lookahead.recall", "1"}, {"lookahead.recall_loss", "0"}},
          Set{{"lookahead.kind", "hash"}, {"lookahead.accuracy", "1"}},
          Set{{"lookahead.kind", "gate-reuse"},
              {"lookahead.recall", "1"},
              {"lookahead.recall_loss", "0"},
              {"prefetch.kind", "horizons"},
              {"prefetch.horizons", "1"}}}) {
      const SimulationResult result = with(sure);
      EXPECT_EQ(result.total, gate.total);
      EXPECT_EQ(result.tally.fetches, gate.tally.fetches);
      EXPECT_EQ(result.decode_cache.right_guesses, result.decode_cache.foreseeable);
      EXPECT_EQ(result.decode_cache.foreseeable, gate.decode_cache.foreseeable);
      EXPECT_EQ(result.decode_cache.guesses, gate.decode_cache.guesses);
    }
  }
}

// One request remembers no other: its matrix names nobody, and nothing differs from on-demand.
TEST(LookaheadSystems, NoGuessIsOnDemand) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(4, 4, 16, 3, 1, 0, 30);
  const SimulationResult none = test::run(model, test::tiny_machine(), policy({}), source);
  for (const char* prefetch : {"at-distance", "likeliest"}) {
    const SimulationResult result =
        run_both(model, test::tiny_machine(),
                 policy({{"lookahead.kind", "activation-matrix"}, {"prefetch.kind", prefetch}}), source);
    EXPECT_EQ(result.total, none.total);
    EXPECT_EQ(result.tally.fetches, none.tally.fetches);
    EXPECT_EQ(result.decode_cache.right_guesses, 0);
  }
}

// Three layers, of which two announce: a prediction that names nobody makes a step two costs longer on the
// GPU. On the host it runs beside: nothing waits for it.
TEST(PredictionCost, IsTimeOnItsStream) {
  const ModelSpec model = test::tiny_model(3, 8, 1);
  test::ListSource source = steps(3, 8, 1, {{0, 1, 2}, {3, 4, 5}});
  const Set nobody = {{"lookahead.kind", "activation-matrix"}};
  const SimulationResult none = run_both(model, test::tiny_machine(), policy(nobody), source);
  const Picoseconds cost{1000 * us};  // longer than the layer's own copy, behind which it would hide
  const Picoseconds copy = copy_time();
  ASSERT_LT(copy, cost);
  const SimulationResult gpu =
      run_both(model, test::tiny_machine(), policy(joined(nobody, {{"lookahead.cost", "1000 us"}})), source);
  EXPECT_EQ(gpu.total, none.total + (cost - copy) * 4);
  const SimulationResult host = run_both(
      model, test::tiny_machine(),
      policy(joined(nobody, {{"lookahead.cost", "1000 us"}, {"lookahead.cost_stream", "host"}})), source);
  EXPECT_EQ(host.total, none.total);
}

// What is announced waits for the prediction: with a pre-gate on the host for a layer whose copy takes c and
// whose gate comes a window w later, the copy ends cost + c after the ids, the experts wait cost + c - w.
TEST(PredictionCost, DelaysWhatItAnnounces) {
  const ModelSpec model = test::tiny_model(2, 8, 1);
  test::ListSource source = steps(2, 8, 1, {{0, 1}});
  const Durations d = durations(model, source);
  PolicySpec known = policy({{"lookahead.kind", "pre-gate"},
                             {"lookahead.cost", "500 us"},
                             {"lookahead.cost_stream", "host"},
                             {"placement.kind", "first-layers"},
                             {"placement.count", "1"}});
  const Picoseconds window = d.experts + d.attention + d.gate + d.readback, cost{500 * us};
  ASSERT_LT(window, cost + copy_time());
  const SimulationResult result = run_both(model, test::tiny_machine(), known, source);
  EXPECT_EQ(result.tally.exposed_transfer + result.tally.exposed_host,
            cost + copy_time() - window + d.readback * 2);
}

// streamlx: a policy that saves 10.6 % of 149,300 misses of .49 ms, and costs .2433 ms in each of 15,600
// calls, is slower than none: it saves 7.8 s of which little was waited for and adds 3.8 s. Here, of 200
// steps of 24 layers, a predictor that finds one expert in ten, whose call costs half a copy.
TEST(PredictionCost, MayExceedItsGain) {
  const ModelSpec model = test::tiny_model(24, 16, 1);
  test::ListSource source = test::random_source(3, 24, 16, 1, 1, 0, 200);
  const MachineSpec machine = copies_take(Picoseconds{490 * us});
  const Set guess = {{"lookahead.kind", "learned"},
                     {"lookahead.recall", "0.106"},
                     {"prefetch.wrong", "cancel"},
                     {"transfer.queue", "demand-first"}};
  const SimulationResult none = test::run(model, machine, policy({}), source),
                         free = run_both(model, machine, policy(guess), source),
                         paid = run_both(model, machine,
                                         policy(joined(guess, {{"lookahead.cost", "243.3 us"}})), source);
  const std::int64_t misses = none.decode_cache.misses;
  EXPECT_NEAR(static_cast<double>(free.decode_cache.prefetched) / static_cast<double>(misses), 0.106, 0.02);
  EXPECT_EQ(paid.decode_cache.prefetched, free.decode_cache.prefetched);
  EXPECT_GT(paid.total, none.total);
}

// Recall and precision by hand: the gate of layer 0 names {1, 7} of layer 1, which activates {1, 2}.
TEST(RecallAndPrecision, AreOfAnnouncedLayers) {
  trace::TraceInfo info = test::decoder_info(2, 8, 2);
  info.has_predictions = true;
  info.prediction_distance = 1;
  test::ListSource source(info);
  source.add(trace::Phase::decode, 1, {0, 3, 1, 2}, true, {0, 3, 1, 7});
  source.add(trace::Phase::decode, 1, {0, 3, 1, 2}, false, {0, 3, 4, trace::no_expert});
  const SimulationResult result = run_both(test::tiny_model(2, 8, 2), test::tiny_machine(),
                                           policy({{"lookahead.kind", "recorded"}}), source);
  EXPECT_EQ(result.decode_cache.foreseeable, 4);
  EXPECT_EQ(result.decode_cache.guesses, 3);
  EXPECT_EQ(result.decode_cache.right_guesses, 1);
  const auto value_of = [&](const std::string& name) {
    for (const Metric& metric : metrics()) {
      if (metric.name == name) return as_number(metric.value(result));
    }
    return -1.0;
  };
  EXPECT_DOUBLE_EQ(value_of("lookahead.recall"), 0.25);
  EXPECT_DOUBLE_EQ(value_of("lookahead.precision"), 1.0 / 3);
}

TEST(LookaheadSystems, RefuseWhatDoesNotGoTogether) {
  EXPECT_THROW(policy({{"lookahead.kind", "gate-reuse"}, {"prefetch.kind", "before-pass"}}), InputError);
  EXPECT_THROW(policy({{"lookahead.kind", "all-next"}, {"prefetch.wrong", "cancel"}}), InputError);
  EXPECT_THROW(policy({{"lookahead.cost", "1 us"}}), InputError);
  test::ListSource source = steps(1, 8, 2, {{1, 2}});
  EXPECT_THROW(test::run(test::tiny_model(1, 8, 2), test::tiny_machine(),
                         policy({{"lookahead.kind", "hash"},
                                 {"lookahead.exact", "false"},
                                 {"cache.capacity", "25%"},
                                 {"cache.eviction", "belady"}}),
                         source),
               InputError);
}

// A predictor of recall .6 that is asked three times of each layer is one of recall .6: what it missed once
// it misses again.
TEST(LookaheadSystems, AskingOftenTellsNoMore) {
  const ModelSpec model = test::tiny_model(8, 32, 4);
  test::ListSource source = test::random_source(3, 8, 32, 4, 2, 0, 100);
  const auto recall = [&](const Set& prefetch) {
    const SimulationResult result = test::run(
        model, test::tiny_machine(),
        policy(joined({{"lookahead.kind", "given-recall"}, {"lookahead.recall", "0.6"}}, prefetch)), source);
    return static_cast<double>(result.decode_cache.right_guesses) /
           static_cast<double>(result.decode_cache.foreseeable);
  };
  EXPECT_NEAR(recall({}), 0.6, 0.02);
  EXPECT_NEAR(recall({{"prefetch.kind", "horizons"}, {"prefetch.horizons", "3"}}), 0.6, 0.02);
}

// Nearer layers are foretold better: .9 a layer ahead, .5 three ahead. Once all horizons have been asked it
// is the nearest one's.
TEST(LookaheadSystems, TheNearestAnswerCounts) {
  const ModelSpec model = test::tiny_model(8, 32, 4);
  test::ListSource source = test::random_source(3, 8, 32, 4, 2, 0, 100);
  const SimulationResult result = test::run(model, test::tiny_machine(),
                                            policy({{"lookahead.kind", "gate-reuse"},
                                                    {"lookahead.recall", "0.9"},
                                                    {"lookahead.recall_loss", "0.2"},
                                                    {"prefetch.kind", "horizons"},
                                                    {"prefetch.horizons", "3"}}),
                                            source);
  EXPECT_NEAR(static_cast<double>(result.decode_cache.right_guesses) /
                  static_cast<double>(result.decode_cache.foreseeable),
              0.9, 0.02);
}

// What was foretold before the pass is paid for once, however far it is copied ahead.
TEST(LookaheadSystems, APassIsForetoldOnce) {
  test::ListSource source = test::random_source(3, 6, 16, 2, 1, 0, 5);
  for (const char* window : {"0", "2"}) {
    const SimulationResult result = recorded(test::tiny_model(6, 16, 2),
                                             policy({{"lookahead.kind", "hash"},
                                                     {"lookahead.cost", "30 us"},
                                                     {"prefetch.kind", "before-pass"},
                                                     {"prefetch.window", window}}),
                                             source);
    int predictions = 0;
    for (std::size_t i = 0; i < result.schedule.size(); ++i)
      predictions += result.schedule.operation(static_cast<OpId>(i)).kind == OpKind::predict ? 1 : 0;
    EXPECT_EQ(predictions, 5) << "window " << window;
  }
}

// One request has no earlier one to be matched with: said, as its figures are those of a cache by layers.
TEST(LookaheadSystems, WithoutAnEarlierRequestNobodyIsMatched) {
  const ModelSpec model = test::tiny_model(3, 8, 2);
  for (const int requests : {1, 2}) {
    test::ListSource source(test::decoder_info(3, 8, 2));
    for (int i = 0; i < 2 * requests; ++i)
      source.add(trace::Phase::decode, 1, {0, 1, 2, 3, 4, 5}, i % 2 == 0);
    const SimulationResult result =
        test::run(model, test::tiny_machine(), policy({{"cache.capacity", "25%"}}, "moe-infinity"), source);
    const auto said =
        testing::Contains(testing::HasSubstr("this trace has one request: nobody is announced, and"));
    if (requests == 1) {
      EXPECT_THAT(result.notes, said);
    } else {
      EXPECT_THAT(result.notes, testing::Not(said));
    }
  }
}

}  // namespace
}  // namespace pregate::sim
