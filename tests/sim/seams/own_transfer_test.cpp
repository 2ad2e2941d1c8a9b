// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// An order of copies, defined here in one file, and the product's that goes by layers.
#include <gtest/gtest.h>

#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

/// What nobody waits for yet goes first: a bad idea, with a formula.
TransferEntry announced_first() {
  TransferEntry entry;
  entry.name = "announced-first";
  entry.help = "what is fetched ahead goes first";
  entry.priority = [](const std::any&, CopyReason reason, int) {
    return static_cast<std::uint8_t>(reason == CopyReason::announced ? 0 : 1);
  };
  return entry;
}

const Parts& with_announced_first() {
  static const Parts with_it = [] {
    Parts parts = built_in_parts();
    parts.transfers.add(announced_first());
    return parts;
  }();
  return with_it;
}

/// Of the second layer expert 1, of others 5, 6 and 7.
class Guesses final : public Predictor {
 public:
  explicit Guesses(const ExpertMap& map) : map_(map) {}
  std::span<const ExpertKey> predict(int, int target) override {
    const ExpertKey first = map_.layers()[static_cast<std::size_t>(target)].first_key;
    keys_ = target == 1 ? std::vector{first + 1} : std::vector{first + 5, first + 6, first + 7};
    return keys_;
  }

 private:
  const ExpertMap& map_;
  std::vector<ExpertKey> keys_;
};

/// At the first layer, for the layer after the next and then for the next.
class FarFirst final : public Prefetcher {
 public:
  [[nodiscard]] bool reaches(const LayersAhead& ahead) const override {
    return ahead.ordinal == 0 && ahead.has(1);
  }
  void look_ahead(const Moment&, const LayersAhead& ahead, Predictor& predictor,
                  Announcements& announced) override {
    for (const int target : {2, 1}) {
      if (ahead.has(target)) announced.want(target, predictor.predict(0, target));
    }
  }
};

const PredictorEntry& guesses() {
  static const PredictorEntry entry = [] {
    PredictorEntry made;
    made.name = "guesses";
    made.make = [](const std::any&, const ExpertMap& map) { return std::make_unique<Guesses>(map); };
    made.most_guesses = [](const std::any&, const ExpertMap&, const TraceScan&) { return 3; };
    return made;
  }();
  return entry;
}
const PrefetcherEntry& far_first() {
  static const PrefetcherEntry entry = [] {
    PrefetcherEntry made;
    made.name = "far-first";
    made.make = [](const std::any&, int) { return std::make_unique<FarFirst>(); };
    made.in_flight = [](const std::any&, int, int) { return 2; };
    return made;
  }();
  return entry;
}

struct OwnTransfer : testing::Test {
  ModelSpec model = test::tiny_model(3, 8, 1);
  MachineSpec machine = test::tiny_machine();
  test::ListSource source{test::decoder_info(3, 8, 1)};
  PolicySpec policy;
  Picoseconds window, copy;

  OwnTransfer() {
    source.add(trace::Phase::decode, 1, {0, 1, 2}, true);
    const Durations d = durations(model, source);
    window = d.experts + d.attention + d.gate + d.readback;  // from a layer's copies to the next one's ids
    copy = {window.count * 4 / 5};
    machine.h2d.per_copy = {};
    machine.h2d.bandwidth = machine.host.memory_bandwidth = {1e18};
    machine.h2d.latency = copy - time_at(test::tiny_expert, {1e18});
  }
  /// The same on both executors.
  Picoseconds exposed(const std::string& queue) {
    policy = load_policy("on-demand", std::vector<Override>{{"policy.transfer.queue", queue}}, {},
                         with_announced_first());
    policy.lookahead.predictor = guesses();
    policy.prefetch.prefetcher = far_first();
    const SimulationResult timed = test::run(model, machine, policy, source),
                           event = test::run(model, machine, policy, source, {.engine = Engine::event});
    test::expect_same_run(timed, event);
    EXPECT_EQ(timed.tally.fetches, 6);
    return timed.tally.exposed_transfer;
  }
};

// Issued at the first layer's ids: its own copy, three for the third layer, one for the second. In that order
// the second waits for all five, a window after the first was there; then the third's own copy is exposed,
// with nothing else in the queue.
TEST_F(OwnTransfer, InTheOrderOfIssueTheNearestWaits) {
  const Picoseconds second = copy * 4 - window;
  EXPECT_EQ(exposed("fifo"), copy + second + copy);
  EXPECT_EQ(exposed("demand-first"), copy + second + copy);
}

// The second layer's is there in time. Of the others two have started when the third layer's ids are known,
// two windows after the first copy: its own overtakes the last.
TEST_F(OwnTransfer, ByLayersTheNearestIsThere) {
  ASSERT_LT(copy, window);
  ASSERT_LT(window * 2, copy * 3);
  EXPECT_EQ(exposed("nearest-first"), copy + (copy * 5 - (copy + window * 2)));
}

// All four go before the first layer's own.
TEST_F(OwnTransfer, ByTheOneDefinedHereTheFirstWaitsForAll) {
  EXPECT_EQ(exposed("announced-first"), copy * 5 + copy);
}

}  // namespace
}  // namespace pregate::sim
