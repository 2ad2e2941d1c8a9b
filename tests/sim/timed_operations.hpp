// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sim/engine/event_engine.hpp"
#include "tests/sim/lookahead_runs.hpp"

namespace pregate::sim {

/// A catalogue policy with keys set.
struct Variant {
  std::string of;
  Set set;
};

/// Operations of a kind, in the order of issue.
struct Timed {
  std::vector<Picoseconds> start, finish;
  [[nodiscard]] Picoseconds took(std::size_t i) const { return finish[i] - start[i]; }
};

/// Of one step, or (-1) of all that were recorded.
inline Timed times_of(const SimulationResult& result, OpKind kind, std::int64_t step = -1) {
  Timed times;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    const Operation& operation = result.schedule.operation(static_cast<OpId>(i));
    if (operation.kind != kind || (step >= 0 && operation.step != step)) continue;
    times.start.push_back(result.timeline.start[i]);
    times.finish.push_back(result.timeline.finish[i]);
  }
  return times;
}

/// The event engine gives the exported schedule the times that the run had.
inline void expect_replayed(const SimulationResult& recorded) {
  const Timeline again = run(recorded.schedule);
  EXPECT_EQ(again.start, recorded.timeline.start);
  EXPECT_EQ(again.finish, recorded.timeline.finish);
}

}  // namespace pregate::sim
