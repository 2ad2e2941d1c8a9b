// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

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

// Two steps with the same experts, all cached: of the second step's staging copies only the first layer's is
// waited for. The other layers' was made when they were announced, while the layer before computed, and a
// wrong announcement leaves nothing behind (its expert is staged again when it is read).
TEST(Staging, AnAnnouncedHitIsStagedAhead) {
  const ModelSpec model = tiny_model(3, 8, 1);
  PolicySpec policy = load_policy("pre-gated");
  policy.cache.capacity = parse_capacity("4 slots", "test");
  policy.transfer.staging_copies = 2;
  const MachineSpec machine = tiny_machine();
  const Picoseconds staging =
      Picoseconds{2 * 5 * us} + time_at(test::tiny_expert, machine.gpu.device_copy_bandwidth);
  const auto exposed = [&](int steps) {
    ListSource source(test::decoder_info(3, 8, 1));
    for (int step = 0; step < steps; ++step) source.add(Phase::decode, 1, {0, 1, 2}, step == 0);
    return run(model, machine, policy, source).tally.exposed_transfer;
  };
  EXPECT_EQ(exposed(2) - exposed(1), staging);
  EXPECT_EQ(exposed(5) - exposed(1), staging * 4);

  // Predicted: 1 for layer 1, where first 0, then 1 is needed; both are cached by then.
  choose(policy.lookahead.predictor, built_in_parts().predictors, "recorded");
  trace::TraceInfo info = test::decoder_info(3, 8, 1);
  info.has_predictions = true;
  info.prediction_distance = 1;
  ListSource source(info);
  const auto add = [&](std::uint16_t needed, std::uint16_t predicted, bool first) {
    source.add(Phase::decode, 1, {0, needed, 2}, first, {trace::no_expert, predicted, 2});
  };
  add(0, 0, true);
  add(1, 1, false);
  const SimulationResult before = run(model, machine, policy, source);
  add(0, 1, false);  // wrong: 0 is staged when it is read
  add(1, 1, false);  // right: staged once more, ahead
  const SimulationResult after = run(model, machine, policy, source);
  EXPECT_EQ(after.decode_cache.misses, before.decode_cache.misses);
  EXPECT_EQ(after.tally.exposed_transfer - before.tally.exposed_transfer, staging * 3);
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

// 22 % of 32 x 8 experts are 56: one or two a layer, none lost; rounded down a layer it would be 32.
TEST(CacheSplit, SpreadUsesTheWholeShare) {
  const ModelSpec model = tiny_model(32, 8, 2);
  ListSource source = test::random_source(1, 32, 8, 2, 1, 0, 2);
  PolicySpec policy = load_policy("on-demand-cache");
  policy.cache.capacity = parse_capacity("22%", "test");
  EXPECT_EQ(run(model, tiny_machine(), policy, source).cache_slots, 32);
  policy.cache.split = CacheSplit::spread;
  EXPECT_EQ(run(model, tiny_machine(), policy, source).cache_slots, 56);
  policy.cache.capacity.kind = CapacityKind::bytes;
  policy.cache.capacity.bytes = test::tiny_expert * 45;
  EXPECT_EQ(run(model, tiny_machine(), policy, source).cache_slots, 45);
  const PreparedTrace prepared(source, model, "test");
  const cache::CacheGeometry geometry =
      cache_geometry(policy.cache, prepared.map(), std::vector<std::uint8_t>(prepared.map().keys()), false);
  EXPECT_EQ(*std::min_element(geometry.capacity.begin(), geometry.capacity.end()), 1);
  EXPECT_EQ(*std::max_element(geometry.capacity.begin(), geometry.capacity.end()), 2);
}

}  // namespace
}  // namespace pregate::sim
