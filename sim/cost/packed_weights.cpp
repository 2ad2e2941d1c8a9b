// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/packed_weights.hpp"

#include <algorithm>
#include <cmath>

#include "models/formats/weight_format.hpp"

namespace pregate::sim {

TileFormat tile_format_of(const std::string& format) {
  constexpr double most_values = 32;
  return {most_values / values_a_scale(format), takes_fp4_cores(format)};
}

PackedRows packed_rows(double rows, double length, const GpuSpec& gpu) {
  return {rows * length, rows * std::max(length, gpu.row_weights)};
}

double tile_clock(const GpuSpec& gpu) {
  // Power goes with the clock times the square of the voltage, which rises with the clock above a floor: the
  // exponent is between a third and one. Fitted (validation/software/fit_gpu_prompts.py).
  constexpr double exponent = 0.55;
  if (gpu.power <= 0 || gpu.tile_watts <= 0) return gpu.clock_ghz;
  const double share = gpu.power / (gpu.sm_count * gpu.clock_ghz * gpu.tile_watts);
  return gpu.clock_ghz * std::min(1.0, std::pow(share, exponent));
}

double tile_rate(const GpuSpec& gpu, const TileFormat& format) {
  // tile_flop is that of a multiprocessor with 128 fp32 units, which do all but the products themselves.
  constexpr double units = 128;
  const double its_units = gpu.rates.at("fp32").value / (2 * gpu.sm_count * gpu.clock_ghz * 1e9);
  const double rate = gpu.tile_flop * std::min(1.0, its_units / units);
  if (format.fp4 && gpu.tile_fp4 > 0 && gpu.rates.contains("fp4")) return rate * gpu.tile_fp4;
  return rate / (1 - gpu.tile_scales + gpu.tile_scales * format.scales);
}

}  // namespace pregate::sim
