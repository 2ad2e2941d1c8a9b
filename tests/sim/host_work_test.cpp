// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the host's own work delays: announced copies issued a layer at a time, look-ups, a request's set-up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

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

PolicySpec one_layer_at_a_time() {
  PolicySpec policy = load_policy("pre-gated");
  policy.transfer.announced = AnnouncedCopies::one_layer;
  return policy;
}

ListSource three_layers() {
  ListSource source(test::decoder_info(3, 8, 1));
  source.add(Phase::decode, 1, {0, 1, 2}, true);
  return source;
}

TEST(OneLayerAtATime, IdsAreReadBackAgainBehindTheLayersOwnCopies) {
  ListSource source = three_layers();
  EXPECT_THAT(names(recorded(tiny_model(3, 8, 1), one_layer_at_a_time(), source).schedule),
              ElementsAre("attention L0", "gate_readback L0", "fetch L0 E0", "gate_readback L0",
                          "fetch L1 E1", "experts L0",                                      //
                          "attention L1", "gate_readback L1", "fetch L2 E2", "experts L1",  //
                          "attention L2", "gate_readback L2", "experts L2"));
}

// A copy announced at L starts with the experts of L; the ids of L+1 are read back when both it and the gate
// of L+1 are done. From experts to experts: max(experts + attention + gate, copy) + read-back. What a copy
// takes beyond the window is exposed, the read-back of the host's doing: twice in the first layer, which
// waits for its own copy in between, and once in each other.
TEST(OneLayerAtATime, TheNextCopyWaitsForThisOneAndItsReadBack) {
  const ModelSpec model = tiny_model(3, 8, 1);
  ListSource source = three_layers();
  const Durations d = durations(model, source);
  const Picoseconds window = d.experts + d.attention + d.gate;
  for (const std::int64_t excess : {-1, 0, 1, 1000}) {
    MachineSpec machine = tiny_machine();
    const Picoseconds copy{window.count + excess};
    machine.h2d.bandwidth = machine.host.memory_bandwidth = {1e18};
    machine.h2d.latency = copy - time_at(test::tiny_expert, {1e18});
    machine.h2d.per_copy = {};
    const SimulationResult result = recorded(model, one_layer_at_a_time(), source, machine);
    const Picoseconds beyond{std::max<std::int64_t>(0, excess)};
    std::vector<Picoseconds> experts;
    for (std::size_t i = 0; i < result.schedule.size(); ++i) {
      if (result.schedule.operation(static_cast<OpId>(i)).kind == OpKind::experts)
        experts.push_back(result.timeline.start[i]);
    }
    ASSERT_EQ(experts.size(), 3U);
    EXPECT_EQ(experts[0],
              tiny_machine().overhead.step + d.attention + d.gate + d.readback + copy + d.readback);
    EXPECT_EQ(experts[1] - experts[0], window + beyond + d.readback) << "excess " << excess;
    EXPECT_EQ(experts[2] - experts[1], window + beyond + d.readback) << "excess " << excess;
    EXPECT_EQ(result.tally.exposed_transfer, copy + beyond * 2);
    EXPECT_EQ(result.tally.exposed_host, d.readback * 4);
    const SimulationResult timed = run(model, machine, one_layer_at_a_time(), source);
    EXPECT_EQ(timed.total, result.total);
    EXPECT_EQ(timed.tally.exposed_transfer, result.tally.exposed_transfer);
    EXPECT_EQ(timed.tally.exposed_host, result.tally.exposed_host);
  }
}

// A whole layer that nobody announced is the layer's own, as a miss is.
TEST(OneLayerAtATime, HoldsForWholeLayersToo) {
  ListSource source = three_layers();
  PolicySpec whole = load_policy("prefetch-all");
  whole.transfer.announced = AnnouncedCopies::one_layer;
  const auto readbacks = [&](const PolicySpec& policy) {
    const std::vector<std::string> all = names(recorded(tiny_model(3, 8, 1), policy, source).schedule);
    return std::count_if(all.begin(), all.end(),
                         [](const std::string& name) { return name.starts_with("gate_readback"); });
  };
  EXPECT_EQ(readbacks(whole), 4);
  EXPECT_EQ(readbacks(one_layer_at_a_time()), 4);
  EXPECT_EQ(readbacks(load_policy("prefetch-all")), 3);
}

// Where nothing is announced the host waits for nothing else.
TEST(OneLayerAtATime, ChangesNothingOnDemand) {
  const ModelSpec model = tiny_model(3, 8, 1);
  ListSource source = three_layers();
  PolicySpec policy = load_policy("on-demand");
  const SimulationResult queued = run(model, tiny_machine(), policy, source);
  policy.transfer.announced = AnnouncedCopies::one_layer;
  EXPECT_EQ(run(model, tiny_machine(), policy, source).total, queued.total);
}

// 3 layers x 2 experts x 7 us, whether they hit or miss; with every expert resident nobody looks.
TEST(LookUps, DelayALayerByThoseOfItsExperts) {
  const ModelSpec model = tiny_model(3, 8, 2);
  ListSource source(test::decoder_info(3, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3, 4, 5}, true);
  source.add(Phase::decode, 1, {0, 1, 2, 3, 4, 5});
  MachineSpec machine = tiny_machine();
  for (const char* name : {"on-demand", "on-demand-cache", "gpu-only"}) {
    machine.overhead.lookup = {};
    const SimulationResult before = run(model, machine, load_policy(name), source);
    machine.overhead.lookup = Picoseconds{7 * us};
    const SimulationResult after = run(model, machine, load_policy(name), source);
    const std::int64_t looked_up = std::string(name) == "gpu-only" ? 0 : 2 * 3 * 2;
    EXPECT_EQ(after.total - before.total, Picoseconds{7 * us} * looked_up) << name;
    EXPECT_EQ(after.tally.exposed_host - before.tally.exposed_host, Picoseconds{7 * us} * looked_up) << name;
    EXPECT_EQ(after.tally.exposed_transfer, before.tally.exposed_transfer) << name;
    EXPECT_EQ(run(model, machine, load_policy(name), source, {.engine = Engine::event}).total, after.total);
  }
}

// Of software that takes the experts of a layer in turn: two layers with 3 for a prompt of two tokens, which
// have one in common, and with 2 for the token after it.
TEST(ExpertLaunches, ComeOnTopForEachExpertOfAWave) {
  const ModelSpec model = tiny_model(2, 8, 2);
  ListSource source(test::decoder_info(2, 8, 2));
  source.add(Phase::prefill, 2, {0, 1, 1, 2, 3, 4, 4, 5}, true);
  source.add(Phase::decode, 1, {6, 7, 6, 7});
  MachineSpec machine = tiny_machine();
  for (const char* name : {"gpu-only", "on-demand", "pre-gated"}) {
    machine.overhead.expert = {};
    const SimulationResult before = run(model, machine, load_policy(name), source);
    machine.overhead.expert = Picoseconds{7 * us};
    const SimulationResult after = run(model, machine, load_policy(name), source);
    if (std::string(name) != "pre-gated") {  // copies hide behind some of it there
      EXPECT_EQ(after.total - before.total, Picoseconds{7 * us} * (2 * 3 + 2 * 2)) << name;
    }
    EXPECT_EQ(run(model, machine, load_policy(name), source, {.engine = Engine::event}).total, after.total);
  }
  // As one graph it is that share of it, like every other launch of a layer.
  machine.overhead.replayed = 0.5;
  const SimulationResult whole = run(model, machine, load_policy("gpu-only"), source);
  machine.overhead.expert = {};
  EXPECT_EQ(whole.total - run(model, machine, load_policy("gpu-only"), source).total,
            Picoseconds{7 * us} * 5);
}

// Two requests of 2 steps; once each, not once a step.
TEST(RequestSetUp, IsPaidOnceARequestWhereExpertsAreFetched) {
  const ModelSpec model = tiny_model(3, 8, 1);
  ListSource source(test::decoder_info(3, 8, 1));
  for (int request = 0; request < 2; ++request) {
    source.add(Phase::decode, 1, {0, 1, 2}, true);
    source.add(Phase::decode, 1, {0, 1, 2});
  }
  MachineSpec machine = tiny_machine();
  for (const Picoseconds step : {tiny_machine().overhead.step, Picoseconds{}}) {
    machine.overhead.step = step;
    for (const char* name : {"on-demand", "pre-gated", "gpu-only"}) {
      machine.overhead.request = {};
      const SimulationResult before = run(model, machine, load_policy(name), source);
      machine.overhead.request = Picoseconds{5000 * us};
      const SimulationResult after = run(model, machine, load_policy(name), source);
      const std::int64_t paid = std::string(name) == "gpu-only" ? 0 : 2;
      EXPECT_EQ(after.total - before.total, machine.overhead.request * paid) << name;
      EXPECT_EQ(run(model, machine, load_policy(name), source, {.engine = Engine::event}).total, after.total);
    }
  }
}

}  // namespace
}  // namespace pregate::sim
