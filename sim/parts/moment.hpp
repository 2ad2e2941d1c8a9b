// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>

#include "sim/platform/topology.hpp"
#include "sim/program/clock.hpp"
#include "sim/program/estimates.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// A decision point as a part sees it: what is known then, and nothing of the future. The clock can be asked
/// only by parts that say that they need it.
struct Moment {
  Picoseconds now;                       ///< 0 where nobody needs the clock
  const Clock* clock = nullptr;          ///< null likewise
  const Estimates* estimates = nullptr;  ///< what work will take; null on a device
  const Topology* topology = nullptr;
  StreamId fetches{};  ///< the stream that brings experts to the GPU
  PlaceId cpu{};
  bool decode = true;                       ///< a decode pass; otherwise of a prompt or an encoder
  int tokens = 0;                           ///< of the pass
  int ordinal = 0;                          ///< the MoE layer whose ids are known
  int layer_class = 0;                      ///< of that layer, for the estimates
  std::uint32_t activated = 0, routed = 0;  ///< experts of that layer, and tokens times experts
  const ExpertMap* map = nullptr;           ///< what keys stand for

  /// std::logic_error from a part that did not say that it needs the clock.
  [[nodiscard]] Picoseconds backlog(StreamId stream) const {
    if (clock == nullptr) throw std::logic_error("a part asks the clock and did not say that it needs it");
    return clock->backlog(stream);
  }
  /// Of what the place computes.
  [[nodiscard]] Picoseconds backlog(PlaceId place) const { return backlog((*topology)[place].compute); }
};

}  // namespace pregate::sim
