// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// How experts come to where they are computed: from host memory or a drive to the CPU and to the device's
// slots, with the faults that tests plant there.
#include "runtime/live_executor.hpp"

namespace pregate::runtime {

using sim::OpId;
using sim::OpKind;

void LiveExecutor::experts_on_cpu(OpId id, std::span<const sim::SlotUse> uses, Stream& stream) {
  on_cpu_.clear();
  for (const sim::SlotUse& use : uses) {
    if (host_slots_ == nullptr) {
      on_cpu_.push_back({use.key, in(sim::model_format).store->host_bytes(use.key)});
      continue;
    }
    const PageLockedSpan at = host_slots_->at(use.key);
    on_cpu_.push_back({use.key, {at.data(), static_cast<std::size_t>(at.size().count)}});
    host_slots_->take(use.key, id);
  }
  host_experts_->compute(stream, ordinal_, on_cpu_);
}

/// What the program will take from host memory must still be there when its turn comes.
void LiveExecutor::expect_uses(const sim::LayerProgram& program) {
  for (const sim::Work& work : program.work()) {
    if (work.kind != OpKind::fetch && work.kind != OpKind::cpu_experts) continue;
    for (const sim::SlotUse& use : program.uses(work)) host_slots_->expect(use.key);
  }
}

void LiveExecutor::read_from_drive(sim::ExpertKey key, Stream& stream) {
  const OpId last_use = host_slots_->assign(key);
  if (last_use >= first_) stream.wait(*marks_of(last_use).finish);
  if (fault_.kind == PlantedFault::Kind::late_drive_read && reads_++ == fault_.at) {
    late_read_ = key;
  } else {
    host_slots_->read(stream, key);
  }
}

/// To be called when what takes the expert has been issued.
void LiveExecutor::read_late(sim::ExpertKey key, OpId taken_by) {
  if (late_read_ != key) return;
  late_read_.reset();
  drive_->wait(*marks_of(taken_by).finish);
  host_slots_->read(*drive_, key);
}

void LiveExecutor::copy_expert(Stream& stream, sim::FormatId format, DeviceSpan to, sim::ExpertKey key,
                               Bytes at) {
  if (host_slots_ == nullptr) {
    in(format).store->fetch(stream, to, key, at);
  } else {
    stream.copy_to_device(to, host_slots_->at(key).part(at, to.size()));
  }
}

/// Equal chunks; the last one takes what is left.
Bytes LiveExecutor::chunk_begin(int chunk, Bytes size, Bytes slot) const {
  return chunk + 1 == chunks() ? slot - size : size * chunk;
}

/// `bytes` of the chunk.
void LiveExecutor::fetch(OpId id, const sim::Entry& entry, Bytes bytes, Stream& stream) {
  const DeviceSpan to = arena_.slot(entry.slot);
  sim::ExpertKey key = entry.key;
  if (fault_.kind == PlantedFault::Kind::corrupt_copy && fetches_ == fault_.at) key = (key + 1) % map_.keys();
  ++fetches_;
  const Bytes at = chunk_begin(entry.chunk, bytes, to.size());
  const bool late = fault_.kind == PlantedFault::Kind::late_copy && fetches_ - 1 == fault_.at;
  if (late) {
    held_ = {id, entry.slot, to.part(at, bytes), key, at, entry.format};
  } else {
    copy_expert(stream, entry.format, to.part(at, bytes), key, at);
  }
  if (host_slots_ != nullptr && entry.chunk + 1 == chunks()) host_slots_->take(entry.key, id);
  staged_[static_cast<std::size_t>(entry.slot)] = {};
  held_by_[static_cast<std::size_t>(entry.slot)] = entry.key;
  if (entry.chunk + 1 == chunks()) land_too_late(entry.slot, stream);
}

/// To be called when another copy into the slot has been made.
void LiveExecutor::land_too_late(std::int32_t slot, Stream& stream) {
  if (lands_.id == sim::no_op || lands_.slot != slot) return;
  in(lands_.format).store->fetch(stream, lands_.to, lands_.key, lands_.at);
  lands_ = {};
}

/// To be called when a reader of the slot has been issued.
void LiveExecutor::copy_late(std::int32_t slot) {
  if (held_.id == sim::no_op || held_.slot != slot) return;
  if (!reader_ran_) reader_ran_ = device_.make_event();
  compute_.record(*reader_ran_);
  h2d_.wait(*reader_ran_);
  in(held_.format).store->fetch(h2d_, held_.to, held_.key, held_.at);
  h2d_.record(*marks_of(held_.id).finish);
  held_ = {};
}

/// The expert's weights where an operation that reads the slot finds them.
ExpertWeights LiveExecutor::weights_in(std::int32_t slot, sim::ExpertKey key) {
  if (fault_.kind == PlantedFault::Kind::stale_format && arena_.format_of(slot) == sim::model_format) {
    const std::int32_t low = low_slot_of(key);
    if (low >= 0 && in_both_formats_++ == fault_.at) slot = low;
  }
  const DeviceSpan staged = staged_[static_cast<std::size_t>(slot)];
  return {0, staged.data() != nullptr ? staged : arena_.slot(slot), arena_.format_of(slot)};
}

/// Of formats.low the slot that the expert was copied to last; -1: none still has it.
std::int32_t LiveExecutor::low_slot_of(sim::ExpertKey key) const {
  for (std::size_t slot = 0; slot < held_by_.size(); ++slot) {
    const auto number = static_cast<std::int32_t>(slot);
    if (held_by_[slot] == std::int64_t{key} && arena_.format_of(number) == sim::low_format) return number;
  }
  return -1;
}

void LiveExecutor::device_copy(const sim::Entry& entry, Stream& stream) {
  const DeviceSpan buffer = arena_.working_buffer(working_buffer_);
  std::int32_t& owner = slot_of_buffer_[static_cast<std::size_t>(working_buffer_ % arena_.working_buffers())];
  ++working_buffer_;
  // What was staged there long ago, and is read yet, is read from its slot.
  if (owner >= 0 && staged_[static_cast<std::size_t>(owner)].data() == buffer.data())
    staged_[static_cast<std::size_t>(owner)] = {};
  owner = entry.source;
  stream.copy_on_device(buffer, arena_.slot(entry.source));
  staged_[static_cast<std::size_t>(entry.source)] = buffer;
}

}  // namespace pregate::runtime
