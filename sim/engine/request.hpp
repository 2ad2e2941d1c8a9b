// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "sim/cache/expert_cache.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/engine/cause.hpp"
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
  /// Of a GPU operation: `duration` and what it is made of. Valid during issue() only.
  const GpuTime* gpu = nullptr;
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

/// Adds what the operation's duration is spent on, alone on idle resources.
[[gnu::always_inline]] inline void spend(const Request& request, CauseSums& sums) {
  switch (request.kind) {
    case OpKind::fetch:
    case OpKind::write_back:
    case OpKind::activations: {
      const Picoseconds at_link = request.copy->host_bound ? request.copy->fixed : request.duration;
      sums[Cause::link] += at_link;
      sums[Cause::copied_host_memory] += request.duration - at_link;
      return;
    }
    case OpKind::device_copy:
      sums[Cause::device_copies] += request.duration;
      return;
    case OpKind::cpu_experts:
      sums[request.copy->host_bound ? Cause::cpu_memory : Cause::cpu_arithmetic] += request.duration;
      return;
    case OpKind::gate_readback:
      sums[Cause::gate] += request.duration;
      return;
    default:
      if (request.gpu == nullptr) return;
      sums[Cause::gpu_memory] += request.gpu->memory;
      sums[Cause::kernels] += request.gpu->kernels;
      sums[Cause::launches] += request.gpu->launches;
  }
}

}  // namespace pregate::sim
