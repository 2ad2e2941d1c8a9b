// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/sweep/axis.hpp"

namespace pregate::sim {

/// How the points of a sweep fill the space of its axes.
struct Sampling {
  enum class Kind {
    grid,   ///< every combination of values
    lhs,    ///< Latin hypercube: each axis is cut into as many strata as there are samples, one in each
    sobol,  ///< a Sobol sequence without its first point, the lower corner
  };
  Kind kind = Kind::grid;
  std::int64_t samples = 0;
  std::uint64_t seed = 1;  ///< of a Latin hypercube
  bool operator==(const Sampling&) const = default;
};

/// `grid`, `lhs:200`, `sobol:200`. InputError at `where` otherwise.
Sampling parse_sampling(std::string_view text, std::uint64_t seed, const std::string& where);
std::string to_string(const Sampling& sampling);

/// More points than that are no sweep.
inline constexpr std::int64_t most_points = 1'000'000;

/// The points of a sweep, numbered from 0: combinations of all axes, the last one's values following each
/// other. Of samples, those of the axes that are varied follow each other, and are the same for each
/// combination of the others.
class SweepPoints {
 public:
  /// `crossed` are combined whatever the sampling. InputError: an axis twice, a range without a number of
  /// values in a grid, too many points.
  SweepPoints(std::vector<Axis> crossed, std::vector<Axis> varied, const Sampling& sampling);

  [[nodiscard]] const std::vector<Axis>& axes() const { return axes_; }
  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] bool is_grid() const { return samples_ == 0; }
  /// A value of each axis.
  [[nodiscard]] std::vector<std::string> at(std::int64_t point) const;

 private:
  std::vector<Axis> axes_;
  std::size_t crossed_;
  std::int64_t samples_ = 0;    ///< 0: a grid
  std::vector<double> shares_;  ///< by sample and varied axis
  std::int64_t count_ = 1;
};

}  // namespace pregate::sim
