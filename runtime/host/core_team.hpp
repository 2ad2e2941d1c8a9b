// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "runtime/host/worker.hpp"

namespace pregate::runtime {

/// Threads that share a piece of work out, each on a core of its own; the thread that asks is one of them.
/// For one asking thread at a time.
class CoreTeam {
 public:
  /// One thread a core; none or one core: only who asks works.
  explicit CoreTeam(const std::vector<int>& cores);

  [[nodiscard]] int size() const { return static_cast<int>(workers_.size()) + 1; }
  /// Calls `part` with [begin, end) ranges that together are [0, count), all at once; returns when all are
  /// done, and throws what one of them threw.
  void share(int count, const std::function<void(int begin, int end)>& part);

 private:
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace pregate::runtime
