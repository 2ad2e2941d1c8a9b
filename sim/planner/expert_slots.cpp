// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/expert_slots.hpp"

#include <algorithm>

namespace pregate::sim {

void ExpertSlots::fetch(ExpertKey key, int layer, std::uint8_t priority, OpId ids_known, FormatId format) {
  const std::int32_t slot_index = arena_.take();
  auto& slot = arena_[slot_index];
  // A reader in an earlier layer ended before this layer's gate, hence before the ids were known.
  const std::uint64_t first_reader = readers_ - readers_of_layer_.size() + 1;
  const bool is_read = slot.reader >= first_reader;
  const bool filled_in_vain = slot.reader == 0 && slot.was_filled;  // that copy must end first
  const OpId read = reads_.read_of(key);
  const bool waits = is_read || filled_in_vain || read != no_op;
  const Train train{train_.first, ids_known, layer, priority, format};
  if (!waits && train == train_ && program_.ends_with(train_.first)) {
    slot.ready = program_.lengthen_train({key, first_slot_ + slot_index});
  } else {
    Work& work = program_.open(OpKind::fetch, in_, layer);
    work.priority = priority;
    work.format = format;
    const OpId first = work.first;
    program_.use({key, first_slot_ + slot_index});
    program_.after(ids_known);
    if (is_read) program_.after(readers_of_layer_[static_cast<std::size_t>(slot.reader - first_reader)]);
    if (!is_read && filled_in_vain) program_.after_copy(slot.ready);
    program_.after_copy(read);
    slot.ready = program_.close();
    train_ = waits ? Train{} : Train{first, ids_known, layer, priority, format};
  }
  slot_of_[key] = slot_index;
  slot.was_filled = true;
  slot.is_staged = false;
  slot.was_written_back = false;
  slot.reader = 0;
}

void ExpertSlots::wait_for_copy(ExpertKey key, int layer, OpId ids_known, std::vector<OpId>& copies) {
  auto& slot = arena_[slot_of_[key]];
  if (slot.reader != 0) {
    if (!program_.shape().stages) return;
    // Read from its working buffer by the operation that comes next, so the slot's own copy time is no
    // longer needed.
    if (!slot.is_staged) slot.ready = issue_staging(key, layer, ids_known);
    slot.is_staged = false;
  }
  copies.push_back(slot.ready);
}

std::vector<ExpertSlots::Ahead>::iterator ExpertSlots::find_ahead(ExpertKey key) {
  return std::find_if(ahead_.begin(), ahead_.end(), [key](const Ahead& a) { return a.key == key; });
}

void ExpertSlots::wait_for_staging(ExpertKey key, int layer, OpId ids_known, std::vector<OpId>& copies) {
  if (!program_.shape().stages) return;
  const auto ahead = find_ahead(key);
  copies.push_back(ahead == ahead_.end() ? issue_staging(key, layer, ids_known) : ahead->ready);
}

bool ExpertSlots::stage_ahead(ExpertKey key, int layer, OpId ids_known) {
  if (!program_.shape().stages) return false;
  if (!holds(key)) {
    if (find_ahead(key) != ahead_.end()) return false;
    ahead_.push_back({key, issue_staging(key, layer, ids_known)});
    return true;
  }
  auto& slot = arena_[slot_of_[key]];
  if (slot.reader == 0 || slot.is_staged) return false;  // its own staging copy follows its fetch
  slot.ready = issue_staging(key, layer, ids_known);
  slot.is_staged = true;
  return true;
}

void ExpertSlots::forget_staging(ExpertKey key) {
  if (holds(key)) {
    arena_[slot_of_[key]].is_staged = false;
  } else {
    std::erase_if(ahead_, [key](const Ahead& a) { return a.key == key; });
  }
}

bool ExpertSlots::take_back(ExpertKey key, Executor& executor) {
  const OpId last = arena_[slot_of_[key]].ready;
  bool some = false;
  // From the last one on: what has started is before what has not.
  for (OpId copy = last; copy > last - static_cast<OpId>(program_.copies_an_expert()); --copy) {
    if (!executor.cancel(copy)) break;
    some = true;
  }
  if (!some) return false;
  arena_.give_back(slot_of_[key]);
  slot_of_[key] = -1;
  return true;
}

void ExpertSlots::write_back(ExpertKey key) {
  if (write_back_ == WriteBack::none || !holds(key)) return;
  auto& slot = arena_[slot_of_[key]];
  if (slot.was_written_back) return;
  program_.open(OpKind::write_back, {in_.stream, out_.crosses, out_.link}, layer_);
  program_.use({key, slot_of_[key]});
  program_.after_copy(slot.ready);
  program_.close();
  slot.was_written_back = true;
  ++written_back_;
}

OpId ExpertSlots::issue_staging(ExpertKey key, int layer, OpId ids_known) {
  program_.open(OpKind::device_copy, in_.stream, layer);
  program_.use({key, slot_of_[key]});
  program_.after(ids_known);
  return program_.close();
}

}  // namespace pregate::sim
