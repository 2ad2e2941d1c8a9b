// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/ptx/touched_ranges.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace pregate::standin {

void TouchedRanges::add(std::uintptr_t address, std::size_t size, bool write) {
  if (size == 0) return;
  if (!ranges_.empty()) {  // mostly the neighbour of the last one
    Range& last = ranges_.back();
    if (last.write == write && address >= last.low && address <= last.high) {
      last.high = std::max(last.high, address + size);
      return;
    }
  }
  ranges_.push_back({address, address + size, write});
  if (ranges_.size() >= join_at_) {
    join();
    join_at_ = std::max<std::size_t>(4096, 2 * ranges_.size());
  }
}

std::vector<Range> TouchedRanges::take() {
  join();
  return std::exchange(ranges_, {});
}

void TouchedRanges::join() {
  std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) {
    return std::tie(a.write, a.low) < std::tie(b.write, b.low);
  });
  std::size_t kept = 0;
  for (const Range& range : ranges_) {
    if (kept > 0 && ranges_[kept - 1].write == range.write && range.low <= ranges_[kept - 1].high) {
      ranges_[kept - 1].high = std::max(ranges_[kept - 1].high, range.high);
    } else {
      ranges_[kept++] = range;
    }
  }
  ranges_.resize(kept);
}

}  // namespace pregate::standin
