// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "sim/run/pass_runner.hpp"
#include "sim/serve/batcher.hpp"
#include "sim/serve/request_log.hpp"
#include "sim/simulate.hpp"

namespace pregate::sim {

/// Class of a layer of a model's stack: layers that cost the same share one (CostModel::layer_class). Empty
/// where nothing is priced.
using LayerClassOf = std::function<int(int model_stack, int layer)>;

/// Drives a runner through the passes of a batcher, whose routing is that of the prepared trace. `info` is
/// the trace's. Fills the times, counts and tally of `result`.
void drive_trace(const ModelSpec& model, const PreparedTrace& prepared, const Plan& plan,
                 const LayerClassOf& layer_class, const trace::TraceInfo& info, Batcher& batcher,
                 const SimulationOptions& options, PassRunner& runner, SimulationResult& result);

/// Counts as a result has them.
CacheResult cache_result(const AccessCounts& counts);

/// What `requests` come to, into `result`.
void note_requests(RequestLog& requests, const SimulationOptions& options, SimulationResult& result);

/// drive_trace() in lock step, through the passes as the source has them; it is rewound.
void drive_trace(const ModelSpec& model, const PreparedTrace& prepared, const Plan& plan,
                 const LayerClassOf& layer_class, trace::StepSource& source, const SimulationOptions& options,
                 PassRunner& runner, SimulationResult& result);

}  // namespace pregate::sim
