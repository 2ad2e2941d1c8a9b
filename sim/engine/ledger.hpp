// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "sim/cost/price.hpp"
#include "sim/engine/operation_observer.hpp"
#include "sim/engine/recorder.hpp"
#include "sim/engine/ring.hpp"
#include "sim/engine/tally.hpp"

namespace pregate::sim {

/// How an operation's time is told apart by cause: as its price is made up, or, where it was measured, by its
/// kind alone.
enum class Attribution : std::uint8_t { priced, measured };

/// One operation as it is entered: of a train, one of its copies.
struct Entry {
  OpKind kind;
  StreamId stream;
  ResourceSet crosses = 0;  ///< what its flow shares with others
  std::uint8_t priority = 0;
  std::int32_t layer = -1, expert = -1, slot = -1, count = 0;

  // For devices; nothing of it is written down.
  std::int32_t ordinal = -1;             ///< of a MoE layer
  cache::ExpertKey key = cache::no_key;  ///< fetch: the expert
  std::int32_t chunk = 0;                ///< fetch: which of its copies, from 0
  std::int32_t source = -1;              ///< device_copy: the slot that is read
  std::int32_t micro_batch = -1;         ///< as Work's
  FormatId format{};                     ///< fetch, experts: of the weights
};

/// Books of the executors that learn an operation's times only after they issued it: the event engine's and a
/// real device's. Turns work into operations, and when they are over counts the same tally and critical path
/// as StreamClock, lets the recorder write down when, and tells the observers.
class Ledger {
 public:
  struct Times {
    Picoseconds start, finish;
  };

  /// Records the operations of the first `recorded_steps` steps (0 = none). With `compute_traffic`, compute
  /// operations are flows of that rate on the host's memory bus, and share it with copies.
  Ledger(const Topology& topology, std::int64_t recorded_steps, BytesPerSecond compute_traffic = {},
         Attribution attribution = Attribution::priced);

  /// Recorded are as many steps from `step` on: before anything is entered. Dependencies on what came before
  /// them are not in the schedule, whose times are those of the run.
  void record_from(std::int64_t step) { recorder_.record_from(step); }
  /// As Executor.
  void observe(const OperationObservers& observers) { observers_ = observers; }

  void begin_step(std::int64_t step, int stack, int tokens);
  /// Enters the next operation. It depends on `others` and on copies, no_op not among them. The result is
  /// valid until the next call; its dependencies are dependencies(), copies last.
  const Operation& add(const Entry& entry, const Price& price, std::span<const OpId> others,
                       std::span<const OpId> copies);
  /// Of an operation that is measured: it says what it moves, 0 when it is no copy, and not how long it
  /// takes.
  const Operation& add(const Entry& entry, Bytes bytes, std::span<const OpId> others,
                       std::span<const OpId> copies);
  [[nodiscard]] std::span<const OpId> dependencies() const { return submitted_; }
  /// Identifier of the next operation.
  [[nodiscard]] OpId next_id() const { return static_cast<OpId>(kept_.end_index()); }
  /// An entered operation, not settled yet, was taken back: it moves nothing.
  void make_empty(OpId id);
  /// The GPU that leads, all of whose operations are settled, had nothing to do until `time`.
  void idle_until(Picoseconds time) { streams_[number_of(tally_.leading)].wait_until(time); }
  void record_block(OpId first, OpId last) { blocks_.push_back({first, last}); }
  /// What is entered from now on may depend on it, whatever was entered since.
  void keep(OpId id) { awaited_ = id; }

  /// Accounts for every entered operation that is done, in the order in which they started; what still runs
  /// (a copy that outlives its step) waits for the next call. `is_done(id)`; `times(id)` of those done.
  template <class IsDone, class TimesOf>
  void settle(IsDone&& is_done, TimesOf&& times) {
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      const OpId id = pending_[i].id;
      if (is_done(id)) settling_.push_back({times(id), id, i});
    }
    account_all();
  }
  /// The oldest operation that something may still depend on.
  [[nodiscard]] OpId oldest() const { return static_cast<OpId>(kept_.begin_index()); }

  [[nodiscard]] const Tally& tally() const { return tally_; }
  [[nodiscard]] PathPoint end() const { return end_; }
  /// What was recorded; times are complete when all is settled.
  [[nodiscard]] const Schedule& schedule() const { return recorder_.schedule(); }
  [[nodiscard]] const Timeline& timeline() const { return recorder_.timeline(); }

 private:
  struct Pending {
    OpId id;
    OpKind kind;
    StreamId stream;
    std::size_t first_dependency, other_count, dependency_count;  // in dependencies_, copies last
    Bytes bytes;
    Spending spending;  // alone, on idle resources
  };
  struct Settling {
    Times times;
    OpId id;
    std::size_t place;  // in pending_
  };
  struct Block {
    OpId first, last;
  };
  /// Of an operation, once it is accounted for.
  struct Kept {
    PathPoint path;
    Picoseconds start;
  };
  void begin_operation(const Entry& entry);
  const Operation& enter(const Spending& spending, std::span<const OpId> others,
                         std::span<const OpId> copies);
  void account_all();
  void account_blocks();
  void account(const Pending& operation, Times times);
  void forget_settled();
  [[nodiscard]] CauseSums spent_on(const Pending& operation, Picoseconds took) const;
  [[nodiscard]] const PathPoint* point(OpId id) const;

  BytesPerSecond compute_traffic_;
  Attribution attribution_;
  std::vector<bool> cpu_streams_;  ///< by stream: a CPU computes on it
  ResourceSet gpu_reads_over_ = 0;
  std::int64_t step_ = 0;
  int stack_ = 0, tokens_ = 0;
  Operation operation_;
  Tally tally_;
  std::vector<Pending> pending_;
  std::vector<Settling> settling_;  // places in pending_, by the order in which they started
  std::vector<OpId> dependencies_;  // of the pending operations
  std::vector<OpId> submitted_;     // of the operation entered last
  std::vector<Block> blocks_;
  OpId awaited_ = no_op;
  Ring<Kept> kept_;  // by OpId
  std::vector<PathPoint> streams_;
  std::vector<OpId> last_of_;  ///< of each of them, by stream
  PathPoint end_ = PathPoint::before_all();
  Recorder recorder_;
  OperationObservers observers_;
};

}  // namespace pregate::sim
