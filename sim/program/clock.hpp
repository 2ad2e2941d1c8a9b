// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/units.hpp"
#include "sim/schedule/operation.hpp"

namespace pregate::sim {

/// What may be asked at a decision point of time that has passed and of work that has been issued.
class Clock {
 public:
  Clock() = default;
  virtual ~Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

  /// Whether `operation` had ended at the decision point. Its pass may be over.
  [[nodiscard]] virtual bool is_done(OpId operation) const = 0;
  /// What the stream has still to do: the rest of the operation that runs and those behind it, each as long
  /// as it takes alone.
  [[nodiscard]] virtual Picoseconds backlog(StreamId stream) const = 0;
};

}  // namespace pregate::sim
