// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/engine/event_engine.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/schedule/analysis.hpp"
#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;

class EnginesAgree : public testing::TestWithParam<std::tuple<std::string, std::string, int>> {};

// The times computed at issue, those of the event queue, and the event queue run once more on the exported
// schedule.
TEST_P(EnginesAgree, TimedEventAndReplayedScheduleGiveTheSameTimes) {
  const auto& [name, capacity, staging] = GetParam();
  const ModelSpec model = test::tiny_model(4, 16, 3);
  PolicySpec policy = load_policy(name);
  policy.cache.capacity = parse_capacity(capacity, "test");
  policy.transfer.staging_copies = staging;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    ListSource source = test::random_source(seed, 4, 16, 3, 2, 7, 20);
    MachineSpec machine = test::tiny_machine();
    machine.h2d.bandwidth = {1e9 * static_cast<double>(seed * seed)};  // from transfer-bound to compute-bound
    const SimulationResult timed = run(model, machine, policy, source, {.engine = Engine::timed});
    const SimulationResult event = run(model, machine, policy, source, {.engine = Engine::event});
    test::expect_same_run(timed, event);

    const SimulationResult recorded = run(model, machine, policy, source, {.recorded_steps = 1'000'000});
    test::expect_same_run(timed, recorded);
    const Timeline again = sim::run(recorded.schedule);
    EXPECT_EQ(again.start, recorded.timeline.start);
    EXPECT_EQ(again.finish, recorded.timeline.finish);
    if (seed > 1) continue;  // the form is the same for all
    const Schedule parsed = parse_schedule_json(to_json(recorded.schedule, &recorded.timeline), "test");
    EXPECT_TRUE(parsed == recorded.schedule);
  }
}

// Copies that overtake each other: guesses that pile up behind a slow link, and outlive their pass, and
// misses that go before them. Nothing waits without a cause: of what decided a start, none is forgotten.
TEST(EnginesAgree, UrgentCopiesGoFirst) {
  const ModelSpec model = test::tiny_model(5, 16, 3);
  for (const TransferEntry& order : built_in_parts().transfers.entries()) {
    for (const double recall : {0.0, 0.5, 0.9}) {
      for (const int distance : {1, 2, 4}) {
        for (const double rate : {2e8, 1e9, 4e9, 1e11}) {
          PolicySpec policy = load_policy("on-demand");
          choose(policy.lookahead.predictor, built_in_parts().predictors, "given-recall");
          policy.lookahead.predictor.set("recall", std::to_string(recall));
          policy.lookahead.distance = distance;
          test::queue(policy, order.name);
          policy.transfer.staging_copies = distance == 2 ? 1 : 0;
          policy.transfer.chunk = Bytes{distance == 4 ? 40'000 : 0};
          policy.compute.experts = distance == 1 ? ExpertCompute::per_expert : ExpertCompute::grouped;
          policy.cache.capacity = parse_capacity(recall == 0.5 ? "25%" : "0", "test");
          ListSource source = test::random_source(7, 5, 16, 3, 3, 6, 25);
          MachineSpec machine = test::tiny_machine();
          machine.h2d.bandwidth = {rate};
          const SimulationResult timed = run(model, machine, policy, source, {.engine = Engine::timed});
          const SimulationResult event = run(model, machine, policy, source, {.engine = Engine::event});
          SCOPED_TRACE(order.name + ", " + std::to_string(recall) + ", " + std::to_string(distance) + ", " +
                       std::to_string(rate));
          test::expect_same_run(timed, event);
          EXPECT_EQ(event.path.waiting.count, 0);
          EXPECT_EQ(timed.path.spent.total() + timed.path.gpu_arithmetic(), timed.path.finish);
        }
      }
    }
  }
}

// Each system of the catalogue, over links so slow that copies in the background outlive passes by the
// dozen: a path that goes through one of them is whole, whichever pass it began in.
TEST(EnginesAgree, CopiesThatOutliveTheirPasses) {
  const ModelSpec model = test::tiny_model(5, 16, 3);
  int compared = 0;
  for (const std::string& name : policy_names()) {
    for (const double rate : {2e6, 2e8, 4e9}) {
      SCOPED_TRACE(name + ", " + std::to_string(rate));
      ListSource source = test::random_source(11, 5, 16, 3, 3, 6, 25);
      MachineSpec machine = test::tiny_machine();
      machine.h2d.bandwidth = {rate};
      SimulationResult timed;
      try {
        timed = run(model, machine, load_policy(name), source, {.engine = Engine::timed});
      } catch (const InputError& e) {  // shares resources, or wants what this model or machine lacks
        EXPECT_THAT(e.what(), testing::AnyOf(testing::HasSubstr("--engine event"),
                                             testing::HasSubstr("near-data device"),
                                             testing::HasSubstr("gate weights")));
        continue;
      }
      source.rewind();
      test::expect_same_run(timed, run(model, machine, load_policy(name), source, {.engine = Engine::event}));
      EXPECT_EQ(timed.path.spent.total() + timed.path.gpu_arithmetic() + timed.path.waiting,
                timed.path.finish);
      ++compared;
    }
  }
  EXPECT_GT(compared, 60);
}

// The host waits for the copies of a layer before it reads ids back and announces, and looks experts up.
TEST(EnginesAgree, TheHostTakesPart) {
  const ModelSpec model = test::tiny_model(5, 16, 3);
  for (const char* name : {"pre-gated", "pre-gated-cache", "prefetch-all", "prefetch-all-cache"}) {
    for (const int variant : {0, 1, 2, 3}) {
      PolicySpec policy = load_policy(name);
      policy.transfer.announced = AnnouncedCopies::one_layer;
      test::queue(policy, variant % 2 == 0 ? "fifo" : "demand-first");
      policy.transfer.staging_copies = variant / 2;
      ListSource source = test::random_source(5, 5, 16, 3, 3, 6, 25);
      for (const double rate : {2e8, 4e9, 1e11}) {
        MachineSpec machine = test::tiny_machine();
        machine.h2d.bandwidth = {rate};
        machine.overhead.lookup = from_seconds(3e-6 * variant);
        const SimulationResult timed = run(model, machine, policy, source, {.engine = Engine::timed});
        const SimulationResult event = run(model, machine, policy, source, {.engine = Engine::event});
        SCOPED_TRACE(std::string(name) + ", " + std::to_string(variant) + ", " + std::to_string(rate));
        test::expect_same_run(timed, event);
        EXPECT_EQ(event.path.waiting.count, 0);
      }
    }
  }
}

// The running critical path is the one that Boost.Graph finds in the finished schedule.
TEST_P(EnginesAgree, CriticalPathEqualsTheGraphs) {
  const auto& [name, capacity, staging] = GetParam();
  const ModelSpec model = test::tiny_model(4, 16, 3);
  PolicySpec policy = load_policy(name);
  policy.cache.capacity = parse_capacity(capacity, "test");
  policy.transfer.staging_copies = staging;
  ListSource source = test::random_source(9, 4, 16, 3, 2, 5, 10);
  MachineSpec machine = test::tiny_machine();
  machine.h2d.bandwidth = {2e9};
  const SimulationResult result = run(model, machine, policy, source, {.recorded_steps = 1'000'000});
  EXPECT_TRUE(is_acyclic(result.schedule));
  const CriticalPath path = critical_path(result.schedule, result.timeline);
  EXPECT_EQ(path.compute + path.cpu + path.transfer + path.host + path.waiting, result.path.finish);
  EXPECT_EQ(path.transfer, result.path.transfer());
  EXPECT_EQ(path.host, result.path.host());
  EXPECT_EQ(path.waiting, result.path.waiting);
}

INSTANTIATE_TEST_SUITE_P(Policies, EnginesAgree,
                         testing::Combine(testing::Values("gpu-only", "on-demand", "prefetch-all",
                                                          "pre-gated"),
                                          testing::Values("0", "25%", "80%"), testing::Values(0, 2)));

TEST(Engines, TheTimedOneRefusesWhatSharesResources) {
  ListSource source = test::random_source(1, 2, 4, 1, 1, 0, 2);
  PolicySpec policy = load_policy("on-demand-cache");
  policy.cache.capacity = parse_capacity("50%", "test");
  choose(policy.miss.service, built_in_parts().miss_services, "compute-on-cpu");
  policy.miss.admission = MissAdmission::background;
  EXPECT_THROW(
      run(test::tiny_model(2, 4, 1), test::tiny_machine(), policy, source, {.engine = Engine::timed}),
      InputError);
}

// With exact guesses there is nothing to overtake: both queue orders give the same times.
TEST(Engines, PriorityQueueWithoutMissesEqualsFifo) {
  ListSource source = test::random_source(3, 4, 16, 2, 2, 0, 20);
  const ModelSpec model = test::tiny_model(4, 16, 2);
  PolicySpec policy = load_policy("pre-gated");
  const SimulationResult fifo = run(model, test::tiny_machine(), policy, source);
  test::queue(policy, "demand-first");
  const SimulationResult priority = run(model, test::tiny_machine(), policy, source);
  EXPECT_EQ(fifo.total, priority.total);
  EXPECT_EQ(fifo.tally.exposed_transfer, priority.tally.exposed_transfer);
}

}  // namespace
}  // namespace pregate::sim
