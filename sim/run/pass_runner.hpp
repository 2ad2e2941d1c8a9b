// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <stdexcept>

#include "sim/engine/executor.hpp"
#include "sim/engine/tally.hpp"
#include "sim/planner/access_counts.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// A layer of a stack as the loop over passes needs it.
struct PassLayer {
  int layer_class;
  bool moe;
};

/// One forward pass with all that is recorded of it.
struct Pass {
  PassInfo info;
  std::span<const PassLayer> layers;  ///< of its stack
  int first_ordinal = 0;              ///< of the stack's MoE layers
  const StepRouting& routing;
  const StepPredictions* predictions = nullptr;     ///< where the trace has them and the policy asks
  std::span<const StepRouting> micro_batches = {};  ///< of each of info.micro_batches
};

/// Runs passes one after the other and counts what happens. Two ways: LayerRun puts every layer's work into
/// programs for an executor; CountedRun knows its times from counts alone.
class PassRunner {
 public:
  PassRunner() = default;
  virtual ~PassRunner() = default;
  PassRunner(const PassRunner&) = delete;
  PassRunner& operator=(const PassRunner&) = delete;

  /// The time when the pass has ended.
  virtual Picoseconds run(const Pass& pass) = 0;
  /// The same in two parts, so that several passes are under way, each in other stages of a pipeline of GPUs.
  /// What is started begins when those have ended of which end_oldest() has told, and its GPUs are free.
  virtual void start(const Pass& /*pass*/) { throw std::logic_error("this runner runs pass by pass"); }
  /// The time when the oldest of those under way has ended.
  virtual Picoseconds end_oldest() { throw std::logic_error("this runner runs pass by pass"); }
  /// Nothing is there to be run until `time`, which is later than the end of the pass before.
  virtual void idle_until(Picoseconds time) = 0;
  /// No pass will follow.
  virtual void finish() {}

  [[nodiscard]] virtual const AccessCounts& decode_counts() const = 0;
  [[nodiscard]] virtual const AccessCounts& other_counts() const = 0;
  [[nodiscard]] virtual Tally tally() const = 0;
  /// Of the operation that ends last.
  [[nodiscard]] virtual PathPoint end() const = 0;
};

}  // namespace pregate::sim
