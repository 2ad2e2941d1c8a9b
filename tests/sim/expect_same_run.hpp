// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include "sim/report/report.hpp"
#include "sim/simulate.hpp"

namespace pregate::test {

/// Every figure of a report, and every sum behind it.
inline void expect_same_figures(const sim::SimulationResult& a, const sim::SimulationResult& b) {
  EXPECT_EQ(a.total, b.total);
  EXPECT_EQ(a.decode, b.decode);
  EXPECT_EQ(a.ttft_ms, b.ttft_ms);
  EXPECT_EQ(a.tpot_ms, b.tpot_ms);
  EXPECT_EQ(a.tally.busy, b.tally.busy);
  EXPECT_EQ(a.tally.exposed_transfer, b.tally.exposed_transfer);
  EXPECT_EQ(a.tally.exposed_cpu, b.tally.exposed_cpu);
  EXPECT_EQ(a.tally.exposed_host, b.tally.exposed_host);
  EXPECT_EQ(a.tally.operations, b.tally.operations);
  EXPECT_EQ(a.tally.fetches, b.tally.fetches);
  EXPECT_EQ(a.tally.fetched, b.tally.fetched);
  EXPECT_TRUE(a.tally.spent == b.tally.spent);
  EXPECT_EQ(a.path.finish, b.path.finish);
  EXPECT_EQ(a.path.waiting, b.path.waiting);
  EXPECT_EQ(a.path.transfer(), b.path.transfer());
  EXPECT_EQ(a.path.host(), b.path.host());
  EXPECT_TRUE(a.path.spent == b.path.spent);
  EXPECT_EQ(sim::results_csv({}, {a}), sim::results_csv({}, {b}));
}

/// Those, and the same operation ends last.
inline void expect_same_run(const sim::SimulationResult& a, const sim::SimulationResult& b) {
  expect_same_figures(a, b);
  EXPECT_EQ(a.path.id, b.path.id);
}

}  // namespace pregate::test
