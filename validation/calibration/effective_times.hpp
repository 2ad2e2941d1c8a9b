// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <vector>

#include "sim/schedule/schedule.hpp"

namespace pregate::validation {

/// How long an operation of a measured timeline kept its successors waiting: from the moment at which its
/// stream was free and its dependencies were done to its finish. What the simulator calls its duration:
/// launches, wake-ups and queues included. Of the first operations of a step, from the step's begin.
std::vector<Picoseconds> effective_times(const sim::Schedule& schedule, const sim::Timeline& timeline);

/// Of one run: how many operations of each kind, and their mean effective time in microseconds; by OpKind.
struct KindTimes {
  std::array<std::int64_t, sim::op_kind_count> count{};
  std::array<double, sim::op_kind_count> mean_us{};
};
KindTimes mean_times(const sim::Schedule& schedule, const sim::Timeline& timeline);

double median(std::vector<double> values);
/// Half the interquartile range over the median; of two or three values half their whole range.
double relative_spread(std::vector<double> values);
/// How well the median of repeats is known: half the width of its confidence interval over the median. The
/// interval is that of order statistics, which assumes nothing of the distribution, of at least 95 %; fewer
/// than six values cannot give that much, and their whole range is taken.
double median_uncertainty(std::vector<double> values);

}  // namespace pregate::validation
