// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "models/machine.hpp"

namespace pregate::sim {

/// What of a weight format counts in products of packed weights.
struct TileFormat {
  double scales = 1;  ///< that products apply, of one for every 32 weights
  bool fp4 = false;   ///< tensor cores of fp4 take it as it is, scales and all
};

TileFormat tile_format_of(const std::string& format);

/// Weights of a product that few tokens meet.
struct PackedRows {
  double weights = 0;
  double counted = 0;  ///< as its rows count: each for gpu.row_weights at the least
};

/// Of `rows` rows of `length` weights each.
PackedRows packed_rows(double rows, double length, const GpuSpec& gpu);
inline PackedRows operator+(const PackedRows& a, const PackedRows& b) {
  return {a.weights + b.weights, a.counted + b.counted};
}
inline PackedRows operator*(double times, const PackedRows& a) {
  return {times * a.weights, times * a.counted};
}

/// GHz that are left of gpu.clock_ghz in tiles: power below tile_watts for each multiprocessor and GHz lowers
/// it.
double tile_clock(const GpuSpec& gpu);
/// FLOP a cycle of a multiprocessor in tiles of such weights.
double tile_rate(const GpuSpec& gpu, const TileFormat& format);

}  // namespace pregate::sim
