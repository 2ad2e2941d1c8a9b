// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "sim/cost/cost_model.hpp"
#include "sim/engine/counted_clock.hpp"

namespace pregate::sim {

/// Index of what is kept by MoE layer.
constexpr std::size_t place_of(int ordinal) { return static_cast<std::size_t>(ordinal); }

/// The copies of one expert, as a clock that counts needs them.
inline CopyTrain copies_of_expert(const CostModel& costs) {
  const auto at_host_memory = [](const CopyCost& copy) {
    return copy.host_bound ? copy.duration - copy.fixed : Picoseconds{};
  };
  const std::int64_t whole_chunks = costs.chunks() - 1;
  return {.operations = costs.chunks(),
          .duration = costs.fetch_train(),
          .at_host_memory = at_host_memory(costs.fetch()) * whole_chunks + at_host_memory(costs.last_chunk()),
          .bytes = costs.fetch().bytes * whole_chunks + costs.last_chunk().bytes};
}

}  // namespace pregate::sim
