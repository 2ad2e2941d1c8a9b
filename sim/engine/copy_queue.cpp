// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/copy_queue.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

bool waits(const CopyQueue::Copy& copy) {
  return std::any_of(copy.copies.begin(), copy.copies.end(), [](OpId id) { return id != no_op; });
}

}  // namespace

bool CopyQueue::goes_before(const Copy& a, const Copy& b) const {
  const bool by_priority = order_ == StreamOrder::priority && a.priority != b.priority;
  return by_priority ? a.priority < b.priority : a.id < b.id;
}

void CopyQueue::add(const Copy& copy) {
  const auto place = std::upper_bound(copies_.begin(), copies_.end(), copy,
                                      [this](const Copy& a, const Copy& b) { return goes_before(a, b); });
  copies_.insert(place, copy);
}

bool CopyQueue::holds(OpId id) const {
  return std::any_of(copies_.begin(), copies_.end(), [id](const Copy& copy) { return copy.id == id; });
}

Picoseconds CopyQueue::duration() const {
  Picoseconds sum;
  for (const Copy& copy : copies_) sum += copy.spending.duration();
  return sum;
}

std::optional<CopyQueue::Next> CopyQueue::next(Picoseconds free) const {
  std::optional<Next> earliest;
  for (std::size_t at = 0; at < copies_.size(); ++at) {
    const Copy& copy = copies_[at];
    if (!waits(copy)) {
      if (copy.ready <= free) return Next{free, at};
      if (!earliest || copy.ready < earliest->start) earliest = Next{copy.ready, at};
    }
    if (order_ == StreamOrder::fifo) break;
  }
  return earliest;
}

CopyQueue::Copy CopyQueue::take(std::size_t at) {
  const Copy taken = copies_[at];
  copies_.erase(copies_.begin() + static_cast<std::ptrdiff_t>(at));
  return taken;
}

void CopyQueue::decided(OpId id, Picoseconds finish) {
  for (Copy& copy : copies_) {
    for (OpId& awaited : copy.copies) {
      if (awaited != id) continue;
      awaited = no_op;
      // Of what ends at the same time the one that was issued first decides.
      const bool decides = finish > copy.ready || (finish == copy.ready && id < copy.before);
      if (!decides) continue;
      copy.ready = finish;
      copy.before = id;
    }
  }
}

bool CopyQueue::make_empty(OpId id) {
  const auto found =
      std::find_if(copies_.begin(), copies_.end(), [id](const Copy& copy) { return copy.id == id; });
  if (found == copies_.end()) return false;
  found->spending = {};
  found->fetched = {};
  return true;
}

}  // namespace pregate::sim
