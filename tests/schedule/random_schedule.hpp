// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/schedule/schedule.hpp"

namespace pregate::sim::test {

struct RandomSchedule {
  std::uint64_t seed = 1;
  int operations = 200;
  StreamOrder copy_order = StreamOrder::fifo;  ///< of h2d and d2h
  int group = 0;  ///< > 0: every operation but the first group's depends on the last one of the group before
};

/// Compute, host work, and copies that contend for links and memory; some take no time, some have no latency.
/// The same seed gives the same schedule on every platform.
Schedule random_schedule(const RandomSchedule& wanted);

}  // namespace pregate::sim::test
