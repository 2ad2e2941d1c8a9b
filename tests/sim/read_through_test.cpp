// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Kernels that read missing experts over the link.
#include <gtest/gtest.h>

#include "sim/engine/event_engine.hpp"
#include "sim/report/limits.hpp"
#include "sim/report/shares.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

struct ReadThrough : testing::Test {
  ModelSpec model = test::tiny_model(1, 8, 3);
  MachineSpec machine = test::tiny_machine();
  test::ListSource source{test::decoder_info(1, 8, 3)};
  PolicySpec policy = load_policy("on-demand");

  ReadThrough() {
    source.add(trace::Phase::decode, 1, {1, 2, 3}, true);
    choose(policy.miss.service, built_in_parts().miss_services, "read-through");
    machine.h2d.per_copy = machine.h2d.latency = {};
  }
  static Picoseconds took(const SimulationResult& result, OpKind kind) {
    for (std::size_t i = 0; i < result.schedule.size(); ++i) {
      if (result.schedule.operation(static_cast<OpId>(i)).kind == kind)
        return result.timeline.finish[i] - result.timeline.start[i];
    }
    return {-1};
  }
};

// Launches of 60 us, then the longer of both: three experts of 98,304 B at 1 GB/s. No copy, no slot, and the
// time is the link's.
TEST_F(ReadThrough, TakesTheLongerOfKernelAndLink) {
  const SimulationResult result = recorded(model, policy, source, machine);
  const Picoseconds reading{3 * 98'304'000LL};
  EXPECT_EQ(took(result, OpKind::read_through), Picoseconds{60 * us} + reading);
  EXPECT_EQ(took(result, OpKind::experts), Picoseconds{-1}) << "there is nothing else to compute";
  EXPECT_EQ(result.tally.fetches, 0);
  EXPECT_EQ(result.tally.fetched, test::tiny_expert * 3);
  EXPECT_EQ(result.tally.spent[Cause::link], reading);
  EXPECT_GE(result.tally.gpu_arithmetic(), Picoseconds{});
  EXPECT_EQ(result.buffer_slots, 0);
  EXPECT_EQ(sim::run(result.schedule), result.timeline);
  EXPECT_EQ(test::run(model, machine, policy, source).total, result.total);

  policy.miss.service.set("rate", "500MB/s");
  EXPECT_EQ(took(recorded(model, policy, source, machine), OpKind::read_through),
            Picoseconds{60 * us} + reading * 2);
}

// The GPU's own memory, at half the link's rate, decides: three experts, the router and the norm of 64 x 8
// and 64 values of 4 bytes.
TEST_F(ReadThrough, IsAnyKernelWhereTheGpuIsSlower) {
  machine.gpu.memory_bandwidth = {5e8};
  machine.gpu.memory_efficiency = 1;
  const SimulationResult result = recorded(model, policy, source, machine);
  EXPECT_EQ(took(result, OpKind::read_through),
            Picoseconds{60 * us} + Picoseconds{2 * (3 * 98'304'000LL + 2'304'000)});
  EXPECT_EQ(result.tally.spent[Cause::link], Picoseconds{});
}

// What is resident is computed in its own kernel; an expert that is announced is copied beside the reading
// and shares the link with it.
TEST_F(ReadThrough, SharesTheLinkWithCopies) {
  model = test::tiny_model(2, 8, 3);
  test::ListSource two(test::decoder_info(2, 8, 3));
  two.add(trace::Phase::decode, 1, {1, 2, 3, 4, 5, 6}, true);
  choose(policy.lookahead.predictor, built_in_parts().predictors, "pre-gate");
  const SimulationResult result = recorded(model, policy, two, machine);
  EXPECT_EQ(result.decode_cache.read_through, 3);
  EXPECT_EQ(result.tally.fetches, 3);
  EXPECT_EQ(result.tally.fetched, test::tiny_expert * 6);
  // Six experts cross a link of 1 GB/s that both begin to use when the first ids are known.
  EXPECT_GE(result.total, Picoseconds{6 * 98'304'000LL});
  EXPECT_EQ(test::run(model, machine, policy, two).total, result.total);
}

// Nearly all of the time is the link's, and taking the link away takes it away.
TEST_F(ReadThrough, IsBoundByTheLinkThatItReadsOver) {
  policy.miss.service.set("rate", "1MB/s");
  const SimulationResult result = test::run(model, machine, policy, source);
  const Limits limits = limits_of(result);
  EXPECT_EQ(limits.binding, Limit::link);
  EXPECT_GT(limits.most_speedup, 50);
  EXPECT_GT(utilisation(result).h2d, 0.9);
  EXPECT_LT(utilisation(result).compute, 0.1);
}

// Strata: of four misses, with half of the rate each, F = 2 are read by the GPU and the others the CPU
// computes meanwhile; both use the host's memory, and no copy is issued.
TEST(ReadFraction, ReadsWhatFractionCopies) {
  const ModelSpec model = test::tiny_model(1, 8, 4);
  test::ListSource source(test::decoder_info(1, 8, 4));
  source.add(trace::Phase::decode, 1, {1, 2, 3, 4}, true);
  MachineSpec machine = test::tiny_machine();
  machine.d2h = machine.h2d;
  PolicySpec policy = load_policy("on-demand");
  choose(policy.miss.service, built_in_parts().miss_services, "read-fraction");
  policy.miss.service.set("link", "0.5");
  const SimulationResult result = test::run(model, machine, policy, source);
  EXPECT_EQ(result.decode_cache.read_through, 2);
  EXPECT_EQ(result.decode_cache.computed_on_cpu, 2);
  EXPECT_EQ(result.tally.fetches, 0);
  EXPECT_EQ(result.tally.fetched, test::tiny_expert * 2);
  EXPECT_EQ(result.total, recorded(model, policy, source, machine).total);
}

TEST_F(ReadThrough, RefusesWhatItCannotDo) {
  policy.miss.service.set("rate", "2GB/s");
  EXPECT_THROW(test::run(model, machine, policy, source), InputError) << "faster than the link";
  policy.miss.service.set("rate", "0");
  policy.cache.capacity = parse_capacity("2 slots", "test");
  EXPECT_THROW(validate(policy, "test"), InputError) << "nothing would enter the cache";
}

}  // namespace
}  // namespace pregate::sim
