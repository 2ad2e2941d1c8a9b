// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "sim/cost/price.hpp"
#include "sim/engine/copy_queue.hpp"
#include "sim/engine/executor.hpp"

namespace pregate::sim {

/// Whether what was issued to a stream in order may be looked at and taken back before it starts.
enum class Loop : std::uint8_t {
  open,    ///< nobody asks: its times are computed when it is issued
  closed,  ///< copies wait in a queue until somebody must know when one of them ends
};

/// Executor in virtual time for streams without shared resources. An operation of an in-order stream is
/// decided when it is issued, so its times are computed there and then; copies that may overtake each other,
/// or be taken back, wait in a queue until somebody must know when one of them ends. The event engine gives
/// the same answer.
///
/// Of an operation is kept, until a pass ends, when it ends, what it is spent on, and the operation that
/// decided when it could start: the critical path is followed back from the end of the pass.
class StreamClock final : public Executor {
 public:
  StreamClock(const Topology& topology, CostModel& costs, Loop loop = Loop::open);

  [[nodiscard]] bool records() const override { return false; }
  void observe(const OperationObservers& observers) override { observers_ = observers; }
  void begin_pass(const PassInfo& pass) override { prices_.begin_pass(pass.shape, pass.micro_batches); }
  void run(const LayerProgram& program) override;
  Picoseconds wait(OpId operation) override;
  [[nodiscard]] bool is_done(OpId operation) const override;
  [[nodiscard]] Picoseconds backlog(StreamId stream) const override;
  bool cancel(OpId copy) override;
  void idle_until(Picoseconds time) override;
  Picoseconds end_pass(OpId last) override;
  void finish() override;
  [[nodiscard]] const Tally& tally() const override { return tally_; }
  [[nodiscard]] PathPoint end() const override;

 private:
  struct Point {
    Picoseconds finish = not_decided;
    OpId before = no_op;  ///< what decided its start; no_op: the beginning
    Spending spending;
  };
  /// The last operation of a stream, or the decisive one of several.
  struct Last {
    Picoseconds finish;
    OpId id = no_op;
    [[nodiscard]] bool decides_over(const Last& other) const {
      return finish > other.finish || (finish == other.finish && id < other.id);
    }
  };
  /// A stream whose copies wait to be decided.
  struct Queued {
    std::size_t stream;
    CopyQueue queue;
  };
  static constexpr Picoseconds not_decided{INT64_MIN};

  [[nodiscard]] Point& point(OpId id) { return points_[static_cast<std::size_t>(id - first_id_)]; }
  [[nodiscard]] const Point& point(OpId id) const {
    return points_[static_cast<std::size_t>(id - first_id_)];
  }
  [[nodiscard]] bool waits_in_queue(OpId id) const;
  [[nodiscard]] Queued* queued(std::size_t stream);
  [[nodiscard]] Last done(OpId id);
  [[nodiscard]] static const PathPoint* find(std::span<const PathPoint> paths, OpId id);
  [[nodiscard]] const PathPoint* before_pass(OpId id) const;
  void issue(OpKind kind, const Price& price, std::size_t stream, const Last& decisive, Bytes weights = {});
  void count(const EndedOperation& ended, const Spending& spending);
  void run_train(const Work& work, const Last& decisive);
  void queue(const Work& work, const LayerProgram& program, CopyQueue& to);
  void queue(const Price& price, CopyQueue::Copy copy, CopyQueue& to);
  bool start_next(std::optional<Picoseconds> before);
  void keep_paths(Picoseconds end, OpId awaited);
  [[nodiscard]] PathPoint path_to(const Last& last, std::span<const PathPoint> known = {}) const;

  Pricer prices_;
  std::vector<Queued> queued_;
  std::vector<bool> readbacks_;  ///< by stream: a host is told ids on it
  Tally tally_;
  OperationObservers observers_;
  Picoseconds now_;  ///< of the last decision point
  std::vector<Last> streams_;
  std::vector<Point> points_;  ///< of the pass, by id - first_id_
  OpId first_id_ = 0, next_id_ = 0;
  std::vector<PathPoint> before_pass_;  ///< paths to the streams' last operations before it
  struct LastOf {
    OpId id;
    std::size_t stream;
  };
  std::vector<LastOf> last_before_;  ///< these operations in order of issue, with their streams
  std::vector<PathPoint> outlived_;  ///< and to others that end after it began, in order of issue
};

/// Of one that is decided: the books, then the observers.
inline void StreamClock::count(const EndedOperation& ended, const Spending& spending) {
  tally_.add(ended.kind, number_of(ended.stream), spending.duration(), ended.weights);
  spending.add_to(tally_.spent);
  if (ended.kind != OpKind::read_through && observers_.empty()) return;
  CauseSums spent;
  spending.add_to(spent);
  if (ended.kind == OpKind::read_through) tally_.reading += spent.transfer();
  EndedOperation told = ended;
  told.spent = spent;
  for (OperationObserver* const observer : observers_) observer->ended(told);
}

}  // namespace pregate::sim
