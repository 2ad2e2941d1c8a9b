// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/copy_queue.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace pregate::runtime {

namespace {

auto turn(const CopyQueue::Copy& copy) { return std::pair(copy.entry.priority, copy.id); }

template <class Copies>
auto find(Copies& copies, sim::OpId id) {
  return std::find_if(copies.begin(), copies.end(), [id](const auto& copy) { return copy.id == id; });
}

}  // namespace

bool CopyQueue::holds(sim::OpId id) const { return find(copies_, id) != copies_.end(); }

bool CopyQueue::take_back(sim::OpId id) {
  const auto copy = find(copies_, id);
  if (copy == copies_.end() || copy->is_taken_back) return false;
  copy->is_taken_back = true;
  return true;
}

sim::OpId CopyQueue::next(const IsDone& is_done) const {
  if (copies_.empty()) return sim::no_op;
  if (!by_priority_) return copies_.front().id;
  const Copy* best = nullptr;
  for (const Copy& copy : copies_) {
    const bool is_ready = std::all_of(copy.dependencies.begin(), copy.dependencies.end(), is_done);
    if (is_ready && (best == nullptr || turn(copy) < turn(*best))) best = &copy;
  }
  return best == nullptr ? sim::no_op : best->id;
}

std::vector<CopyQueue::Copy> CopyQueue::take_through(sim::OpId id) {
  std::vector<Copy> taken;
  const auto last = find(copies_, id);
  if (last == copies_.end()) return taken;
  std::vector<std::pair<std::uint8_t, sim::OpId>> before;
  for (const Copy& copy : copies_) {
    if (by_priority_ ? turn(copy) <= turn(*last) : copy.id <= id)
      before.emplace_back(by_priority_ ? copy.entry.priority : std::uint8_t{0}, copy.id);
  }
  std::sort(before.begin(), before.end());
  for (const auto& [priority, each] : before) take(each, taken);
  return taken;
}

void CopyQueue::take(sim::OpId id, std::vector<Copy>& taken) {
  const auto found = find(copies_, id);
  if (found == copies_.end()) return;
  Copy copy = std::move(*found);
  copies_.erase(found);
  for (const sim::OpId before : copy.dependencies) take(before, taken);
  taken.push_back(std::move(copy));
}

}  // namespace pregate::runtime
