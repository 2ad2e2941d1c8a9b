// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/simulate.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "sim/engine/event_executor.hpp"
#include "sim/engine/timed_executor.hpp"
#include "sim/policy/planner.hpp"

namespace pregate::sim {

namespace {

/// Clock readings of the request that runs: when its first token came, and what it costs per token after
/// that.
class RequestClock {
 public:
  void begin(Picoseconds now) {
    close();
    begin_ = now;
    steps_ = 0;
    first_token_ = {-1};
  }
  void end_step(trace::Phase phase, Picoseconds now) {
    end_ = now;
    if (phase == trace::Phase::encoder) return;
    if (first_token_.count < 0) {
      first_token_ = now;
    } else {
      ++steps_;
    }
  }
  /// Call once after the last request.
  void close() {
    if (first_token_.count < 0) return;
    ttft_ += first_token_ - begin_;
    ++requests_;
    if (steps_ > 0) {
      tpot_ms_ += (end_ - first_token_).milliseconds() / static_cast<double>(steps_);
      ++timed_requests_;
    }
    first_token_ = {-1};
  }
  [[nodiscard]] double ttft_ms() const {
    return requests_ == 0 ? 0 : ttft_.milliseconds() / static_cast<double>(requests_);
  }
  [[nodiscard]] double tpot_ms() const {
    return timed_requests_ == 0 ? 0 : tpot_ms_ / static_cast<double>(timed_requests_);
  }

 private:
  Picoseconds begin_, end_, first_token_{-1}, ttft_;
  std::int64_t steps_ = 0, requests_ = 0, timed_requests_ = 0;
  double tpot_ms_ = 0;
};

CacheResult to_result(const AccessCounts& counts) {
  return {counts.hits, counts.misses, counts.prefetched, counts.wasted};
}

/// Drives the planner through the trace: the simulator's side of the decision points.
template <class Executor>
void run_trace(const ModelSpec& model, const PreparedTrace& prepared, const Plan& plan, CostModel& costs,
               trace::StepSource& source, const SimulationOptions& options, Executor& executor,
               SimulationResult& result) {
  const ExpertMap& map = prepared.map();
  Planner<Executor> planner(map, plan, costs, executor);
  StepRouting routing(map);
  StepPredictions predictions(map);
  const bool predicts = plan.policy.lookahead.kind == LookaheadKind::recorded;
  const trace::TraceInfo& info = source.info();
  RequestClock clock;
  Picoseconds now;
  int encoder_tokens = 0;
  constexpr std::int64_t steps_between_reports = 4096;

  trace::Step step;
  source.rewind();
  while (source.next(step)) {
    const int model_stack = model.stack_index(info.stacks[static_cast<std::size_t>(step.stack)]);
    const std::vector<Layer>& layers = model.stacks[static_cast<std::size_t>(model_stack)].layers;
    if (step.first_of_request) {
      clock.begin(now);
      encoder_tokens = 0;
    }
    if (step.phase == trace::Phase::encoder) encoder_tokens = step.tokens / std::max(1, step.sequences);
    routing.load(step);
    if (predicts) predictions.load(step);
    costs.begin_step({.model_stack = model_stack,
                      .phase = step.phase,
                      .tokens = step.tokens,
                      .sequences = step.sequences,
                      .position = step.position,
                      .encoder_tokens = encoder_tokens});
    executor.begin_step(result.steps, model_stack, step.tokens);
    planner.begin_step(step);
    int ordinal = map.ordinals(step.stack).first;
    const int layer_count = static_cast<int>(layers.size());
    for (int layer = 0; layer < layer_count; ++layer) {
      const int layer_class = costs.layer_class(model_stack, layer);
      if (layers[static_cast<std::size_t>(layer)].moe) {
        planner.begin_moe_layer(ordinal, layer_class);
        planner.gate_known(ordinal, routing, predicts ? &predictions : nullptr);
        ++ordinal;
      } else {
        planner.dense_layer(layer, layer_class);
      }
    }
    const Picoseconds end = executor.end_step(planner.end_step());
    if (step.phase == trace::Phase::decode) {
      result.decode += end - now;
      result.output_tokens += step.tokens;
      ++result.decode_steps;
    } else {
      result.before_decode += end - now;
    }
    now = end;
    clock.end_step(step.phase, now);
    result.requests += step.first_of_request ? 1 : 0;
    if (++result.steps % steps_between_reports == 0 && options.progress) {
      options.progress(result.steps, prepared.scan().steps);
    }
  }
  executor.finish();
  clock.close();
  source.rewind();

  result.total = now;
  result.ttft_ms = clock.ttft_ms();
  result.tpot_ms = clock.tpot_ms();
  result.decode_cache = to_result(planner.decode_counts());
  result.other_cache = to_result(planner.other_counts());
  result.tally = executor.tally();
  result.path = executor.end();
}

void check_expert_fits(const ModelSpec& model, const MachineSpec& machine) {
  const Bytes usable = machine.gpu.memory - machine.gpu.reserved;
  for (const Stack& stack : model.stacks) {
    if (model.expert_bytes(stack) <= usable) continue;
    throw InputError("machine " + machine.name,
                     "one expert of " + model.name + " takes " + to_string(model.expert_bytes(stack)) +
                         ", but the GPU has " + to_string(usable) + " usable",
                     "choose a larger GPU or a smaller weight format (--weights)");
  }
}

}  // namespace

double SimulationResult::tokens_per_second() const {
  return total.count > 0 ? static_cast<double>(output_tokens) / total.seconds() : 0;
}

double SimulationResult::decode_tokens_per_second() const {
  return decode.count > 0 ? static_cast<double>(output_tokens) / decode.seconds() : 0;
}

PreparedTrace::PreparedTrace(trace::StepSource& source, const ModelSpec& model, const std::string& where)
    : map_(source.info(), model, where), scan_(scan_trace(source, map_)) {
  if (scan_.steps == 0)
    throw InputError(where, "the trace holds no step", "record at least one forward pass");
}

SimulationResult simulate(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                          const PreparedTrace& prepared, trace::StepSource& source,
                          const SimulationOptions& options) {
  check_expert_fits(model, machine);
  SimulationResult result;
  result.policy = policy;
  CostModel costs(model, machine, policy);
  Plan plan = make_plan(policy, prepared.map(), prepared.scan(), source, options.counted);
  result.memory = fit_memory(model, machine, plan, prepared.scan(), options.counted);
  result.notes = plan.notes;
  result.prefill_slots = plan.prefill_slots;
  result.cache_slots = plan.cache_slots;
  result.buffer_slots = plan.buffer_slots;
  if (!result.memory.fits()) {
    result.out_of_memory = true;
    result.out_of_memory_reason = result.memory.explain(policy.name, machine.name);
    return result;
  }

  const bool needs_events =
      policy.transfer.queue == TransferQueue::demand_first || options.recorded_steps > 0;
  if (options.engine == Engine::timed && needs_events) {
    throw InputError("engine", "the timed engine cannot record a schedule or run a demand-first queue",
                     "use the engine 'automatic' or 'event'");
  }
  if (options.engine == Engine::event || needs_events) {
    EventExecutor executor(costs.platform(), options.recorded_steps);
    run_trace(model, prepared, plan, costs, source, options, executor, result);
    result.schedule = executor.schedule();
    result.timeline = executor.timeline();
  } else {
    TimedExecutor executor;
    run_trace(model, prepared, plan, costs, source, options, executor, result);
  }
  return result;
}

}  // namespace pregate::sim
