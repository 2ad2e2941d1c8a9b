// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/weights/expert_store.hpp"
#include "sim/residency/host_tier.hpp"
#include "sim/schedule/operation.hpp"

namespace pregate::runtime {

/// Experts in page-locked host memory, read there from the file that holds all of them. The planner decides
/// who is there (HostTier); here is where. A slot is read into again when the tier has let its expert go and
/// nothing that was asked for still has to take it from there.
class HostSlots {
 public:
  /// Throws OutOfMemory. InputError where the experts are not in a file. `store` must outlive it.
  HostSlots(Device& device, const ExpertStore& store, const ModelShape& shape, std::uint32_t keys,
            std::int64_t slots);

  /// What a planner is to make its tier with, so that this sees who is there. `make` as Plan's.
  [[nodiscard]] sim::MakeHostTier watched(sim::MakeHostTier make);

  /// `key` will be taken from its slot once more; it has been, and not before operation `by` ends.
  void expect(sim::ExpertKey key) { ++uses_[key].expected; }
  void take(sim::ExpertKey key, sim::OpId by);
  /// As take(), where nothing is taken after all.
  void give_up(sim::ExpertKey key) { --uses_[key].expected; }

  /// A slot for `key`, whose contents may be overwritten when the result, unless it is no_op, has ended.
  sim::OpId assign(sim::ExpertKey key);
  /// Reads it from the file into its slot, in `stream`.
  void read(Stream& stream, sim::ExpertKey key);
  /// Where `key` is, all of it. std::logic_error when it is in no slot.
  [[nodiscard]] PageLockedSpan at(sim::ExpertKey key) const;
  /// No operation of before runs any more.
  void begin_pass();

 private:
  struct Slot {
    std::int64_t key = -1;  // -1: nobody's
    std::int64_t since = 0;
    sim::OpId last_use = sim::no_op;
  };
  struct Use {
    std::int32_t slot = -1;
    std::int32_t expected = 0;
  };
  [[nodiscard]] bool is_free(const Slot& slot) const;

  const ExpertStore& store_;
  Bytes bytes_, stride_;
  PageLockedMemory memory_;
  DirectReader reader_;  // of the stream that reads
  const sim::HostTier* tier_ = nullptr;
  std::vector<Slot> slots_;
  std::vector<Use> uses_;  // by key
  std::int64_t assigned_ = 0;
};

}  // namespace pregate::runtime
