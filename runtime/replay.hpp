// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/answers.hpp"
#include "sim/simulate.hpp"

namespace pregate::runtime {

/// Simulates a policy that decides by the time with the decisions of a run on a device: the planner is given
/// the device's answers, `machine` the prices. Uses of `options`: costs, memory, recorded_steps. Where both
/// agree, the schedule is the device's, operation by operation. std::logic_error when it is not that run.
sim::SimulationResult replay(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                             const sim::PreparedTrace& prepared, trace::StepSource& source,
                             const Answers& answers, const sim::SimulationOptions& options);

}  // namespace pregate::runtime
