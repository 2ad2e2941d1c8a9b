// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "sim/run/pass_runner.hpp"
#include "sim/simulate.hpp"

namespace pregate::sim {

/// Class of a layer of a model's stack: layers that cost the same share one (CostModel::layer_class). Empty
/// where nothing is priced.
using LayerClassOf = std::function<int(int model_stack, int layer)>;

/// Drives a runner through the trace, pass by pass. Fills the times, counts and tally of `result`.
void drive_trace(const ModelSpec& model, const PreparedTrace& prepared, const Plan& plan,
                 const LayerClassOf& layer_class, trace::StepSource& source, const SimulationOptions& options,
                 PassRunner& runner, SimulationResult& result);

}  // namespace pregate::sim
