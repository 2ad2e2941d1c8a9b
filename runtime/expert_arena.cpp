// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/expert_arena.hpp"

namespace pregate::runtime {

namespace {

Bytes stride_of(Bytes expert, std::int64_t alignment) {
  return {(expert.count + alignment - 1) / alignment * alignment};
}

}  // namespace

ExpertArena::ExpertArena(Device& device, Stream& stream, const ExpertStore& store, const ModelShape& shape,
                         const sim::Plan& plan, std::int64_t working_buffers)
    : bytes_(shape.experts.bytes),
      stride_(stride_of(bytes_, store.slot_alignment())),
      slots_(plan.cache_slots + plan.buffer_slots + plan.prefill_slots),
      working_buffers_(working_buffers),
      resident_index_(plan.resident.size(), -1) {
  for (std::size_t key = 0; key < plan.resident.size(); ++key) {
    if (plan.resident[key] != 0) resident_index_[key] = residents_++;
  }
  first_low_ = stride_ * (slots_ + residents_ + working_buffers_);
  if (plan.low) {
    low_slots_ = plan.low->cache_slots + plan.low->buffer_slots;
    low_bytes_ = shape.low.value().bytes;
    low_stride_ = stride_of(low_bytes_, store.slot_alignment());
  }
  memory_ = device.allocate(first_low_ + low_stride_ * low_slots_, "expert slots");
  for (std::size_t key = 0; key < plan.resident.size(); ++key) {
    const auto expert = static_cast<sim::ExpertKey>(key);
    if (plan.resident[key] != 0) store.fetch_now(device, stream, resident(expert), expert);
  }
  stream.synchronize();
}

}  // namespace pregate::runtime
