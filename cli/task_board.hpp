// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

#include "cli/sweep_run.hpp"

namespace pregate::cli {

/// Tasks of a sweep, and who takes which. Threads may share it.
class TaskBoard {
 public:
  enum class Repeats {
    never,      ///< who takes a task does it
    when_late,  ///< once all are taken, one that takes too long is handed out again: its rank may be lost
  };
  explicit TaskBoard(std::vector<SweepTask> tasks, Repeats repeats = Repeats::never)
      : tasks_(std::move(tasks)), states_(tasks_.size()), repeats_(repeats) {}

  [[nodiscard]] bool repeats() const { return repeats_ == Repeats::when_late; }
  [[nodiscard]] std::size_t size() const { return tasks_.size(); }
  [[nodiscard]] const SweepTask& task(std::size_t number) const { return tasks_[number]; }

  /// The number of a task to do; nothing: none is left, or not now.
  std::optional<std::size_t> take() {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = Clock::now();
    if (next_ < tasks_.size()) {
      states_[next_].taken = now;
      return next_++;
    }
    if (repeats_ == Repeats::never) return std::nullopt;
    const auto late = std::find_if(states_.begin(), states_.end(), [&](const State& state) {
      return !state.is_done && now - state.taken > patience();
    });
    if (late == states_.end()) return std::nullopt;
    late->taken = now;
    return static_cast<std::size_t>(late - states_.begin());
  }
  void done(std::size_t number) {
    const std::lock_guard lock(mutex_);
    State& state = states_[number];
    if (state.is_done) return;
    state.is_done = true;
    ++done_;
    longest_ = std::max(longest_, Clock::now() - state.taken);
  }
  [[nodiscard]] bool are_done() const {
    const std::lock_guard lock(mutex_);
    return done_ == tasks_.size();
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct State {
    Clock::time_point taken;
    bool is_done = false;
  };
  /// Three times as long as any task took, and some seconds.
  [[nodiscard]] Clock::duration patience() const { return 3 * longest_ + std::chrono::seconds(5); }

  std::vector<SweepTask> tasks_;
  std::vector<State> states_;
  Repeats repeats_;
  mutable std::mutex mutex_;
  std::size_t next_ = 0, done_ = 0;
  Clock::duration longest_{};
};

}  // namespace pregate::cli
