// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/replay.hpp"

#include "sim/cost/price.hpp"
#include "sim/engine/event_executor.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/run/drive.hpp"
#include "sim/run/layer_run.hpp"

namespace pregate::runtime {

sim::SimulationResult replay(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                             const sim::PreparedTrace& prepared, trace::StepSource& source,
                             const Answers& answers, const sim::SimulationOptions& options) {
  sim::SimulationResult result;
  sim::CostModel costs(model, machine, policy, options.costs);
  result.topology = sim::topology_of(machine, policy.transfer.queue->order());
  const auto plan = sim::plan_run(model, options.memory.value_or(sim::memory_limits(machine)), policy,
                                  prepared, source, options.counted, result, options.prompt_chunk);
  if (!plan) return result;
  const sim::CostEstimates estimates(costs);
  sim::EventExecutor executor(result.topology, costs, prepared.map(), options.recorded_steps);
  AnswersReplayed told(executor, answers);
  sim::LayerRun runner(result.topology, prepared.map(), *plan, sim::work_shape(costs), &estimates, told);
  sim::drive_trace(model, prepared, *plan, sim::layer_class_of(costs), source, options, runner, result);
  result.schedule = executor.schedule();
  result.timeline = executor.timeline();
  return result;
}

}  // namespace pregate::runtime
