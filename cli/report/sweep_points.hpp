// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/sweep_inputs.hpp"
#include "sim/sweep/store.hpp"

namespace pregate::cli {

/// A point that has figures.
struct SweptPoint {
  std::int64_t number = 0;          ///< of the sweep's points
  std::size_t policy = 0;           ///< of SweptPoints::policies
  std::vector<std::string> values;  ///< by axis
  std::vector<double> numbers;      ///< the same as numbers; of axes without a range of numbers 0
  double tokens_per_s = 0;
  double least_tokens_per_s = 0, most_tokens_per_s = 0;  ///< the range to expect; NaN: none is known
  double hit_rate = 0, gpu_gib = 0, ttft_ms = 0, tpot_ms = 0;
  std::string bound_by;
};

/// What pictures of a sweep are drawn from.
struct SweptPoints {
  /// An axis other than the policy that has several values.
  struct Axis {
    std::string key, unit;
    bool is_number = false;  ///< all its values are, in one unit
  };
  std::vector<std::string> policies;
  std::vector<Axis> axes;
  bool is_sample = false;  ///< points lie anywhere, not on a grid
  std::vector<SweptPoint> points;
  std::int64_t left_out = 0;  ///< points beyond the first so many
};

/// Points beyond so many are left out of pictures: a page of them all would not open.
inline constexpr std::int64_t most_drawn_points = 200'000;

/// "machine.link.h2d.bandwidth=32GB/s, policy.cache.capacity=25%".
std::string settings_of(const SweptPoints& swept, const SweptPoint& point);

SweptPoints swept_points(const SweepInputs& inputs, sim::SweepStore& store);

}  // namespace pregate::cli
