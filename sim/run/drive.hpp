// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cost/cost_model.hpp"
#include "sim/run/pass_runner.hpp"
#include "sim/simulate.hpp"

namespace pregate::sim {

/// Drives a runner through the trace, pass by pass. Fills the times, counts and tally of `result`. `classes`
/// gives each layer's class (CostModel::layer_class), layers that cost the same.
void drive_trace(const ModelSpec& model, const PreparedTrace& prepared, const Plan& plan,
                 const CostModel& classes, trace::StepSource& source, const SimulationOptions& options,
                 PassRunner& runner, SimulationResult& result);

}  // namespace pregate::sim
