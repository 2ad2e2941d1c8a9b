// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/sorted_blocks.hpp"

#include <algorithm>
#include <tuple>

namespace pregate::sim {

namespace {

Histogram::Wide wide(std::int64_t value) {
  return static_cast<Histogram::Wide>(static_cast<std::uint64_t>(value));
}

}  // namespace

SortedBlocks::SortedBlocks(std::vector<Layers> layers) {
  std::sort(layers.begin(), layers.end(), [](const Layers& a, const Layers& b) {
    return std::tie(a.misses, a.without_copies.count) < std::tie(b.misses, b.without_copies.count);
  });
  before_.push_back(0);
  for (const Layers& each : layers) {
    if (groups_.empty() || groups_.back().misses != each.misses)
      groups_.push_back({each.misses, without_copies_.size(), without_copies_.size(), 0});
    Group& group = groups_.back();
    group.sum += wide(each.without_copies.count) * wide(each.count);
    if (group.last > group.first && without_copies_.back() == each.without_copies.count) {
      before_.back() += each.count;
      continue;
    }
    without_copies_.push_back(each.without_copies.count);
    before_.push_back(before_.back() + each.count);
    ++group.last;
  }
}

Histogram SortedBlocks::of(Picoseconds copy) const {
  if (groups_.empty()) return {};
  std::int64_t least = INT64_MAX, most = 0;
  for (const Group& group : groups_) {
    const std::int64_t copies = copy.count * group.misses;
    least = std::min(least, without_copies_[group.first] + copies);
    most = std::max(most, without_copies_[group.last - 1] + copies);
  }
  std::vector<std::int64_t> counts(Histogram::bucket_of(static_cast<std::uint64_t>(most)) + 1);
  Histogram::Wide sum = 0;
  for (const Group& group : groups_) {
    const std::int64_t copies = copy.count * group.misses;
    sum += group.sum + wide(copies) * wide(before_[group.last] - before_[group.first]);
    for (std::size_t at = group.first; at < group.last;) {
      const std::size_t bucket =
          Histogram::bucket_of(static_cast<std::uint64_t>(without_copies_[at] + copies));
      const std::int64_t end = static_cast<std::int64_t>(Histogram::low_end_of(bucket + 1)) - copies;
      const auto behind =
          std::lower_bound(without_copies_.begin() + static_cast<std::ptrdiff_t>(at),
                           without_copies_.begin() + static_cast<std::ptrdiff_t>(group.last), end);
      const auto next = static_cast<std::size_t>(behind - without_copies_.begin());
      counts[bucket] += before_[next] - before_[at];
      at = next;
    }
  }
  return {std::move(counts), before_.back(), sum, least, most};
}

}  // namespace pregate::sim
