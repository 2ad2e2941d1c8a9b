// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/simulate.hpp"

#include <algorithm>
#include <cstdio>

#include "models/error.hpp"
#include "sim/cost/low_format.hpp"
#include "sim/engine/event_executor.hpp"
#include "sim/engine/stream_clock.hpp"
#include "sim/memory_needed.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "sim/planner/by_counts.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/run/counted_run.hpp"
#include "sim/run/drive.hpp"
#include "sim/run/guessed_run.hpp"
#include "sim/run/host_run.hpp"
#include "sim/run/layer_run.hpp"
#include "sim/serve/served_steps.hpp"
#include "sim/serving_checks.hpp"

namespace pregate::sim {

namespace {

void check_expert_fits(const ModelSpec& model, const MemoryLimits& limits) {
  for (const Stack& stack : model.stacks) {
    if (model.expert_bytes(stack) <= limits.gpu) continue;
    throw InputError("machine " + limits.name,
                     "one expert of " + model.name + " takes " + to_string(model.expert_bytes(stack)) +
                         ", but the GPU has " + to_string(limits.gpu) + " usable",
                     "choose a larger GPU or a smaller weight format (--weights)");
  }
}

/// Bytes a second by copies of any size.
double most_carried(const LinkSpec& link) {
  double most = link.bandwidth.value;
  for (const CopyPoint& point : link.table) most = std::max(most, point.rate.value);
  return most;
}

}  // namespace

/// What the model would say is then another thing, and how good that is nobody simulates.
void note_altered_routing(SimulationResult& result) {
  const CacheResult &a = result.decode_cache, &b = result.other_cache;
  const std::int64_t lower = a.lower() + b.lower();
  if (a.altered() + b.altered() == 0) return;
  const auto all = static_cast<double>(a.hits + a.misses + b.hits + b.misses);
  const auto part = [all](std::int64_t count, const char* what) {
    char text[128];
    std::snprintf(text, sizeof text, "%.3g %% of the activated experts are %s",
                  100 * static_cast<double>(count) / all, what);
    return count > 0 ? std::string(text) : std::string();
  };
  std::string parts;
  for (const std::string& each :
       {part(a.dropped + b.dropped, "dropped"), part(a.substituted + b.substituted, "substituted"),
        part(a.computed_ahead + b.computed_ahead, "computed from an earlier layer's input"),
        part(lower, ("computed in " + printable(result.policy.formats.low)).c_str())}) {
    if (!each.empty()) parts += (parts.empty() ? "" : ", ") + each;
  }
  result.notes.push_back("not exact: " + parts + ": the model's answers change, which is not simulated");
}

const char* to_string(Evidence evidence) { return evidence == Evidence::measured ? "measured" : "simulated"; }

const char* status_of(const SimulationResult& result) {
  if (result.out_of_memory) return "out-of-memory";
  return result.interrupted ? "interrupted" : "ok";
}

double SimulationResult::tokens_per_second() const {
  return total.count > 0 ? static_cast<double>(output_tokens) / total.seconds() : 0;
}

double SimulationResult::decode_tokens_per_second() const {
  return decode.count > 0 ? static_cast<double>(output_tokens) / decode.seconds() : 0;
}

PreparedTrace::PreparedTrace(trace::StepSource& source, const ModelSpec& model, const std::string& where,
                             const ServingSpec& serving)
    : map_(source.info(), model, where), scan_(scan_served(source, map_, serving)) {
  if (scan_.steps == 0)
    throw InputError(where, "the trace holds no step", "record at least one forward pass");
}

std::optional<Plan> plan_part(const ModelSpec& model, const MemoryLimits& limits, const PolicySpec& policy,
                              const PreparedTrace& prepared, trace::StepSource& source,
                              CountedExperts counted, SimulationResult& result, int prompt_chunk) {
  check_expert_fits(model, limits);
  result.policy = policy;
  result.largest_pass = prepared.scan().most_step_tokens;
  Plan plan = make_plan(policy, prepared.map(), prepared.scan(), result.topology, source, counted);
  if (!policy.formats.low.empty())
    plan_formats(plan, in_low_format(model, policy), source.info(), prepared.scan());
  result.memory = fit_memory(model, limits, plan, prepared.scan(), counted, prompt_chunk);
  result.notes = plan.notes;
  if (is_cut(policy) && plan.offloads()) {
    result.notes.push_back(
        "not exact: experts are computed from a part of their weights (formats.held and formats.copied are "
        "less "
        "than all): the model's answers change, which is not simulated");
  }
  result.prefill_slots = plan.prefill_slots;
  result.cache_slots = plan.cache_slots;
  result.buffer_slots = plan.buffer_slots;
  if (result.memory.fits()) return plan;
  result.out_of_memory = true;
  result.out_of_memory_reason = result.memory.explain(policy.name, limits.name);
  return std::nullopt;
}

std::optional<Plan> plan_run(const ModelSpec& model, const MemoryLimits& limits, const PolicySpec& policy,
                             const PreparedTrace& prepared, trace::StepSource& source, CountedExperts counted,
                             SimulationResult& result, int prompt_chunk) {
  std::optional<Plan> plan =
      plan_part(model, limits, policy, prepared, source, counted, result, prompt_chunk);
  if (plan) return plan;
  result.fits_with =
      what_fits(model, policy, prepared.map(), [&](const ModelSpec& changed, const PolicySpec& tried) {
        return memory_needed(changed, limits, tried, prepared, result.topology, source, counted,
                             prompt_chunk);
      });
  return std::nullopt;
}

namespace {

/// Flows share a link or the host's memory, so that their times follow from events alone.
bool shares_resources(const Plan& plan, const ModelSpec& model, const MachineSpec& machine) {
  const PolicySpec& policy = plan.policy;
  // Without a cache or a lookahead nothing is copied while the CPU reads the experts.
  const bool shares_memory =
      plan.computes_on_cpu() && (plan.cache_slots > 0 || policy.lookahead.predictor->predicts() ||
                                 policy.miss.service->fetches || policy.host_cache.preload > 0);
  // The link's copies and the drive's reads, where the host's memory cannot carry both at once.
  const bool drive_shares_memory =
      plan.make_host_tier &&
      copy_rate(machine.h2d, model.all_expert_bytes()).value + machine.ssd.read_bandwidth.value >
          machine.host.memory_bandwidth.value;
  // Activations that go to another place through that memory, beside copies.
  const bool others_share_memory =
      !plan.elsewhere.empty() && (machine.peer.bandwidth.value <= 0 || machine.network.hosts > 1);
  // Kernels that read over the link, beside copies or the CPU.
  const bool reads_beside_copies =
      plan.offloads() && policy.miss.service->read_rate &&
      (policy.lookahead.predictor->predicts() || plan.cache_swaps || plan.computes_on_cpu());
  // Experts that go back while others come.
  const bool swaps_share_memory =
      plan.offloads() && policy.transfer.write_back != WriteBack::none &&
      most_carried(machine.h2d) + most_carried(machine.d2h) > machine.host.memory_bandwidth.value;
  // Keys and values that go one way while experts, or others, go the other; a CPU that reads them meanwhile.
  const bool kv_shares_memory =
      policy.kv_cache.on_host() &&
      (policy.kv_cache.attention == AttentionPlace::cpu ||
       most_carried(machine.h2d) + most_carried(machine.d2h) > machine.host.memory_bandwidth.value);
  return kv_shares_memory || swaps_share_memory || shares_memory || reads_beside_copies ||
         drive_shares_memory || others_share_memory || machine.gpu.host_memory_traffic.value > 0;
}

void check_engine(Engine engine, bool needs_events) {
  if (engine != Engine::timed || !needs_events) return;
  throw InputError("--engine", "the timed engine cannot record a schedule or share a memory bus",
                   "--engine auto or --engine event");
}

/// Something needs every operation put together.
bool needs_operations(const MachineSpec& machine, const CostModel& costs, const SimulationOptions& options) {
  return options.engine == Engine::event || options.recorded_steps > 0 || !options.observers.empty() ||
         machine.gpu.host_memory_traffic.value > 0 || costs.lookup().count > 0;
}

}  // namespace

bool is_timed_by_counts(const Plan& plan, const PreparedTrace& prepared, const MachineSpec& machine,
                        const CostModel& costs, const SimulationOptions& options) {
  return options.parallel.is_one() && !needs_operations(machine, costs, options) &&
         decides_by_counts(plan, prepared.scan());
}

SimulationResult simulate(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                          const PreparedTrace& prepared, trace::StepSource& source,
                          const SimulationOptions& options) {
  if (!options.parallel.is_one()) return simulate_group(model, machine, policy, prepared, source, options);
  SimulationResult result;
  CostModel costs(model, machine, policy, options.costs);
  result.topology = topology_of(machine, policy.transfer.queue->order());
  const ServingSpec& serving = options.serving;
  check_serving(serving, policy, source.info());
  ServedSteps served(source, serving);
  std::optional<Plan> planned = plan_run(model, options.memory.value_or(memory_limits(machine)), policy,
                                         prepared, served, options.counted, result, options.prompt_chunk);
  if (!planned) return result;
  planned->late_tokens = costs.late_tokens();
  const Plan& plan = *planned;

  const bool needs_events = shares_resources(plan, model, machine) || options.recorded_steps > 0;
  check_engine(options.engine, needs_events);
  const auto drive = [&](PassRunner& runner) {
    const auto kv = result.memory.peak[static_cast<std::size_t>(MemoryPurpose::kv_cache)];
    const std::unique_ptr<Batcher> batcher = serving.make(source, {{&model, kv}});
    drive_trace(model, prepared, plan, layer_class_of(costs), source.info(), *batcher, options, runner,
                result);
    source.rewind();
  };
  const bool by_operations = needs_operations(machine, costs, options);
  if (is_timed_by_counts(plan, prepared, machine, costs, options)) {
    CountedRun runner(result.topology, prepared.map(), plan, costs);
    drive(runner);
    return result;
  }
  if (!by_operations && serving.is_standard() && decides_by_guesses(plan, prepared.scan())) {
    GuessedRun runner(result.topology, prepared.map(), plan, costs);
    drive(runner);
    return result;
  }
  if (!by_operations && serving.is_standard() && computes_misses_beside_copies(plan)) {
    HostRun runner(result.topology, prepared.map(), plan, costs);
    drive(runner);
    return result;
  }
  const CostEstimates estimates(costs);
  const auto plan_for = [&](Executor& executor) {
    executor.observe(of_operations(options.observers));
    LayerRun runner(result.topology, prepared.map(), plan, work_shape(costs), &estimates, executor);
    drive(runner);
  };
  if (options.engine == Engine::event || needs_events) {
    EventExecutor executor(result.topology, costs, prepared.map(), options.recorded_steps);
    executor.record_from(options.first_recorded_step);
    plan_for(executor);
    result.schedule = executor.schedule();
    result.timeline = executor.timeline();
  } else {
    StreamClock executor(result.topology, costs, plan.needs_clock() ? Loop::closed : Loop::open);
    plan_for(executor);
  }
  note_altered_routing(result);
  return result;
}

}  // namespace pregate::sim
