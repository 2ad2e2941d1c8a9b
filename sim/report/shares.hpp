// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/simulate.hpp"

namespace pregate::sim {

/// Of decode steps, or of all where there are none; 0 to 1.
double hit_rate(const SimulationResult& result);

/// Shares of the critical path, together 1; all 0 where nothing ran.
struct PathShares {
  double compute = 0, cpu = 0, transfer = 0, host = 0, waiting = 0;
};
PathShares path_shares(const SimulationResult& result);

/// A stream's busy time as a share of the run, 0 to 1: copies that nobody waits for may outlast the last
/// token, with which the run ends.
double busy_share(const SimulationResult& result, Picoseconds busy);

/// Busy shares of the run: of the first GPU, of the CPU, of the copies between them to the GPU.
struct Utilisation {
  double compute = 0, h2d = 0, cpu = 0;
};
Utilisation utilisation(const SimulationResult& result);

/// Of the run's time: in which no request was there.
double idle_share(const SimulationResult& result);
/// Of the run's time: in which the GPU is idle because a copy is not there.
double exposed_transfer_share(const SimulationResult& result);
/// Of the time that copies take: that is not so exposed. Negative where more is exposed than copied.
double hidden_transfer_share(const SimulationResult& result);

}  // namespace pregate::sim
