// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/run.hpp"

namespace pregate::cli {

/// Notes, into `results` and `run`, on what the user or a description set and what changes nothing:
/// - a link that is faster than the host memory which copies read;
/// - a lookahead beyond the last MoE layer, miss.admission where misses are fetched;
/// - flags of the cache where no policy offloads;
/// - `--set machine.…` and `--set policy.…` without which every figure is the same. That is found by running
///   without them, so it is not asked of runs of more than a few million operations (except machine.ssd,
///   which the simulator never reads).
void note_without_effect(const Parsed& parsed, Run& run, std::vector<sim::SimulationResult>& results);

/// The same of what was executed on a device: `--set policy.…` without which the schedule is the same, which
/// is found by simulating with and without it; and a --prompt-chunk that cuts nothing.
void note_without_effect_on_device(const Parsed& parsed, Run& run,
                                   const std::vector<sim::SimulationResult>& measured);

}  // namespace pregate::cli
