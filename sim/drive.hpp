// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "sim/cost/cost_model.hpp"
#include "sim/policy/planner.hpp"
#include "sim/simulate.hpp"

namespace pregate::sim {

/// Clock readings of the request that runs: when its first token came, and what it costs per token after
/// that.
class RequestClock {
 public:
  /// `has_prompt`: the request begins with an encoder pass or a prefill. Without one its first recorded step
  /// is some token's, and tells nothing of the time to the first.
  void begin(Picoseconds now, bool has_prompt) {
    close();
    begin_ = now;
    has_prompt_ = has_prompt;
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
    if (has_prompt_) {
      ttft_ += first_token_ - begin_;
      ++requests_;
    }
    if (steps_ > 0) {
      tpot_ms_ += (end_ - first_token_).milliseconds() / static_cast<double>(steps_);
      ++timed_requests_;
    }
    first_token_ = {-1};
  }
  [[nodiscard]] std::int64_t requests_with_prompt() const { return requests_; }
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
  bool has_prompt_ = false;
};

inline CacheResult to_result(const AccessCounts& counts) {
  return {counts.hits,   counts.misses,          counts.prefetched,
          counts.wasted, counts.computed_on_cpu, counts.written_back};
}

/// A stack of the trace as the loop over steps needs it.
struct StackLayers {
  struct Layer {
    int layer_class;
    bool moe;
  };
  int model_stack = 0;
  std::vector<Layer> layers;
};

inline std::vector<StackLayers> stack_layers(const ModelSpec& model, const trace::TraceInfo& info,
                                             const CostModel& costs) {
  std::vector<StackLayers> stacks;
  for (const std::string& name : info.stacks) {
    StackLayers stack{.model_stack = model.stack_index(name), .layers = {}};
    const Stack& described = model.stacks[static_cast<std::size_t>(stack.model_stack)];
    for (int layer = 0; layer < static_cast<int>(described.layers.size()); ++layer)
      stack.layers.push_back({costs.layer_class(stack.model_stack, layer), described.is_moe(layer)});
    stacks.push_back(std::move(stack));
  }
  return stacks;
}

/// Drives the planner through the trace: an executor's side of the decision points. Fills the times, counts
/// and tally of `result`. Beside what the planner asks of it, `Executor` gives
///   begin_step(number, model_stack, tokens), end_step(last) -> clock, finish(), tally(), end()
/// and a real device's also
///   prepare(step)              before begin_step
///   begin_moe_layer(ordinal)   before the planner's
///   wait_for_gate()            after it: until the host knows what it may know
/// A planner whose decisions do not depend on time may look at the whole step's routing before it begins:
///   routing_known(step, routing)
template <class SomePlanner, class Executor>
void drive_trace(const ModelSpec& model, const PreparedTrace& prepared, const Plan& plan, CostModel& costs,
                 trace::StepSource& source, const SimulationOptions& options, Executor& executor,
                 SimulationResult& result) {
  const ExpertMap& map = prepared.map();
  SomePlanner planner(map, plan, costs, executor);
  StepRouting routing(map);
  StepPredictions predictions(map);
  const bool predicts = plan.policy.lookahead.kind == LookaheadKind::recorded;
  const std::vector<StackLayers> stacks = stack_layers(model, source.info(), costs);
  RequestClock clock;
  Picoseconds now;
  int encoder_tokens = 0;
  std::int64_t verify_steps = 0;  ///< decode steps of more tokens than sequences
  int verified = 0;               ///< tokens a sequence in the largest of them
  constexpr std::int64_t steps_between_reports = 4096;

  trace::Step step;
  source.rewind();
  while (source.next(step)) {
    const StackLayers& stack = stacks[static_cast<std::size_t>(step.stack)];
    if (step.first_of_request) {
      clock.begin(now, step.phase != trace::Phase::decode);
      encoder_tokens = 0;
    }
    if (step.phase == trace::Phase::encoder) encoder_tokens = step.tokens / std::max(1, step.sequences);
    routing.load(step);
    if (predicts) predictions.load(step);
    costs.begin_step({.model_stack = stack.model_stack,
                      .phase = step.phase,
                      .tokens = step.tokens,
                      .sequences = step.sequences,
                      .position = step.position,
                      .encoder_tokens = encoder_tokens});
    if constexpr (requires { executor.prepare(step); }) executor.prepare(step);
    executor.begin_step(result.steps, stack.model_stack, step.tokens);
    if constexpr (requires { planner.routing_known(step, routing); }) planner.routing_known(step, routing);
    planner.begin_step(step);
    int ordinal = map.ordinals(step.stack).first;
    const int layer_count = static_cast<int>(stack.layers.size());
    for (int layer = 0; layer < layer_count; ++layer) {
      const auto [layer_class, moe] = stack.layers[static_cast<std::size_t>(layer)];
      if (moe) {
        if constexpr (requires { executor.begin_moe_layer(ordinal); }) executor.begin_moe_layer(ordinal);
        planner.begin_moe_layer(ordinal, layer_class);
        if constexpr (requires { executor.wait_for_gate(); }) executor.wait_for_gate();
        planner.gate_known(ordinal, routing, predicts ? &predictions : nullptr);
        ++ordinal;
      } else {
        planner.dense_layer(layer, layer_class);
      }
    }
    const Picoseconds end = executor.end_step(planner.end_step());
    if (step.phase == trace::Phase::decode) {
      result.decode += end - now;
      result.output_tokens += step.sequences;
      if (step.tokens > step.sequences) {
        ++verify_steps;
        verified = std::max(verified, (step.tokens + step.sequences - 1) / step.sequences);
      }
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

  if (verify_steps > 0)
    result.notes.push_back(std::to_string(verify_steps) + " decode steps verify drafts (up to " +
                           std::to_string(verified) +
                           " tokens a sequence): one accepted token each is counted");
  result.total = now;
  result.requests_with_prompt = clock.requests_with_prompt();
  result.ttft_ms = clock.ttft_ms();
  result.tpot_ms = clock.tpot_ms();
  result.decode_cache = to_result(planner.decode_counts());
  result.other_cache = to_result(planner.other_counts());
  result.tally = executor.tally();
  result.path = executor.end();
}

}  // namespace pregate::sim
