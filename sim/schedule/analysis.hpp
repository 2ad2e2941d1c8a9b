// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/schedule/schedule.hpp"

namespace pregate::sim {

/// Boost.Graph view of a schedule: explicit dependencies plus one edge from each operation to the next of its
/// in-order stream.
struct CriticalPath {
  std::vector<OpId> operations;  ///< first to last; each starts when the one before finishes (or waits)
  Picoseconds compute, cpu, transfer, host, waiting;  ///< sums along the path; their total is the makespan
};

/// True when the explicit and stream edges form no cycle (always so for a Schedule built by add()).
bool is_acyclic(const Schedule& schedule);

/// Backwards from the operation that finishes last: at each operation the predecessor (dependency or stream
/// neighbour) that finishes last, the earliest issued on a tie. compute: kinds on the compute stream;
/// cpu: experts that the CPU computes; transfer: fetch, write_back, device_copy, activations; host:
/// gate_readback and other host-stream work; waiting: gaps.
CriticalPath critical_path(const Schedule& schedule, const Timeline& timeline);

/// How much later each operation could finish without delaying the end (by explicit and stream edges).
std::vector<Picoseconds> slack(const Schedule& schedule, const Timeline& timeline);

}  // namespace pregate::sim
