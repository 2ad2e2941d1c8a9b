// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/schedule/analysis.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/engine/event_engine.hpp"
#include "sim/schedule/graph.hpp"
#include "tests/schedule/build.hpp"
#include "tests/schedule/random_schedule.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::sim {
namespace {

using namespace test;
using testing::ElementsAre;

/// attention 40 us -> read-back 10 -> fetch 100 -> experts 30; beside it a dense layer of 20 that nothing
/// waits for.
Schedule on_demand_layer() {
  Schedule schedule;
  schedule.platform = one_gpu::platform();
  const OpId attention = schedule.add(work(one_gpu::compute, us(40)), {});
  const OpId readback = schedule.add(work(one_gpu::host, us(10), OpKind::gate_readback), {{attention}});
  const OpId fetch = schedule.add(copy(one_gpu::h2d, us(20), 2'000'000, gb_per_s(25), 0), {{readback}});
  schedule.add(work(one_gpu::compute, us(20), OpKind::dense_layer), {});
  schedule.add(work(one_gpu::compute, us(30), OpKind::experts), {{fetch}});
  return schedule;
}

TEST(CriticalPath, GoesThroughTheCopyAndAddsUpToTheMakespan) {
  const Schedule schedule = on_demand_layer();
  const Timeline timeline = run(schedule);
  const CriticalPath path = critical_path(schedule, timeline);
  EXPECT_THAT(path.operations, ElementsAre(0, 1, 2, 4));
  EXPECT_EQ(path.compute, us(70));
  EXPECT_EQ(path.host, us(10));
  EXPECT_EQ(path.transfer, us(100));
  EXPECT_EQ(path.waiting, us(0));
}

// What the CPU computes is not the GPU's computation.
TEST(CriticalPath, ExpertsOnTheCpuAreApart) {
  Schedule schedule;
  schedule.platform = one_gpu::platform();
  const OpId attention = schedule.add(work(one_gpu::compute, us(40)), {});
  const OpId experts = schedule.add(work(one_gpu::cpu, us(90), OpKind::cpu_experts), {{attention}});
  schedule.add(work(one_gpu::compute, us(30), OpKind::experts), {});
  schedule.add(work(one_gpu::compute, us(0), OpKind::combine), {{experts}});
  const CriticalPath path = critical_path(schedule, run(schedule));
  EXPECT_EQ(path.compute, us(40));
  EXPECT_EQ(path.cpu, us(90));
  EXPECT_EQ(path.transfer + path.host + path.waiting, us(0));
}

// Only the dense layer (3) has slack: it ends at 60 us and must leave the stream to the experts at 150 us.
TEST(Slack, IsTheDelayThatTheEndForgives) {
  const Schedule schedule = on_demand_layer();
  EXPECT_THAT(slack(schedule, run(schedule)), ElementsAre(us(0), us(0), us(0), us(90), us(0)));
}

// A planner that submits late leaves gaps that belong to no operation: waiting. Here 5 us before the first, 7
// between.
TEST(CriticalPath, GapsAreWaiting) {
  Schedule schedule;
  schedule.platform = one_gpu::platform();
  schedule.add(work(one_gpu::compute, us(10)), {});
  schedule.add(work(one_gpu::compute, us(10)), {});
  const Timeline timeline{.start = {us(5), us(22)}, .finish = {us(15), us(32)}};
  const CriticalPath path = critical_path(schedule, timeline);
  EXPECT_THAT(path.operations, ElementsAre(0, 1));
  EXPECT_EQ(path.compute, us(20));
  EXPECT_EQ(path.waiting, us(12));
}

// Of two predecessors that finish together, the one issued first is on the path.
TEST(CriticalPath, TieGoesToTheEarliestIssued) {
  Schedule schedule;
  schedule.platform = one_gpu::platform();
  const OpId a = schedule.add(work(one_gpu::host, us(10)), {});
  const OpId b = schedule.add(work(one_gpu::h2d, us(10), OpKind::fetch), {});
  schedule.add(work(one_gpu::compute, us(1)), {{b, a}});
  EXPECT_THAT(critical_path(schedule, run(schedule)).operations, ElementsAre(a, 2));
}

// In a priority stream the neighbour is the one that ran before, not the one issued before.
TEST(CriticalPath, FollowsTheOrderInWhichAPriorityStreamRan) {
  Schedule schedule;
  schedule.platform = one_gpu::platform();
  schedule.platform[one_gpu::h2d].order = StreamOrder::priority;
  Operation fetch = work(one_gpu::h2d, us(10), OpKind::fetch);
  fetch.priority = 1;
  schedule.add(fetch, {});
  schedule.add(fetch, {});
  fetch.priority = 0;
  schedule.add(fetch, {});
  const Timeline timeline = run(schedule);
  EXPECT_THAT(critical_path(schedule, timeline).operations, ElementsAre(2, 0, 1));
  EXPECT_THAT(slack(schedule, timeline), ElementsAre(us(0), us(0), us(0)));
}

// On engine timelines: shares add up to the makespan, the path is gapless and without slack, and slack is
// never negative.
TEST(Analysis, PropertiesHoldOnRandomSchedules) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const auto order = seed % 2 == 0 ? StreamOrder::priority : StreamOrder::fifo;
    const Schedule schedule = random_schedule({.seed = seed, .operations = 300, .copy_order = order});
    const Timeline timeline = run(schedule);
    const auto last = *std::max_element(timeline.finish.begin(), timeline.finish.end());
    const CriticalPath path = critical_path(schedule, timeline);
    ASSERT_EQ(path.compute + path.cpu + path.transfer + path.host + path.waiting, last);
    ASSERT_EQ(path.waiting, us(0));
    const auto slacks = slack(schedule, timeline);
    for (const OpId id : path.operations) ASSERT_EQ(slacks[static_cast<std::size_t>(id)], us(0)) << id;
    ASSERT_GE(*std::min_element(slacks.begin(), slacks.end()), us(0));
    ASSERT_TRUE(is_acyclic(schedule));
  }
}

TEST(Analysis, EmptyAndForeignTimelines) {
  EXPECT_TRUE(critical_path({}, {}).operations.empty());
  EXPECT_TRUE(slack({}, {}).empty());
  EXPECT_TRUE(is_acyclic({}));
  EXPECT_THROW((void)critical_path(on_demand_layer(), {}), std::invalid_argument);
  EXPECT_THROW((void)slack(on_demand_layer(), {}), std::invalid_argument);
}

TEST(Graph, FindsTheCycle) {
  EXPECT_THAT(find_cycle(5, {{0, 1}, {1, 2}, {2, 3}, {3, 1}, {3, 4}}), ElementsAre(1, 2, 3));
  EXPECT_THAT(find_cycle(2, {{1, 1}}), ElementsAre(1));
  EXPECT_THAT(find_cycle(3, {{2, 1}, {1, 0}, {2, 0}}), ElementsAre());
  EXPECT_THAT(topological_order(3, {{2, 1}, {1, 0}, {2, 0}}), ElementsAre(2, 1, 0));
  EXPECT_THAT(topological_order(2, {{0, 1}, {1, 0}}), ElementsAre());
}

}  // namespace
}  // namespace pregate::sim
