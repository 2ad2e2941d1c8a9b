// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Experts that are copied back to the host when they leave the GPU.
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
using trace::Phase;

// Every expert that was fetched is on the GPU at the end or was written back.
TEST(WriteBack, WhatComesInStaysOrLeaves) {
  const ModelSpec model = tiny_model(4, 16, 3);
  for (const char* capacity : {"0", "2 slots", "4 slots", "80%"}) {
    for (const char* name : {"on-demand", "pre-gated", "prefetch-all"}) {
      ListSource source = test::random_source(7, 4, 16, 3, 2, 7, 20);
      PolicySpec policy = load_policy(name);
      policy.cache.capacity = parse_capacity(capacity, "test");
      const SimulationResult plain = run(model, tiny_machine(), policy, source);
      policy.transfer.write_back = WriteBack::swap;
      const SimulationResult swapped = recorded(model, policy, source);
      EXPECT_EQ(plain.tally.fetches, swapped.tally.fetches);
      EXPECT_EQ(plain.decode_cache.hits, swapped.decode_cache.hits);
      EXPECT_EQ(plain.decode_cache.written_back, 0);
      const std::int64_t back = swapped.decode_cache.written_back + swapped.other_cache.written_back;
      std::int64_t issued = 0;
      for (std::size_t i = 0; i < swapped.schedule.size(); ++i)
        issued += swapped.schedule.operation(static_cast<OpId>(i)).kind == OpKind::write_back ? 1 : 0;
      EXPECT_EQ(issued, back);
      const std::int64_t stay = swapped.tally.fetches - back;
      EXPECT_GE(stay, 0);
      EXPECT_LE(stay, swapped.cache_slots) << name << " " << capacity;
      if (swapped.cache_slots == 0) {
        EXPECT_EQ(stay, 0);
      }
      if (std::string(capacity) == "2 slots") {
        EXPECT_EQ(stay, 2 * 4);
      }  // full by then
    }
  }
}

// A miss of a full cache costs a copy in and a copy out, one after the other; the second hides behind the
// experts unless the next fetch waits for it. Probed at the picosecond.
TEST(WriteBack, DelaysTheNextFetchByWhatDoesNotHide) {
  const ModelSpec model = tiny_model(1, 8, 1);
  ListSource source(test::decoder_info(1, 8, 1));
  for (std::uint16_t i = 0; i < 3; ++i) source.add(Phase::decode, 1, {i}, i == 0);
  PolicySpec policy = load_policy("on-demand");
  policy.cache.capacity = parse_capacity("1 slots", "test");
  const SimulationResult plain = recorded(model, policy, source);
  // From the end of the second fetch to the start of the third: the rest of a step and the beginning of
  // another.
  Picoseconds window, end;
  for (std::size_t i = 0; i < plain.schedule.size(); ++i) {
    if (plain.schedule.operation(static_cast<OpId>(i)).kind != OpKind::fetch) continue;
    window = plain.timeline.start[i] - end;
    end = plain.timeline.finish[i];
  }
  policy.transfer.write_back = WriteBack::swap;
  for (const std::int64_t excess : {-1, 0, 1}) {
    MachineSpec machine = tiny_machine();
    machine.d2h.bandwidth = machine.host.memory_bandwidth;
    machine.d2h.per_copy = {};
    machine.d2h.latency =
        window + Picoseconds{excess} - time_at(test::tiny_expert, machine.host.memory_bandwidth);
    const SimulationResult swapped = run(model, machine, policy, source);
    // The write-back of the second token's miss delays the third's fetch; the third's own is not waited for.
    EXPECT_EQ(swapped.total, plain.total + Picoseconds{std::max<std::int64_t>(0, excess)}) << excess;
    EXPECT_EQ(swapped.decode_cache.written_back, 2);
  }
}

}  // namespace
}  // namespace pregate::sim
