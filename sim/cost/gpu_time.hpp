// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/units.hpp"

namespace pregate::sim {

/// The duration of a GPU operation and what it is made of; arithmetic is the rest. Where a roofline decides,
/// the whole of it goes to the side that does, memory on a tie.
struct GpuTime : Picoseconds {
  Picoseconds memory;    ///< bound by the memory bandwidth
  Picoseconds launches;  ///< fixed costs of the software
  Picoseconds kernels;   ///< measured as a whole, so that nobody knows which of the three it is

  [[nodiscard]] constexpr Picoseconds whole() const { return {count}; }

  friend constexpr GpuTime operator+(const GpuTime& a, const GpuTime& b) {
    return {{a.count + b.count}, a.memory + b.memory, a.launches + b.launches, a.kernels + b.kernels};
  }
  constexpr GpuTime& operator+=(const GpuTime& other) { return *this = *this + other; }
};

/// With its kernels, as far as they were measured, so many times as long.
inline GpuTime with_kernels_times(GpuTime time, double factor) {
  const Picoseconds longer = from_seconds(time.kernels.seconds() * factor);
  time.count += longer.count - time.kernels.count;
  time.kernels = longer;
  return time;
}

/// One of `parts` pieces of an operation, from 0: together they take as long as the whole, which is launched
/// with the first one.
constexpr GpuTime part_of(const GpuTime& whole, int part, int parts) {
  const auto share = [part, parts](Picoseconds time) {
    return Picoseconds{time.count * (part + 1) / parts - time.count * part / parts};
  };
  const Picoseconds launched = part == 0 ? whole.launches : Picoseconds{};
  const Picoseconds memory = share(whole.memory), kernels = share(whole.kernels);
  const Picoseconds rest = share(whole.whole() - whole.launches);
  return {rest + launched, memory, launched, kernels};
}

constexpr GpuTime launch_time(Picoseconds time) { return {time, {}, time, {}}; }
constexpr GpuTime kernel_time_of(Picoseconds time) { return {time, {}, {}, time}; }

}  // namespace pregate::sim
