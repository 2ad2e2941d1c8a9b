// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/histogram.hpp"
#include "sim/retime/lane_values.hpp"

namespace pregate::sim {

/// Durations of each machine, in the buckets of Histogram.
class LaneHistograms {
 public:
  /// Each of them so many times. Durations are not negative.
  void add(std::span<const LaneCell> durations, std::int64_t times);
  [[nodiscard]] Histogram of(std::size_t lane) const;

 private:
  void make_room(std::size_t lane, std::int64_t most);

  std::array<std::vector<std::int64_t>, lane_count> counts_;
  std::array<Histogram::Wide, lane_count> sum_{};
  std::int64_t count_ = 0;
  LaneValues least_ = LaneValues{} + INT64_MAX, most_{};
};

}  // namespace pregate::sim
