// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pregate::standin {

/// Bytes [low, high) that an operation read or wrote.
struct Range {
  std::uintptr_t low = 0;
  std::uintptr_t high = 0;
  bool write = false;
};

/// Collects ranges and joins those that touch each other.
class TouchedRanges {
 public:
  void add(std::uintptr_t address, std::size_t size, bool write);
  /// Sorted, joined; the collector is empty afterwards.
  std::vector<Range> take();

 private:
  void join();
  std::vector<Range> ranges_;
  std::size_t join_at_ = 4096;
};

}  // namespace pregate::standin
