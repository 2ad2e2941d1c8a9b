// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/machine.hpp"
#include "sim/parallel/parallel_spec.hpp"
#include "sim/planner/plan.hpp"
#include "sim/simulate.hpp"

/// What is not simulated on several GPUs: an InputError each.
namespace pregate::sim {

/// More GPUs than a host has: of those that do alike only the slowest are drawn.
bool is_large(const ParallelSpec& spec);

/// Parts of a policy that are simulated on one GPU only.
void check_group_policy(const PolicySpec& policy, const SimulationOptions& options,
                        const trace::TraceInfo& info);
/// Schedules of a large group.
void check_large_group(const ParallelSpec& spec, const SimulationOptions& options);
/// Stages of a large group whose GPUs do alike.
void check_large_stages(const ParallelSpec& spec, const MachineSpec& used);
/// Static gating gives each expert as much room, and EPLB moves experts that are all there.
void check_spread(const ParallelSpec& spec, const trace::TraceInfo& info);
/// Whether a plan that copies or foresees experts passes check_group_plan().
bool may_offload(const ParallelSpec& spec);
/// Experts are copied or foreseen: the GPU does otherwise than those beside it.
bool moves_experts(const Plan& plan);
/// Nobody stands for the GPU: it moves experts, or keys and values, or computes a pass in parts.
bool is_drawn_by_itself(const Plan& plan);
/// Whether the plan of a GPU goes with several passes under way: it does not ask what time it is, and neither
/// the CPU nor a near-data device computes anything.
bool may_overlap(const Plan& plan);
/// Why a policy does not go with the several passes under way that its software has (usual_batches): before
/// it is planned, and of a GPU's plan. Empty: it does.
std::string why_one_pass(const PolicySpec& policy, const ServingSpec& serving);
std::string why_one_pass(const Plan& plan);
/// Of one GPU's plan.
void check_group_plan(const Plan& plan, const ParallelSpec& spec, const PolicySpec& policy);

}  // namespace pregate::sim
