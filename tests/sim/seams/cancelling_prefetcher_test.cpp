// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A prefetcher that looks at the clock: it announces what fits into the time until the next gate, and takes
// back what its gate then disproves. Defined here, in one file.
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/engine/event_engine.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

/// Names the same experts of every layer, whatever happens: 5, 6, 7.
class Stubborn final : public Predictor {
 public:
  explicit Stubborn(const ExpertMap& map) : map_(map) {}
  std::span<const ExpertKey> predict(int, int target) override {
    const ExpertKey first = map_.layers()[static_cast<std::size_t>(target)].first_key;
    keys_ = {first + 5, first + 6, first + 7};
    return keys_;
  }

 private:
  const ExpertMap& map_;
  std::vector<ExpertKey> keys_;
};

PredictorEntry stubborn() {
  PredictorEntry entry;
  entry.name = "stubborn";
  entry.make = [](const std::any&, const ExpertMap& map) { return std::make_unique<Stubborn>(map); };
  entry.most_guesses = [](const std::any&, const ExpertMap&, const TraceScan&) { return 3; };
  return entry;
}

struct Budget {
  bool cancels = true;
  Picoseconds window;  ///< 0 = no budget
};

/// The next layer's, as many as `window` holds beside what the link has still to do.
class Budgeted final : public Prefetcher {
 public:
  explicit Budgeted(const Budget& budget) : budget_(budget) {}
  [[nodiscard]] bool reaches(const LayersAhead& ahead) const override { return ahead.has(ahead.ordinal + 1); }
  void gate_known(const Moment& moment, std::span<const ExpertKey> activated,
                  Announcements& announced) override {
    if (!budget_.cancels) return;
    const std::span<const ExpertKey> fetched = announced.fetched(moment.ordinal);
    const std::vector<ExpertKey> guesses(fetched.begin(), fetched.end());
    for (const ExpertKey key : guesses) {
      if (std::find(activated.begin(), activated.end(), key) == activated.end())
        announced.drop(moment.ordinal, key);
    }
  }
  void look_ahead(const Moment& moment, const LayersAhead&, Predictor& predictor,
                  Announcements& announced) override {
    std::span<const ExpertKey> keys = predictor.predict(moment.ordinal, moment.ordinal + 1);
    if (budget_.window.count > 0) {
      const Picoseconds left = budget_.window - std::min(budget_.window, moment.backlog(moment.fetches));
      const auto fit = static_cast<std::size_t>(left.count / moment.estimates->fetch().count);
      keys = keys.first(std::min(fit, keys.size()));
    }
    announced.want(moment.ordinal + 1, keys);
  }

 private:
  Budget budget_;
};

PrefetcherEntry budgeted() {
  PrefetcherEntry entry;
  entry.name = "budgeted";
  Fields<Budget> fields;
  fields.add("cancels", &Budget::cancels, "takes wrong guesses back");
  fields.add("window", &Budget::window, "time to fill").or_zero("no limit");
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& budget, int) {
    return std::make_unique<Budgeted>(std::any_cast<const Budget&>(budget));
  };
  entry.needs_clock = true;
  return entry;
}

const PredictorEntry& stubborn_entry() {
  static const PredictorEntry entry = stubborn();
  return entry;
}
const PrefetcherEntry& budgeted_entry() {
  static const PrefetcherEntry entry = budgeted();
  return entry;
}

struct CancellingPrefetcher : testing::Test {
  ModelSpec model = test::tiny_model(2, 8, 1);
  MachineSpec machine = test::tiny_machine();
  test::ListSource source{test::decoder_info(2, 8, 1)};
  PolicySpec policy = load_policy("on-demand");

  CancellingPrefetcher() {
    source.add(trace::Phase::decode, 1, {0, 1}, true);
    policy.lookahead.predictor = stubborn_entry();
    policy.prefetch.prefetcher = budgeted_entry();
  }
  /// A copy of an expert takes this long.
  void copies_take(Picoseconds time) {
    machine.h2d.per_copy = {};
    machine.h2d.bandwidth = machine.host.memory_bandwidth = {1e18};
    machine.h2d.latency = time - time_at(test::tiny_expert, {1e18});
  }
  /// The same on both executors.
  SimulationResult run() {
    const SimulationResult timed = test::run(model, machine, policy, source),
                           event = test::run(model, machine, policy, source, {.engine = Engine::event});
    EXPECT_EQ(timed.total, event.total);
    EXPECT_EQ(timed.tally.busy, event.tally.busy);
    EXPECT_EQ(timed.tally.spent.total(), event.tally.spent.total());
    EXPECT_EQ(timed.tally.exposed_transfer, event.tally.exposed_transfer);
    EXPECT_EQ(timed.tally.fetches, event.tally.fetches);
    EXPECT_EQ(timed.tally.fetched, event.tally.fetched);
    EXPECT_EQ(timed.path.transfer(), event.path.transfer());
    return timed;
  }
};

// The first layer's own copy ends at g + c, where its experts start and the first of three wrong copies for
// the second layer. The second layer's ids are known a window later. With 2 c = window the third copy could
// start at that very picosecond: it has not, and is taken back; with c one picosecond shorter it has started,
// and the layer's own copy waits until it ends.
TEST_F(CancellingPrefetcher, TakesBackWhatHasNotStarted) {
  const Durations d = durations(model, source);
  const Picoseconds window = d.experts + d.attention + d.gate + d.readback;
  for (const std::int64_t early : {0, 1}) {
    const Picoseconds copy{window.count / 2 - early};
    ASSERT_EQ(window.count % 2, 0);
    copies_take(copy);
    const SimulationResult result = run();
    EXPECT_EQ(result.tally.fetches, early == 0 ? 4 : 5) << "two of their own, and the guesses that started";
    const Picoseconds waits = early == 0 ? copy : copy * 4 - window;
    EXPECT_EQ(result.tally.exposed_transfer, copy + waits);
  }
}

TEST_F(CancellingPrefetcher, KeepsAllWhereItDoesNot) {
  policy.prefetch.prefetcher.set("cancels", "false");
  const Durations d = durations(model, source);
  const Picoseconds window = d.experts + d.attention + d.gate + d.readback, copy{window.count / 2};
  copies_take(copy);
  const SimulationResult result = run();
  EXPECT_EQ(result.tally.fetches, 5);
  EXPECT_EQ(result.tally.exposed_transfer, copy + copy * 4 - window);
}

// A window of two copies less a picosecond holds one; of two copies, two. The link is idle when it is asked:
// the layer's own copy is still to come and is its backlog.
TEST_F(CancellingPrefetcher, AnnouncesWhatFitsIntoItsWindow) {
  policy.prefetch.prefetcher.set("cancels", "false");
  copies_take(Picoseconds{100 * us});
  for (const std::int64_t less : {0, 1}) {
    policy.prefetch.prefetcher.set("window", std::to_string(200 * us - less) + " ps");
    EXPECT_EQ(run().tally.fetches, 2 + (less == 0 ? 2 : 1)) << less;
  }
}

// What is recorded is what ran: replayed, the schedule gives the same times, taken back copies included.
TEST_F(CancellingPrefetcher, ItsScheduleReplays) {
  copies_take(Picoseconds{90 * us});
  const SimulationResult result = recorded(model, policy, source, machine);
  EXPECT_EQ(sim::run(result.schedule), result.timeline);
}

}  // namespace
}  // namespace pregate::sim
