// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/engine/cause.hpp"
#include "sim/platform/platform.hpp"
#include "sim/schedule/operation.hpp"

namespace pregate::sim {

/// An operation that is over.
struct EndedOperation {
  OpId id = no_op;  ///< in the order of issue, from 0
  OpKind kind{};
  StreamId stream{};
  /// What decided when it started: the one before it on its stream, or the last of those that it waited for;
  /// no_op: nothing did. From the one that ends last, these lead back along the critical path.
  OpId before = no_op;
  Picoseconds start, finish;
  Bytes weights;    ///< of experts that it brought to the GPU, or the GPU read
  CauseSums spent;  ///< of its time; what is left of a GPU's is arithmetic
};

/// Is told of everything that an executor carries out, once: the same of a run whichever executor it is. An
/// executor's own books (Tally, critical path, what it records) are fed at the same places, by the same
/// values.
class OperationObserver {
 public:
  OperationObserver() = default;
  virtual ~OperationObserver() = default;
  OperationObserver(const OperationObserver&) = delete;
  OperationObserver& operator=(const OperationObserver&) = delete;

  /// The operations of a stream come in the order in which they start, each as soon as the executor knows
  /// when it ends: in virtual time that may be before what ends earlier elsewhere.
  virtual void ended([[maybe_unused]] const EndedOperation& operation) {}
  /// A layer that is measured, from the start of its first operation to the end of its last one.
  virtual void block([[maybe_unused]] Picoseconds latency) {}
};

using OperationObservers = std::vector<OperationObserver*>;

}  // namespace pregate::sim
