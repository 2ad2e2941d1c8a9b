// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/machine.hpp"
#include "sim/parallel/parallel_spec.hpp"
#include "sim/planner/plan.hpp"
#include "sim/simulate.hpp"

/// What is not simulated on several GPUs: an InputError each.
namespace pregate::sim {

/// More GPUs than a topology has ways for: of those that do alike only the slowest are drawn.
bool is_large(const ParallelSpec& spec);

/// Parts of a policy that are simulated on one GPU only.
void check_group_policy(const PolicySpec& policy, const SimulationOptions& options,
                        const trace::TraceInfo& info);
/// Stages of a large group, and schedules of one.
void check_large_group(const ParallelSpec& spec, const MachineSpec& used, const SimulationOptions& options);
/// Static gating gives each expert as much room, and EPLB moves experts that are all there.
void check_spread(const ParallelSpec& spec, const trace::TraceInfo& info);
/// Whether a plan that copies or foresees experts passes check_group_plan().
bool may_offload(const ParallelSpec& spec, const MachineSpec& machine);
/// Whether the plan of a GPU goes with several passes under way: it does not ask what time it is, and the CPU
/// computes nothing.
bool may_overlap(const Plan& plan);
/// Of one GPU's plan.
void check_group_plan(const Plan& plan, const ParallelSpec& spec, const PolicySpec& policy,
                      const MachineSpec& machine);

}  // namespace pregate::sim
