// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "runtime/weights/expert_store.hpp"
#include "sim/planner/plan.hpp"

namespace pregate::runtime {

/// Expert weights in device memory: the planner's slots, the experts that are resident there for the whole
/// run, and working buffers where the policy copies experts once more before they are read. Slots of a second
/// format are smaller, and numbered behind the others.
class ExpertArena {
 public:
  /// Uploads the resident experts through `stream`. Throws OutOfMemory.
  ExpertArena(Device& device, Stream& stream, const ExpertStore& store, const ModelShape& shape,
              const sim::Plan& plan, std::int64_t working_buffers);

  [[nodiscard]] std::int64_t slots() const { return slots_ + low_slots_; }
  [[nodiscard]] sim::FormatId format_of(std::int32_t slot) const {
    return slot < slots_ ? sim::model_format : sim::low_format;
  }
  [[nodiscard]] DeviceSpan slot(std::int32_t slot) const {
    if (slot < slots_) return place(slot);
    return memory_.span().part(first_low_ + low_stride_ * (slot - slots_), low_bytes_);
  }
  /// Of a resident expert.
  [[nodiscard]] DeviceSpan resident(sim::ExpertKey key) const { return place(slots_ + resident_index_[key]); }
  [[nodiscard]] DeviceSpan working_buffer(std::int64_t index) const {
    return place(slots_ + residents_ + index % working_buffers_);
  }
  [[nodiscard]] std::int64_t working_buffers() const { return working_buffers_; }
  [[nodiscard]] Bytes size() const { return memory_.size(); }

 private:
  [[nodiscard]] DeviceSpan place(std::int64_t index) const {
    return memory_.span().part(stride_ * index, bytes_);
  }
  Bytes bytes_, stride_, low_bytes_, low_stride_, first_low_;
  std::int64_t slots_ = 0, residents_ = 0, working_buffers_ = 0, low_slots_ = 0;
  std::vector<std::int64_t> resident_index_;  // by key
  DeviceMemory memory_;
};

}  // namespace pregate::runtime
