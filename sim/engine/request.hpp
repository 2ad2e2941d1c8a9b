// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "sim/cache/expert_cache.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/schedule/operation.hpp"

namespace pregate::sim {

/// An expert that an operation reads and the slot that holds it; -1 = resident for the whole run (pinned).
struct SlotUse {
  cache::ExpertKey key;
  std::int32_t slot;
};

/// The planner's words for one operation; an executor takes what it needs of it.
struct Request {
  OpKind kind;
  StreamId stream;
  Picoseconds duration;            ///< alone, on idle resources
  const CopyCost* copy = nullptr;  ///< of a copy that occupies a link
  std::uint8_t priority = 0;
  std::int32_t layer = -1;
  std::int32_t expert = -1;
  std::int32_t slot = -1;
  std::int32_t count = 0;

  // For executors that record (Executor::records), else left as they are here:
  cache::ExpertKey key = cache::no_key;  ///< the expert that a fetch or device_copy copies
  /// Of a fetch or device_copy: which of the expert's `chunks` copies this is, from 0.
  std::int32_t chunk = 0, chunks = 1;
  /// What `experts` computes with, and the slot that a device_copy reads. Valid during issue() only.
  std::span<const SlotUse> uses = {};
};

}  // namespace pregate::sim
