// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <vector>

#include "sim/engine/event_engine.hpp"
#include "sim/engine/request.hpp"
#include "sim/engine/tally.hpp"
#include "sim/schedule/schedule.hpp"

namespace pregate::sim {

/// Executor in virtual time on the event engine: for shared resources and priority queues, and for recording
/// a schedule with its timeline. Counts the same tally as TimedExecutor.
class EventExecutor {
 public:
  using Handle = OpId;
  static constexpr Handle nothing = no_op;
  static constexpr bool records = true;

  class Dependencies {
   public:
    void add(Handle handle) { push(others_, handle); }
    void add_copy(Handle handle) { push(copies_, handle); }

   private:
    friend EventExecutor;
    static void push(std::vector<OpId>& ids, Handle handle) {
      if (handle != no_op) ids.push_back(handle);
    }
    std::vector<OpId> others_, copies_;
  };

  /// Records the operations of the first `recorded_steps` steps (0 = none).
  EventExecutor(const Platform& platform, std::int64_t recorded_steps);

  void begin_step(std::int64_t step, int stack, int tokens);
  Handle issue(const Request& request, const Dependencies& dependencies);
  void record_block(Handle first, Picoseconds first_duration, Handle last);
  Picoseconds end_step(Handle last);
  void finish();
  [[nodiscard]] const Tally& tally() const { return tally_; }
  [[nodiscard]] PathPoint end() const { return end_; }

  /// What was recorded; times are complete after finish().
  [[nodiscard]] const Schedule& schedule() const { return schedule_; }
  [[nodiscard]] const Timeline& timeline() const { return timeline_; }

 private:
  struct Pending {
    OpId id;
    OpKind kind;
    StreamId stream;
    std::size_t first_dependency, other_count, dependency_count;  // in dependencies_, copies last
    Bytes bytes;
  };
  struct Block {
    OpId first, last;
  };
  void settle();
  void account(const Pending& operation);
  void forget_settled();
  [[nodiscard]] const PathPoint* point(OpId id) const;

  EventEngine engine_;
  std::int64_t recorded_steps_;
  std::int64_t step_ = 0;
  int stack_ = 0, tokens_ = 0;
  Tally tally_;
  std::vector<Pending> pending_;
  std::vector<OpId> dependencies_;  // of the pending operations
  std::vector<OpId> submitted_;     // of the operation being issued
  std::vector<Block> blocks_;
  std::deque<PathPoint> points_;  // of operations from first_point_ on
  std::deque<Picoseconds> starts_;
  OpId first_point_ = 0;
  std::array<PathPoint, stream_count> streams_{};
  PathPoint end_ = PathPoint::before_all();
  Schedule schedule_;
  Timeline timeline_;
};

}  // namespace pregate::sim
