// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cost/cost_model.hpp"
#include "sim/run/pass_runner.hpp"
#include "sim/serve/batcher.hpp"
#include "sim/simulate.hpp"

namespace pregate::sim {

/// Drives a runner through the passes of a batcher, whose routing is that of the prepared trace. `info` is
/// the trace's. Fills the times, counts and tally of `result`. `classes` gives each layer's class
/// (CostModel::layer_class), layers that cost the same.
void drive_trace(const ModelSpec& model, const PreparedTrace& prepared, const Plan& plan,
                 const CostModel& classes, const trace::TraceInfo& info, Batcher& batcher,
                 const SimulationOptions& options, PassRunner& runner, SimulationResult& result);

/// The same in lock step, through the passes as the source has them; it is rewound.
void drive_trace(const ModelSpec& model, const PreparedTrace& prepared, const Plan& plan,
                 const CostModel& classes, trace::StepSource& source, const SimulationOptions& options,
                 PassRunner& runner, SimulationResult& result);

}  // namespace pregate::sim
