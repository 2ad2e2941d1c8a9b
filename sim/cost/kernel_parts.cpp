// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/kernel_parts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pregate::sim {
double kernel_rate(const KernelPeaks& gpu, const KernelFormat& format) {
  for (const std::string_view precision :
       {format.precision, std::string_view("fp8"), std::string_view("bf16")}) {
    if (precision == "fp8" && format.precision == "bf16") continue;
    const auto found = gpu.rates.find(precision);
    if (found != gpu.rates.end()) return found->second.value;
  }
  return gpu.rates.empty() ? 1 : gpu.rates.begin()->second.value;
}

double read_time(double bytes, double again, double working_set, const KernelPeaks& gpu,
                 const KernelConstants& constants, Residency residency) {
  const double rate = gpu.memory_bandwidth.value * constants.memory_share;
  // Least recently used, gone over in order: what does not fit as a whole is gone when it is needed again.
  if (residency == Residency::cold || working_set > static_cast<double>(gpu.l2.count)) return bytes / rate;
  return (bytes - again) / rate + again / (rate * constants.l2_multiple);
}

double overlapped(double memory, double arithmetic, double power) {
  const double longer = std::max(memory, arithmetic), shorter = std::min(memory, arithmetic);
  if (longer <= 0) return 0;
  return longer * std::pow(1 + std::pow(shorter / longer, power), 1 / power);
}

double waves(double tiles, const KernelPeaks& gpu, const KernelConstants& constants) {
  const double rounds = tiles / gpu.sm_count;
  return constants.wave_share * std::ceil(rounds) + (1 - constants.wave_share) * std::max(rounds, 1.0);
}

double tile_time(double rows, double columns, double k, const KernelPeaks& gpu, const KernelFormat& format,
                 const KernelConstants& constants) {
  const double products =
      2 * rows * columns * k / (kernel_rate(gpu, format) / gpu.sm_count * constants.arithmetic_share);
  const double feed =
      (rows * format.activation_bytes + columns * format.weight_bytes) * k / constants.sm_feed;
  return std::max(products, feed);
}

double tiles_time(int rows, int columns, double row_blocks, std::int64_t n, std::int64_t k,
                  const KernelPeaks& gpu, const KernelFormat& format, const KernelConstants& constants) {
  return waves(row_blocks * static_cast<double>(blocks_of(n, columns)), gpu, constants) *
         tile_time(rows, columns, static_cast<double>(k), gpu, format, constants);
}

double best_columns(int rows, double row_blocks, std::int64_t n, std::int64_t k, const KernelPeaks& gpu,
                    const KernelFormat& format, const KernelConstants& constants) {
  constexpr int largest_tile = 128 * 256;  // of fp32 sums in the registers of an SM
  double best = std::numeric_limits<double>::infinity();
  for (const int columns : {32, 64, 128, 256}) {
    if (rows * columns > largest_tile) continue;
    best = std::min(best, tiles_time(rows, columns, row_blocks, n, k, gpu, format, constants));
  }
  return best;
}

}  // namespace pregate::sim
