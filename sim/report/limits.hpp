// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "sim/simulate.hpp"

namespace pregate::sim {

/// What bounds a run. The order is that of reports.
enum class Limit : std::uint8_t {
  gpu_arithmetic,
  gpu_memory,
  kernels,  ///< of the GPU, measured as a whole
  launches,
  link,
  device_copies,
  host_memory,
  cpu_arithmetic,
  gate,
  waiting,
  drive,
  exchanges,  ///< between GPUs that share layers
};
inline constexpr int limit_count = 12;
/// Key of the JSON: "gpu_memory".
const char* to_string(Limit limit);

/// Where the time of the critical path went, and what it would gain to take the largest part of it away. From
/// exact sums; the shares add up to 1.
struct Limits {
  std::array<Picoseconds, limit_count> path{};  ///< adds up to the path's length
  std::array<double, limit_count> share{};
  Limit binding = Limit::gpu_arithmetic;  ///< the largest part
  /// The run without that part takes at least this long: as long as what is left of the critical path, and
  /// as what is left of the work of each stream.
  Picoseconds least;
  double most_speedup = 1;    ///< total / least; 0 = nothing is left
  std::optional<Limit> next;  ///< the largest part of what `least` consists of
};
/// `result` has run (not out of memory).
Limits limits_of(const SimulationResult& result);

/// "bound by the link (82 % of the time); without that at most 5.55 times as fast, then bound by GPU memory".
std::string limits_text(const Limits& limits);

}  // namespace pregate::sim
