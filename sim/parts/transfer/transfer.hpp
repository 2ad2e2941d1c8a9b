// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <cstdint>
#include <functional>

#include "sim/parts/part.hpp"
#include "sim/platform/platform.hpp"

namespace pregate::sim {

/// Why experts are copied to the GPU.
enum class CopyReason : std::uint8_t {
  demanded,   ///< the layer that computes waits for them
  announced,  ///< for a MoE layer of this pass that is to come
  kept,       ///< nobody of this pass waits for them: for next time
};

/// In which order copies go, as policies choose it (`transfer.queue`). What is not said of it is not assumed.
struct TransferEntry : PartDescription {
  /// Of copies that may start, one of the lowest value goes first, and of those the one that was issued
  /// first; one that has started finishes its chunk. Asked once for all copies that are issued together.
  /// `layer`: the MoE layer that needs them, counted in its stack from 0; of those that are kept, the one
  /// that is running.
  using Priority = std::function<std::uint8_t(const std::any& parameters, CopyReason reason, int layer)>;

  Priority priority;  ///< empty: copies go in the order of issue, and each waits for the one before it
  /// Demanded copies go before the others, and the others in the order of issue.
  bool only_demand_overtakes = false;

  [[nodiscard]] bool in_order() const { return !priority; }
  [[nodiscard]] StreamOrder order() const { return in_order() ? StreamOrder::fifo : StreamOrder::priority; }
};

/// Of a policy's choice. Where copies go in the order of issue nothing follows from it, and schedules say
/// which of them nobody waits for.
inline std::uint8_t priority_of(const Chosen<TransferEntry>& transfer, CopyReason reason, int layer) {
  if (transfer->in_order()) return reason == CopyReason::kept ? 1 : 0;
  return transfer->priority(transfer.parameters(), reason, layer);
}

}  // namespace pregate::sim
