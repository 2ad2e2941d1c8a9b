// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "models/error.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using test::tiny_machine;
using test::tiny_model;
using testing::ElementsAre;
using trace::Phase;

constexpr std::int64_t us = 1'000'000;
constexpr std::int64_t copy_us = 10;  // latency + per copy of tiny_machine()

Picoseconds copy_time() { return Picoseconds{copy_us * us} + time_at(test::tiny_expert, {1e9}); }

/// Kinds of the compute stream and fetches, in issue order: "attention L0", "fetch L1 E3", ...
std::vector<std::string> names(const Schedule& schedule) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < schedule.size(); ++i) {
    const Operation& op = schedule.operation(static_cast<OpId>(i));
    if (op.kind == OpKind::step_overhead || op.kind == OpKind::head || op.kind == OpKind::gate) continue;
    std::string name = to_string(op.kind);
    name += " L" + std::to_string(op.layer);
    if (op.kind == OpKind::fetch) name += " E" + std::to_string(op.expert);
    all.push_back(name);
  }
  return all;
}

SimulationResult recorded(const ModelSpec& model, const PolicySpec& policy, trace::StepSource& source,
                          const MachineSpec& machine = tiny_machine()) {
  return run(model, machine, policy, source, {.recorded_steps = 1000});
}

/// Durations that the planner must have used: read from the compute-only run.
struct Durations {
  Picoseconds attention, gate, experts, readback{20 * us};
};
Durations durations(const ModelSpec& model, trace::StepSource& source) {
  const SimulationResult result = recorded(model, load_policy("on-demand"), source);
  Durations d;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    const Picoseconds took = result.timeline.finish[i] - result.timeline.start[i];
    switch (result.schedule.operation(static_cast<OpId>(i)).kind) {
      case OpKind::attention:
        d.attention = took;
        break;
      case OpKind::gate:
        d.gate = took;
        break;
      case OpKind::experts:
        d.experts = took;
        break;
      default:
        break;
    }
  }
  return d;
}

// On-demand: gate, blocking read-back of the ids, one copy after the other, then the experts. Block latency
// is the sum.
TEST(OnDemand, BlockIsTheSumOfItsParts) {
  const ModelSpec model = tiny_model(3, 8, 2);
  ListSource source(test::decoder_info(3, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3, 4, 5}, true);
  const Durations d = durations(model, source);
  const SimulationResult result = run(model, tiny_machine(), load_policy("on-demand"), source);
  const Picoseconds block = d.attention + d.gate + d.readback + copy_time() * 2 + d.experts;
  EXPECT_DOUBLE_EQ(result.tally.block_latency.mean_ms(), block.milliseconds());
  EXPECT_EQ(result.tally.exposed_transfer, copy_time() * 6);
  EXPECT_EQ(result.tally.exposed_host, d.readback * 3);
  EXPECT_EQ(result.tally.fetched, test::tiny_expert * 6);
}

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

TEST(GpuOnly, CopiesNothingAndReadsNothingBack) {
  const ModelSpec model = tiny_model(2, 8, 2);
  ListSource source(test::decoder_info(2, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3}, true);
  const SimulationResult result = recorded(model, load_policy("gpu-only"), source);
  EXPECT_THAT(names(result.schedule),
              ElementsAre("attention L0", "experts L0", "attention L1", "experts L1"));
  EXPECT_EQ(result.decode_cache.hits, 4);
}

/// The machine with just the memory that `result` used, less `slots` expert slots.
MachineSpec tight(const SimulationResult& result, std::int64_t slots) {
  MachineSpec machine = tiny_machine();
  machine.gpu.memory = machine.gpu.reserved + result.memory.total() - test::tiny_expert * slots;
  return machine;
}

// Every expert of a layer must be in a slot when its operation runs, and no slot may be overwritten while it
// is read: checked from the schedule alone, for every policy, cache and lookahead, on random traces with
// prefill waves.

struct Hazards : testing::TestWithParam<std::tuple<std::string, std::string, std::string, int>> {
  static void check(const SimulationResult& result);
};

TEST_P(Hazards, CopiesEndBeforeTheirReadersAndNeverOverwriteASlotInUse) {
  const auto& [name, capacity, scope, distance] = GetParam();
  const int layers = 5, experts = 12, top_k = 3;
  const ModelSpec model = tiny_model(layers, experts, top_k);
  ListSource source = test::random_source(11, layers, experts, top_k, 2, 6, 12);
  PolicySpec policy = load_policy(name);
  policy.cache.capacity = parse_capacity(capacity, "test");
  policy.cache.scope = scope == "layer" ? CacheScope::layer : CacheScope::global;
  policy.lookahead.distance = distance;
  const SimulationResult roomy = recorded(model, policy, source);
  check(roomy);
  const SimulationResult waves = recorded(model, policy, source, tight(roomy, roomy.prefill_slots));
  EXPECT_EQ(waves.prefill_slots, 0);
  check(waves);
}

void Hazards::check(const SimulationResult& result) {
  const Schedule& schedule = result.schedule;
  ASSERT_GT(schedule.size(), 0U);

  // Readers of a slot: experts operations that depend on the copy which filled it. Each later copy into the
  // slot must start after all of them ended.
  std::map<std::int32_t, OpId> filled_by;
  std::map<std::int32_t, Picoseconds> read_until;
  std::int64_t fetched = 0;
  for (OpId id = 0; id < static_cast<OpId>(schedule.size()); ++id) {
    const Operation& op = schedule.operation(id);
    const auto at = static_cast<std::size_t>(id);
    for (const OpId dependency : schedule.dependencies(id)) {
      ASSERT_LE(result.timeline.finish[static_cast<std::size_t>(dependency)], result.timeline.start[at]);
      const Operation& copy = schedule.operation(dependency);
      if (op.kind == OpKind::experts && copy.kind == OpKind::fetch) {
        ASSERT_EQ(filled_by[copy.slot], dependency)
            << "operation " << id << " reads a slot that was overwritten";
        read_until[copy.slot] = std::max(read_until[copy.slot], result.timeline.finish[at]);
      }
    }
    if (op.kind != OpKind::fetch) continue;
    ++fetched;
    ASSERT_GE(op.slot, 0);
    ASSERT_LT(op.slot, result.cache_slots + result.buffer_slots + result.prefill_slots);
    if (read_until.contains(op.slot)) {
      ASSERT_LE(read_until[op.slot], result.timeline.start[at])
          << "slot " << op.slot << " overwritten while read";
    }
    filled_by[op.slot] = id;
  }
  EXPECT_EQ(fetched, result.tally.fetches);
  // Conservation of bytes: every miss is one copy; what was copied in vain is counted as wasted.
  const std::int64_t misses = result.decode_cache.misses + result.other_cache.misses;
  const std::int64_t wasted = result.decode_cache.wasted + result.other_cache.wasted;
  EXPECT_EQ(result.tally.fetches, misses + wasted);
  EXPECT_EQ(result.tally.fetched, test::tiny_expert * result.tally.fetches);
}

INSTANTIATE_TEST_SUITE_P(Policies, Hazards,
                         testing::Combine(testing::Values("on-demand", "prefetch-all", "pre-gated"),
                                          testing::Values("0", "25%", "1 slots", "100%"),
                                          testing::Values("layer", "global"), testing::Values(1, 2, 4)));

// A prefill gets buffers for all its experts and computes them at once; where memory is short it runs in
// waves, and every expert is fetched once all the same.
TEST(Waves, PrefillWithoutRoomRunsInWaves) {
  const ModelSpec model = tiny_model(1, 8, 1);
  ListSource source(test::decoder_info(1, 8, 1));
  source.add(Phase::prefill, 5, {0, 1, 2, 3, 4}, true);
  source.add(Phase::decode, 1, {0});
  const SimulationResult roomy = recorded(model, load_policy("on-demand"), source);
  EXPECT_EQ(roomy.buffer_slots, 1);
  EXPECT_EQ(roomy.prefill_slots, 5);
  EXPECT_THAT(names(roomy.schedule),
              ElementsAre("attention L0", "gate_readback L0", "fetch L0 E0", "fetch L0 E1", "fetch L0 E2",
                          "fetch L0 E3", "fetch L0 E4", "experts L0",  //
                          "attention L0", "gate_readback L0", "fetch L0 E0", "experts L0"));
  const SimulationResult result = recorded(model, load_policy("on-demand"), source, tight(roomy, 5));
  EXPECT_EQ(result.prefill_slots, 0);
  EXPECT_THAT(result.notes, testing::Contains(testing::HasSubstr("in waves")));
  EXPECT_THAT(names(result.schedule),
              ElementsAre("attention L0", "gate_readback L0",  //
                          "fetch L0 E0", "experts L0", "fetch L0 E1", "experts L0", "fetch L0 E2",
                          "experts L0", "fetch L0 E3", "experts L0", "fetch L0 E4", "experts L0",  //
                          "attention L0", "gate_readback L0", "fetch L0 E0", "experts L0"));
  EXPECT_TRUE(run(model, tight(roomy, 6), load_policy("on-demand"), source).out_of_memory);
}

TEST(Recorded, WrongGuessesAreWastedAndMissesFetchedOnDemand) {
  trace::TraceInfo info = test::decoder_info(2, 8, 2);
  info.has_predictions = true;
  info.prediction_distance = 1;
  ListSource source(info);
  source.add(Phase::decode, 1, {0, 1, 2, 3}, true, {0, 1, 2, 7});
  const ModelSpec model = tiny_model(2, 8, 2);
  PolicySpec policy = load_policy("pre-gated");
  policy.lookahead.kind = LookaheadKind::recorded;
  const SimulationResult result = recorded(model, policy, source);
  EXPECT_THAT(names(result.schedule),
              ElementsAre("attention L0", "gate_readback L0", "fetch L0 E0", "fetch L0 E1", "fetch L1 E2",
                          "fetch L1 E7", "experts L0",  //
                          "attention L1", "gate_readback L1", "fetch L1 E3", "experts L1"));
  EXPECT_EQ(result.decode_cache.wasted, 1);
  EXPECT_EQ(result.decode_cache.prefetched, 1);
}

TEST(Recorded, NeedsATraceWithPredictions) {
  ListSource source(test::decoder_info(2, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3}, true);
  PolicySpec policy = load_policy("pre-gated");
  policy.lookahead.kind = LookaheadKind::recorded;
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
  policy.lookahead.kind = LookaheadKind::recorded;
  policy.lookahead.distance = 2;
  const SimulationResult fifo = run(model, tiny_machine(), policy, source);
  policy.transfer.queue = TransferQueue::demand_first;
  const SimulationResult demand_first = run(model, tiny_machine(), policy, source);
  EXPECT_EQ(fifo.tally.fetched, demand_first.tally.fetched);
  EXPECT_LT(demand_first.tally.exposed_transfer, fifo.tally.exposed_transfer);
}

TEST(Chunks, PayTheFixedCostEach) {
  const ModelSpec model = tiny_model(1, 8, 1);
  ListSource source(test::decoder_info(1, 8, 1));
  source.add(Phase::decode, 1, {0}, true);
  PolicySpec policy = load_policy("on-demand");
  policy.transfer.chunk = Bytes{40'000};  // 40,000 + 40,000 + 18,304
  const SimulationResult result = run(model, tiny_machine(), policy, source);
  EXPECT_EQ(result.tally.fetches, 3);
  EXPECT_EQ(result.tally.fetched, test::tiny_expert);
  EXPECT_EQ(result.tally.exposed_transfer, copy_time() + Picoseconds{2 * copy_us * us});
}

TEST(Staging, AHitSkipsOnlyTheHostCopy) {
  const ModelSpec model = tiny_model(1, 8, 1);
  ListSource source(test::decoder_info(1, 8, 1));
  source.add(Phase::decode, 1, {0}, true);
  source.add(Phase::decode, 1, {0});
  PolicySpec policy = load_policy("on-demand");
  policy.cache.capacity = parse_capacity("1 slots", "test");
  policy.transfer.staging_copies = 2;
  const MachineSpec machine = tiny_machine();
  const Picoseconds staging =
      Picoseconds{2 * 5 * us} + time_at(test::tiny_expert, machine.gpu.device_copy_bandwidth);
  const SimulationResult result = run(model, machine, policy, source);
  EXPECT_EQ(result.tally.fetches, 1);
  EXPECT_EQ(result.decode_cache.hits, 1);
  EXPECT_EQ(result.tally.exposed_transfer, copy_time() + staging * 2);
}

TEST(PerExpert, EachComputesAsSoonAsItIsThere) {
  const ModelSpec model = tiny_model(1, 8, 2);
  ListSource source(test::decoder_info(1, 8, 2));
  source.add(Phase::decode, 1, {0, 1}, true);
  PolicySpec policy = load_policy("on-demand");
  policy.compute.experts = ExpertCompute::per_expert;
  const SimulationResult result = recorded(model, policy, source);
  EXPECT_THAT(names(result.schedule), ElementsAre("attention L0", "gate_readback L0", "fetch L0 E0",
                                                  "fetch L0 E1", "experts L0", "experts L0"));
  EXPECT_LT(result.tally.exposed_transfer, copy_time() * 2);
}

TEST(Placement, PopularAndFirstLayersArePinned) {
  const ModelSpec model = tiny_model(2, 4, 1);
  ListSource source(test::decoder_info(2, 4, 1));
  for (const std::uint16_t expert : std::vector<std::uint16_t>{3, 3, 3, 1})
    source.add(Phase::decode, 1, {expert, expert});
  PolicySpec policy = load_policy("on-demand");
  policy.placement.kind = PlacementKind::popular;
  policy.placement.count = 1;
  SimulationResult result = run(model, tiny_machine(), policy, source);
  EXPECT_EQ(result.decode_cache.hits, 6);
  EXPECT_EQ(result.tally.fetches, 2);
  policy.placement.kind = PlacementKind::first_layers;
  result = run(model, tiny_machine(), policy, source);
  EXPECT_EQ(result.decode_cache.hits, 4);
  EXPECT_EQ(result.tally.fetches, 4);
  EXPECT_EQ(result.memory.peak[static_cast<std::size_t>(MemoryPurpose::resident_experts)],
            test::tiny_expert * 4);
}

TEST(Routing, ATokenMayHaveFewerExperts) {
  const ModelSpec model = tiny_model(1, 8, 2);
  ListSource source(test::decoder_info(1, 8, 2));
  source.add(Phase::decode, 1, {5, trace::no_expert}, true);
  source.add(Phase::decode, 1, {trace::no_expert, trace::no_expert});
  const SimulationResult result = run(model, tiny_machine(), load_policy("on-demand"), source);
  EXPECT_EQ(result.tally.fetches, 1);
  EXPECT_EQ(result.decode_cache.misses, 1);
}

TEST(Trace, MustFitTheModel) {
  ListSource source(test::decoder_info(2, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3}, true);
  EXPECT_THROW(run(tiny_model(3, 8, 2), tiny_machine(), load_policy("on-demand"), source), InputError);
  EXPECT_THROW(run(tiny_model(2, 4, 2), tiny_machine(), load_policy("on-demand"), source), InputError);
  EXPECT_THROW(run(tiny_model(2, 8, 1), tiny_machine(), load_policy("on-demand"), source), InputError);
}

}  // namespace
}  // namespace pregate::sim
