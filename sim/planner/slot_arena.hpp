// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/schedule/operation.hpp"

namespace pregate::sim {

/// The expert slots of the GPU: cache slots and working buffers are one arena, so that admitting an expert or
/// evicting it moves no bytes. A slot remembers the copy that filled it and the last operation that reads it,
/// which the next copy into it must wait for. Free slots are reused in the order in which they were freed.
class SlotArena {
 public:
  struct Slot {
    OpId ready = no_op;        ///< its last copy
    std::uint64_t reader = 0;  ///< number of its last reader, counting experts operations from 1; 0 = not
                               ///< read since that copy
    bool was_filled = false;
    bool is_staged = false;  ///< `ready` is a staging copy made ahead, for the next operation that reads it
    bool was_written_back = false;  ///< the host has its expert again
  };

  explicit SlotArena(std::size_t slots) : slots_(slots), free_(slots), free_count_(slots) {
    for (std::size_t i = 0; i < slots; ++i) free_[i] = static_cast<std::int32_t>(i);
  }

  [[nodiscard]] std::size_t free_count() const { return free_count_; }
  std::int32_t take() {
    const std::int32_t slot = free_[first_free_];
    if (++first_free_ == free_.size()) first_free_ = 0;
    --free_count_;
    return slot;
  }
  void give_back(std::int32_t slot) {
    std::size_t at = first_free_ + free_count_;
    if (at >= free_.size()) at -= free_.size();
    free_[at] = slot;
    ++free_count_;
  }
  Slot& operator[](std::int32_t slot) { return slots_[static_cast<std::size_t>(slot)]; }
  const Slot& operator[](std::int32_t slot) const { return slots_[static_cast<std::size_t>(slot)]; }

 private:
  std::vector<Slot> slots_;
  std::vector<std::int32_t> free_;  // a ring
  std::size_t first_free_ = 0, free_count_ = 0;
};

}  // namespace pregate::sim
