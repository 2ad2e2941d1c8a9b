// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/parallel/rank.hpp"
#include "sim/parallel/rank_steps.hpp"
#include "sim/serve/served_steps.hpp"
#include "sim/simulate.hpp"

/// What each GPU of a run on several plans for itself, and whether it fits.
namespace pregate::sim {

/// A rank with what is planned for it. Does not move: they refer to each other.
struct PlannedRank {
  /// `scanned`: of the whole trace, where that is enough to know.
  PlannedRank(const Rank& rank, MemoryLimits limits, trace::StepSource& source, const ServingSpec& serving,
              const ModelSpec& whole, const TraceScan* scanned);
  Rank rank;
  int host = 0;         ///< of its GPU
  MemoryLimits limits;  ///< of its GPU, and of its host
  RankSteps steps;
  ServedSteps served;
  PreparedTrace prepared;
  std::optional<Plan> plan;
  SimulationResult result;
};
using PlannedRanks = std::vector<std::unique_ptr<PlannedRank>>;

/// The GPUs of a run with what of the model and of the trace is theirs, nothing planned yet. `used`: the
/// machine with as many GPUs (with_gpus()). InputError as make_ranks(), and for GPUs that differ where they
/// would share layers.
PlannedRanks ranks_of_run(const ModelSpec& model, const MachineSpec& used, const PolicySpec& policy,
                          const PreparedTrace& prepared, trace::StepSource& source, const Topology& topology,
                          const SimulationOptions& options);

/// Whether what each GPU holds fits it, whatever the host's memory: of a policy as simulate_group() would
/// plan it, without planning more than its memory. InputError as that.
bool fits_on_gpus(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                  const PreparedTrace& prepared, trace::StepSource& source, const SimulationOptions& options);

/// What would fit them and the host, where `policy` does not: caches only where experts of such a group may
/// be copied. `ranks`: of the model and `used`, as ranks_of_run() makes them.
FitsWith what_fits_on_gpus(const ModelSpec& model, const MachineSpec& used, const PolicySpec& policy,
                           const PreparedTrace& prepared, trace::StepSource& source,
                           const PlannedRanks& ranks, const Topology& topology,
                           const SimulationOptions& options);

}  // namespace pregate::sim
