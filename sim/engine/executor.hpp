// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <stdexcept>

#include "models/units.hpp"
#include "sim/engine/operation_observer.hpp"
#include "sim/engine/tally.hpp"
#include "sim/program/clock.hpp"
#include "sim/program/layer_program.hpp"
#include "sim/program/step_shape.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// One forward pass as executors are told of it.
struct PassInfo {
  const trace::Step& step;  ///< valid during begin_pass() only
  std::int64_t number = 0;
  StepShape shape;
  std::span<const StepShape> micro_batches = {};  ///< of its parts, likewise valid; empty: it is one
};

/// Carries work out: in virtual time, or on a device. Programs of a pass come one after the other, their
/// operations numbered without gaps.
class Executor : public Clock {
 public:
  /// Whether programs must name the experts and slots that operations read (LayerProgram::uses of `experts`).
  [[nodiscard]] virtual bool records() const = 0;
  /// Whether the planner must stop at gates for it: what comes after may run only when wait() has returned.
  /// Not in a pass that is cut, where the ids of each part are known at another time: what waits for a
  /// read-back then waits for the host, too, which the executor sees to.
  [[nodiscard]] virtual bool stops_at_gates() const { return false; }

  /// Of everything from now on: before the first pass. They outlive the run.
  virtual void observe(const OperationObservers& observers) = 0;

  virtual void begin_pass(const PassInfo& pass) = 0;
  virtual void run(const LayerProgram& program) = 0;
  /// A decision point: `operation`, mostly the read-back of a layer's expert ids, is done. The time then,
  /// from which on is_done(), backlog() and cancel() answer. An operation that could start at that very time
  /// has not started.
  virtual Picoseconds wait(OpId operation) = 0;
  /// Takes back a copy that has not started: it moves nothing when its turn comes. False when it has started,
  /// or cannot be taken back.
  virtual bool cancel(OpId copy) = 0;
  /// Between passes: the next one begins at `time`, if that is later than now; what is being copied goes on.
  /// std::logic_error where time is not virtual.
  virtual void idle_until([[maybe_unused]] Picoseconds time) {
    throw std::logic_error("this executor does not wait for requests");
  }
  /// The pass is done with `last`; the time then. Passes that began after it may still be under way, as far
  /// as they were run; what comes next begins no earlier.
  virtual Picoseconds end_pass(OpId last) = 0;
  /// Nothing more will come: what still runs ends.
  virtual void finish() {}

  [[nodiscard]] virtual const Tally& tally() const = 0;
  /// Of the operation that ends last.
  [[nodiscard]] virtual PathPoint end() const = 0;
};

}  // namespace pregate::sim
