// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/copy_queue.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

bool goes_before(const CopyQueue::Copy& a, const CopyQueue::Copy& b) {
  return a.priority != b.priority ? a.priority < b.priority : a.id < b.id;
}

bool waits(const CopyQueue::Copy& copy) { return copy.copies[0] != no_op || copy.copies[1] != no_op; }

}  // namespace

void CopyQueue::add(const Copy& copy) {
  copies_.insert(std::upper_bound(copies_.begin(), copies_.end(), copy, goes_before), copy);
}

bool CopyQueue::holds(OpId id) const {
  return std::any_of(copies_.begin(), copies_.end(), [id](const Copy& copy) { return copy.id == id; });
}

CopyQueue::Next CopyQueue::next(Picoseconds free) const {
  // Whoever waits for another of the queue comes after it, so there is one that does not.
  Next earliest{{INT64_MAX}, 0};
  for (std::size_t at = 0; at < copies_.size(); ++at) {
    const Copy& copy = copies_[at];
    if (waits(copy)) continue;
    if (copy.ready <= free) return {free, at};
    if (copy.ready < earliest.start) earliest = {copy.ready, at};
  }
  return earliest;
}

CopyQueue::Copy CopyQueue::take(std::size_t at, Picoseconds finish) {
  const Copy taken = copies_[at];
  copies_.erase(copies_.begin() + static_cast<std::ptrdiff_t>(at));
  for (Copy& copy : copies_) {
    for (OpId& id : copy.copies) {
      if (id != taken.id) continue;
      id = no_op;
      // Of what ends at the same time the one that was issued first decides.
      const bool decides = finish > copy.ready || (finish == copy.ready && taken.id < copy.before);
      if (!decides) continue;
      copy.ready = finish;
      copy.before = taken.id;
    }
  }
  return taken;
}

}  // namespace pregate::sim
