// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/copy_queue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/stream_backlog.hpp"

namespace pregate::runtime {
namespace {

using sim::OpId;
using sim::OpKind;
using testing::ElementsAre;

CopyQueue::Copy copy(OpId id, std::uint8_t priority = 0, std::vector<OpId> after = {}) {
  sim::Entry entry{.kind = OpKind::fetch, .stream = sim::StreamId{1}};
  entry.priority = priority;
  return {.id = id, .entry = entry, .bytes = {}, .dependencies = std::move(after)};
}

std::vector<OpId> ids(const std::vector<CopyQueue::Copy>& copies) {
  std::vector<OpId> all;
  for (const CopyQueue::Copy& each : copies) all.push_back(each.id);
  return all;
}

bool always(OpId) { return true; }

TEST(CopyQueue, KeepsTheOrderOfIssue) {
  CopyQueue queue(false);
  for (const OpId id : {3, 5, 8}) queue.push(copy(id, id == 8 ? 0 : 1));
  EXPECT_EQ(queue.next(always), 3);
  EXPECT_THAT(ids(queue.take_through(5)), ElementsAre(3, 5));
  EXPECT_FALSE(queue.holds(5));
  EXPECT_TRUE(queue.holds(8));
  EXPECT_EQ(queue.next(always), 8);
}

// What was taken back keeps its turn, so that what waits for it goes on, and is taken back once.
TEST(CopyQueue, TakesBackWhatTheDeviceHasNotBeenGiven) {
  CopyQueue queue(false);
  queue.push(copy(1));
  queue.push(copy(2));
  EXPECT_THAT(ids(queue.take_through(1)), ElementsAre(1));
  EXPECT_FALSE(queue.take_back(1));
  EXPECT_TRUE(queue.take_back(2));
  EXPECT_FALSE(queue.take_back(2));
  const std::vector<CopyQueue::Copy> taken = queue.take_through(2);
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_TRUE(taken[0].is_taken_back);
}

// Demanded copies overtake announced ones, but nobody what it waits for, nor is one ready before that is
// done.
TEST(CopyQueue, DemandOvertakesWhatIsAnnounced) {
  CopyQueue queue(true);
  queue.push(copy(1, 1));
  queue.push(copy(2, 1));
  queue.push(copy(3, 0, {0}));
  queue.push(copy(4, 0, {2}));
  EXPECT_EQ(queue.next([](OpId id) { return id != 0 && id != 2; }), 1);
  EXPECT_EQ(queue.next(always), 3);
  EXPECT_THAT(ids(queue.take_through(4)), ElementsAre(3, 2, 4));
  EXPECT_THAT(ids(queue.take_through(1)), ElementsAre(1));
  EXPECT_TRUE(queue.empty());
}

constexpr sim::StreamId copies{1}, computes{0};
constexpr Picoseconds nothing(OpId) { return {}; }

// left = sum over what has not ended of the mean of its kind on that stream, less what the running one has
// done of its own.
TEST(StreamBacklog, IsTheMeanOfEachKindLessWhatHasRun) {
  StreamBacklog backlog([](OpKind kind) { return Picoseconds{kind == OpKind::fetch ? 100 : 0}; });
  for (OpId id = 0; id < 4; ++id) backlog.issue(copies, id, OpKind::fetch);
  backlog.issue(copies, 4, OpKind::device_copy);
  backlog.issue(computes, 5, OpKind::experts);
  EXPECT_EQ(backlog.left(copies, nothing).count, 400) << "before one has ended: what was expected";
  EXPECT_EQ(backlog.left(computes, nothing).count, 0) << "nothing is known of it";
  // Two took 30 and 33: a mean of 31 ps each, as times are whole picoseconds.
  backlog.settle(
      copies, [](OpId id) { return id < 2; }, [](OpId id) { return Picoseconds{id == 0 ? 30 : 33}; });
  EXPECT_EQ(backlog.left(copies, nothing).count, 31 + 31);
  EXPECT_EQ(backlog.left(copies, [](OpId id) { return Picoseconds{id == 2 ? 20 : 0}; }).count, 11 + 31);
  EXPECT_EQ(backlog.left(copies, [](OpId id) { return Picoseconds{id == 2 ? 99 : 0}; }).count, 31)
      << "one that takes longer than the mean is about to end";
  backlog.take_back(copies, 3);
  EXPECT_EQ(backlog.left(copies, nothing).count, 31);
  EXPECT_EQ(backlog.left(computes, nothing).count, 0);
}

}  // namespace
}  // namespace pregate::runtime
