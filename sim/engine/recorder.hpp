// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "sim/schedule/schedule.hpp"

namespace pregate::sim {

/// Keeps the schedule of some steps, with its timeline.
class Recorder {
 public:
  /// Of the first `steps` steps; 0: none.
  Recorder(const Platform& platform, std::int64_t steps) : steps_(steps) { schedule_.platform = platform; }

  /// As many steps from `step` on instead: before anything is entered. Dependencies on what came before are
  /// not in the schedule, whose times are those of the run.
  void record_from(std::int64_t step) { first_step_ = step; }

  /// An operation is issued.
  void entered(OpId id, const Operation& operation, std::span<const OpId> dependencies);
  /// It was taken back.
  void made_empty(OpId id) {
    if (is_recorded(id)) schedule_.make_empty(id - first_);
  }
  /// It is over.
  void ended(OpId id, Picoseconds start, Picoseconds finish);

  [[nodiscard]] const Schedule& schedule() const { return schedule_; }
  /// Complete when all is over.
  [[nodiscard]] const Timeline& timeline() const { return timeline_; }

 private:
  [[nodiscard]] bool is_recorded(OpId id) const {
    return id >= first_ && id - first_ < static_cast<OpId>(schedule_.size());
  }

  std::int64_t steps_, first_step_ = 0;
  OpId first_ = 0;                  // operation of the schedule
  std::vector<OpId> dependencies_;  // of the operation entered last
  Schedule schedule_;
  Timeline timeline_;
};

}  // namespace pregate::sim
