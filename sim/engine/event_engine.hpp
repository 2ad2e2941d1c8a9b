// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "sim/schedule/schedule.hpp"

namespace pregate::sim {

/// Discrete-event executor of operations on streams and max-min fair shared resources. Deterministic: ties
/// break by issue order. Operations may be submitted while time advances, as a live planner does.
///
/// Sharing: the flows in their data phase split each resource max-min fairly (progressive filling), a flow
/// never exceeding Operation::rate. A flow whose share never fell below its rate finishes exactly at start +
/// unloaded_duration, to the picosecond; the finish of one that was throttled is rounded up once, at the end.
/// A resource of capacity 0 limits nobody. docs/schedule.md has the semantics in full.
///
/// Programming errors (unknown ids, defect_of an operation, a capacity that is not a rate) throw
/// std::invalid_argument, std::out_of_range or std::logic_error; InputError when time passes 106 days.
class EventEngine {
 public:
  explicit EventEngine(const Platform& platform);
  ~EventEngine();
  EventEngine(EventEngine&&) noexcept;

  /// Dependencies must be ids returned before (no_op is ignored). The operation can start no earlier than
  /// now().
  OpId submit(const Operation& operation, std::span<const OpId> dependencies);
  /// Advances until `id` is done. All that finishes at that time is done too, but nothing that could start
  /// then has started: operations submitted next compete for the streams as if they had been there before.
  void run_until(OpId id);
  /// Advances to `time`, if that is later than now(). What ends then is done, and nothing that could start
  /// then has started.
  void run_until(Picoseconds time);
  /// Advances until everything submitted is done.
  void run();
  [[nodiscard]] Picoseconds now() const;
  [[nodiscard]] bool is_done(OpId id) const;
  [[nodiscard]] Picoseconds start(OpId id) const;   ///< of a started operation that was not forgotten
  [[nodiscard]] Picoseconds finish(OpId id) const;  ///< of a done operation that was not forgotten
  /// What the stream has still to do: the rest of the operation that runs and those behind it, each as long
  /// as it takes alone.
  [[nodiscard]] Picoseconds backlog(StreamId stream) const;
  /// Takes an operation back that has not started: when its turn comes it takes no time and moves nothing.
  /// False when it has started.
  bool make_empty(OpId id);
  /// Releases the memory of done operations before `id`; they must not be asked for again, and count as done
  /// when named as dependencies.
  void forget_before(OpId id);

  /// Called before time moves, for each interval [from, to) of constant rates, with the rate of each stream's
  /// flow (0: it has none). For tests and bandwidth counters; an empty function ends it.
  using RateObserver =
      std::function<void(Picoseconds from, Picoseconds to, std::span<const BytesPerSecond> rates)>;
  void observe_rates(RateObserver observer);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Runs a whole schedule.
Timeline run(const Schedule& schedule);

}  // namespace pregate::sim
