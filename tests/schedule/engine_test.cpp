// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/event_engine.hpp"

#include <gtest/gtest.h>

#include "models/error.hpp"
#include "tests/schedule/build.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::sim {
namespace {

using namespace test;

constexpr ResourceSet h2d_link = bit(one_gpu::link_h2d);
constexpr ResourceSet d2h_link = bit(one_gpu::link_d2h);
constexpr ResourceSet memory = bit(one_gpu::host_memory);

/// Advances to time `t` with an operation of the ssd stream, which no test here uses otherwise.
void advance_to(EventEngine& engine, Picoseconds t) {
  engine.run_until(engine.submit(work(one_gpu::ssd, t - engine.now()), {}));
}

/// Not done one picosecond before `t`, done at `t`.
void expect_done_at(EventEngine& engine, OpId id, Picoseconds t) {
  advance_to(engine, t - Picoseconds{1});
  EXPECT_FALSE(engine.is_done(id)) << "operation " << id << " is done before " << t.count << " ps";
  advance_to(engine, t);
  ASSERT_TRUE(engine.is_done(id)) << "operation " << id << " is not done at " << t.count << " ps";
  EXPECT_EQ(engine.finish(id), t);
}

// Alone on its link: latency + bytes / rate. 18,874,368 B at 25 GB/s pass in 754,974,720 ps.
TEST(EventEngine, UnloadedCopyTakesLatencyPlusBytesOverRate) {
  EventEngine engine(platform_with(one_gpu::link_h2d, gb_per_s(25)));
  const OpId id = engine.submit(copy(one_gpu::h2d, us(10), 18'874'368, gb_per_s(25), h2d_link), {});
  expect_done_at(engine, id, us(10) + Picoseconds{754'974'720});
}

// ... and to the picosecond where the quotient is not whole: 7 B at 3 B/s in ceil(7e12 / 3) ps, thrice in a
// row.
TEST(EventEngine, UnthrottledCopiesMatchTheirUnloadedDurationExactly) {
  EventEngine engine(platform_with(one_gpu::link_h2d, {3}));
  const Operation operation = copy(one_gpu::h2d, {1}, 7, {3}, h2d_link);
  EXPECT_EQ(unloaded_duration(operation).count, 2'333'333'333'335);
  OpId id = no_op;
  for (int i = 0; i < 3; ++i) id = engine.submit(operation, {});
  expect_done_at(engine, id, unloaded_duration(operation) * 3);
}

// A link that carries less than the copy's rate decides: 1 MB at min(25, 10) GB/s.
TEST(EventEngine, CapacityBelowTheRateThrottlesALoneFlow) {
  EventEngine engine(platform_with(one_gpu::link_h2d, gb_per_s(10)));
  const OpId id = engine.submit(copy(one_gpu::h2d, us(1), 1'000'000, gb_per_s(25), h2d_link), {});
  expect_done_at(engine, id, us(101));
}

// Capacity 0: the resource is absent and limits nobody.
TEST(EventEngine, ResourceWithoutCapacityIsNoLimit) {
  EventEngine engine{one_gpu::platform()};
  const OpId a = engine.submit(copy(one_gpu::h2d, {}, 1'000'000, gb_per_s(25), h2d_link), {});
  const OpId b = engine.submit(copy(one_gpu::d2h, {}, 1'000'000, gb_per_s(25), h2d_link), {});
  expect_done_at(engine, a, us(40));
  EXPECT_EQ(engine.finish(b), us(40));
}

// Two flows of equal caps on one link of C = 20 GB/s, B bytes each, the second d later. By max-min fairness
// the first has C alone for d, then both C/2 until the first is through: d + (B - C d) / (C/2); the second
// ends at 2B/C (the link never idles).   B = 1 MB, d = 10 us: 10 + 80 = 90 us and 100 us.
TEST(EventEngine, TwoFlowsShareALink) {
  EventEngine engine(platform_with(one_gpu::link_h2d, gb_per_s(20)));
  const OpId first = engine.submit(copy(one_gpu::h2d, {}, 1'000'000, gb_per_s(20), h2d_link), {});
  const OpId second = engine.submit(copy(one_gpu::cpu, us(10), 1'000'000, gb_per_s(20), h2d_link), {});
  expect_done_at(engine, first, us(90));
  expect_done_at(engine, second, us(100));
}

// Caps 4, 20 and 20 on 20 GB/s: fair share 6.67, so the first runs at its cap 4 and is never throttled; the
// others split the 16 that it leaves. 1 MB each: 8 GB/s -> 125 us; in that time the first moves 500 kB, and
// ends at 250 us.
TEST(EventEngine, FlowCappedBelowItsShareLeavesTheRest) {
  EventEngine engine(platform_with(one_gpu::host_memory, gb_per_s(20)));
  const OpId slow = engine.submit(copy(one_gpu::h2d, {}, 1'000'000, gb_per_s(4), memory), {});
  const OpId a = engine.submit(copy(one_gpu::d2h, {}, 1'000'000, gb_per_s(20), memory), {});
  const OpId b = engine.submit(copy(one_gpu::cpu, {}, 1'000'000, gb_per_s(20), memory), {});
  expect_done_at(engine, a, us(125));
  EXPECT_EQ(engine.finish(b), us(125));
  expect_done_at(engine, slow, us(250));
}

// Copies on two links, each within its link, through a memory bus that cannot carry both: h2d 24 + d2h 24 on
// 30 GB/s share it 15 : 15 though neither link is full. 3 MB down: 200 us. 6 MB up: 3 MB in 200 us, 3 MB at
// 24 GB/s in 125 us.
TEST(EventEngine, CopiesOfTwoLinksShareTheMemoryBus) {
  Platform platform = platform_with(one_gpu::host_memory, gb_per_s(30));
  platform[one_gpu::link_h2d].capacity = gb_per_s(24);
  platform[one_gpu::link_d2h].capacity = gb_per_s(24);
  EventEngine engine(platform);
  const OpId down = engine.submit(copy(one_gpu::d2h, {}, 3'000'000, gb_per_s(24), d2h_link | memory), {});
  const OpId up = engine.submit(copy(one_gpu::h2d, {}, 6'000'000, gb_per_s(24), h2d_link | memory), {});
  expect_done_at(engine, down, us(200));
  expect_done_at(engine, up, us(325));
}

// FIFO: a blocked head blocks the stream, though the operation behind it is ready.
TEST(EventEngine, FifoStreamWaitsForItsHead) {
  EventEngine engine{one_gpu::platform()};
  const OpId gate = engine.submit(work(one_gpu::compute, us(50)), {});
  const OpId head = engine.submit(work(one_gpu::h2d, us(5)), {{gate}});
  const OpId behind = engine.submit(work(one_gpu::h2d, us(5)), {});
  expect_done_at(engine, head, us(55));
  engine.run();
  EXPECT_EQ(engine.start(head), us(50));
  EXPECT_EQ(engine.start(behind), us(55));
}

// Priority: ready operations by (priority, issue order); one that is not ready does not block; nothing is
// preempted.
TEST(EventEngine, PriorityStreamTakesTheMostUrgentReadyOperation) {
  Platform platform = one_gpu::platform();
  platform[one_gpu::h2d].order = StreamOrder::priority;
  EventEngine engine(platform);
  const auto fetch = [](std::uint8_t priority) {
    Operation operation = work(one_gpu::h2d, us(10), OpKind::fetch);
    operation.priority = priority;
    return operation;
  };
  const OpId gate = engine.submit(work(one_gpu::compute, us(15)), {});
  const OpId urgent_later = engine.submit(fetch(0), {{gate}});
  const OpId guess_1 = engine.submit(fetch(2), {});
  const OpId guess_2 = engine.submit(fetch(2), {});
  const OpId wanted = engine.submit(fetch(1), {});
  engine.run();
  EXPECT_EQ(engine.start(wanted), us(0));
  EXPECT_EQ(engine.start(guess_1), us(10));       // gate not done yet
  EXPECT_EQ(engine.start(urgent_later), us(20));  // ready at 15, but guess_1 is not preempted
  EXPECT_EQ(engine.start(guess_2), us(30));
}

// A decision made when an operation is done competes for the streams freed at that very time.
TEST(EventEngine, OperationSubmittedAtADecisionPointMayOvertakeWhatIsNotStarted) {
  Platform platform = one_gpu::platform();
  platform[one_gpu::h2d].order = StreamOrder::priority;
  EventEngine engine(platform);
  Operation fetch = work(one_gpu::h2d, us(10), OpKind::fetch);
  fetch.priority = 1;
  const OpId gate = engine.submit(work(one_gpu::compute, us(10)), {});
  engine.submit(fetch, {});
  const OpId guess = engine.submit(fetch, {});
  engine.run_until(gate);  // the first fetch ends at the same time
  fetch.priority = 0;
  const OpId demand = engine.submit(fetch, {{gate}});
  engine.run();
  EXPECT_EQ(engine.start(demand), us(10));
  EXPECT_EQ(engine.start(guess), us(20));
}

// A chain across streams, with operations that take no time in it, ends at the sum of its durations.
TEST(EventEngine, ChainedDependenciesAddUp) {
  EventEngine engine{one_gpu::platform()};
  OpId last = no_op;
  for (int i = 0; i < 30; ++i) {
    const auto stream = static_cast<StreamId>(i % 3);
    last = engine.submit(work(stream, Picoseconds{i % 4}), {{last}});
  }
  engine.run();
  EXPECT_EQ(engine.finish(last).count, 7 * 6 + 0 + 1);  // 0+1+2+3 seven times, then 0 and 1
}

TEST(EventEngine, SubmittedLateStartsNoEarlierThanNow) {
  EventEngine engine{one_gpu::platform()};
  engine.run_until(engine.submit(work(one_gpu::compute, us(3)), {}));
  const OpId late = engine.submit(work(one_gpu::h2d, us(1)), {});
  engine.run();
  EXPECT_EQ(engine.start(late), us(3));
}

TEST(EventEngine, ForgottenOperationsCountAsDone) {
  EventEngine engine{one_gpu::platform()};
  const OpId old = engine.submit(work(one_gpu::compute, us(1)), {});
  const OpId running = engine.submit(work(one_gpu::compute, us(5)), {});
  engine.run_until(old);
  engine.forget_before(2);  // `running` is not done, so it stays
  EXPECT_TRUE(engine.is_done(old));
  EXPECT_THROW((void)engine.finish(old), std::out_of_range);
  EXPECT_FALSE(engine.is_done(running));
  const OpId next = engine.submit(work(one_gpu::h2d, us(1)), {{old, running}});
  engine.run();
  EXPECT_EQ(engine.start(next), us(6));
}

TEST(EventEngine, MisuseAndOverflowAreErrors) {
  EventEngine engine(platform_with(one_gpu::link_h2d, {1}));
  EXPECT_THROW(engine.submit(work(one_gpu::h2d, {-1}), {}), std::invalid_argument);
  EXPECT_THROW(engine.submit(copy(one_gpu::h2d, {}, 1, {0}, h2d_link), {}), std::invalid_argument);
  EXPECT_THROW(engine.submit(work(one_gpu::h2d, {1}), {{0}}), std::invalid_argument);  // itself
  EXPECT_THROW(engine.run_until(0), std::out_of_range);
  EXPECT_THROW((void)engine.is_done(0), std::out_of_range);
  EXPECT_THROW(EventEngine(platform_with(one_gpu::ssd_reads, {-1})), std::invalid_argument);
  // 10 MB at 1 B/s: 116 days, more than virtual time spans.
  engine.submit(copy(one_gpu::h2d, {}, 10'000'000, gb_per_s(1), h2d_link), {});
  EXPECT_THROW(engine.run(), InputError);
}

}  // namespace
}  // namespace pregate::sim
