// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "sim/engine/counted_clock.hpp"

namespace pregate::sim {

/// Machines that are timed side by side.
inline constexpr std::size_t lane_count = 8;

// A number of each machine: element-wise arithmetic, comparisons give masks (GCC's and Clang's vectors).
// Aligned for whoever has registers as wide, whatever a file is compiled for.
using LaneValues [[gnu::vector_size(8 * lane_count), gnu::aligned(8 * lane_count)]] = std::int64_t;

/// For containers, which do not see the alignment of a name.
struct LaneCell {
  LaneValues value{};
};

/// CountedSums of each machine, GpuTime as far as it is summed.
struct LaneSums {
  LaneValues memory{}, kernels{}, launches{}, readback{}, experts{};
  void set(std::size_t lane, const CountedSums& sums);
  [[nodiscard]] CountedSums of(std::size_t lane) const;
};

}  // namespace pregate::sim
