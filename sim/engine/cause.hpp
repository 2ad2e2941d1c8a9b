// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "models/units.hpp"

namespace pregate::sim {

/// What a picosecond of an operation is spent on: what would have to be faster for it to go away. Arithmetic
/// of the GPU is not summed: it is what the others leave of its operations.
enum class Cause : std::uint8_t {
  gpu_memory,
  kernels,             ///< of the GPU, measured as a whole
  launches,            ///< fixed costs of the software: a layer's launches, a step
  link,                ///< copies at the rate of the link, fixed costs of a copy
  copied_host_memory,  ///< copies at the rate of the host's memory
  device_copies,       ///< staging copies inside the GPU
  cpu_memory,          ///< experts that the CPU computes, at the rate at which it reads them
  cpu_arithmetic,  ///< the same, at the rate of its arithmetic, its fixed times included; predictors there
  gate,            ///< read-back of the expert ids
  drive,           ///< reads from a drive
  exchanges,       ///< between GPUs that share layers
};
inline constexpr int cause_count = 11;

/// Exact sums by cause.
class CauseSums {
 public:
  constexpr Picoseconds& operator[](Cause cause) { return sums_[static_cast<std::size_t>(cause)]; }
  constexpr Picoseconds operator[](Cause cause) const { return sums_[static_cast<std::size_t>(cause)]; }
  [[nodiscard]] constexpr Picoseconds total() const {
    Picoseconds sum;
    for (const Picoseconds part : sums_) sum += part;
    return sum;
  }
  /// Of the GPU's operations, as far as it is no arithmetic.
  [[nodiscard]] constexpr Picoseconds gpu() const {
    return (*this)[Cause::gpu_memory] + (*this)[Cause::kernels] + (*this)[Cause::launches];
  }
  [[nodiscard]] constexpr Picoseconds transfer() const {
    return (*this)[Cause::link] + (*this)[Cause::copied_host_memory] + (*this)[Cause::device_copies] +
           (*this)[Cause::drive] + (*this)[Cause::exchanges];
  }
  [[nodiscard]] constexpr Picoseconds cpu() const {
    return (*this)[Cause::cpu_memory] + (*this)[Cause::cpu_arithmetic];
  }
  constexpr CauseSums& operator+=(const CauseSums& other) {
    for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
    return *this;
  }
  constexpr bool operator==(const CauseSums&) const = default;

 private:
  std::array<Picoseconds, cause_count> sums_{};
};

}  // namespace pregate::sim
