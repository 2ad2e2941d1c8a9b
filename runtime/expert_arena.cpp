// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/expert_arena.hpp"

namespace pregate::runtime {

ExpertArena::ExpertArena(Device& device, Stream& stream, const ExpertStore& store, const ModelShape& shape,
                         const sim::Plan& plan, std::int64_t working_buffers)
    : bytes_(shape.expert_bytes),
      stride_{(shape.expert_bytes.count + store.slot_alignment() - 1) / store.slot_alignment() *
              store.slot_alignment()},
      slots_(plan.cache_slots + plan.buffer_slots + plan.prefill_slots),
      working_buffers_(working_buffers),
      resident_index_(plan.resident.size(), -1) {
  for (std::size_t key = 0; key < plan.resident.size(); ++key) {
    if (plan.resident[key] != 0) resident_index_[key] = residents_++;
  }
  memory_ = device.allocate(stride_ * (slots_ + residents_ + working_buffers_), "expert slots");
  for (std::size_t key = 0; key < plan.resident.size(); ++key) {
    const auto expert = static_cast<sim::ExpertKey>(key);
    if (plan.resident[key] != 0) store.fetch_now(device, stream, resident(expert), expert);
  }
  stream.synchronize();
}

}  // namespace pregate::runtime
