// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/drive.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "sim/run/request_clock.hpp"

namespace pregate::sim {

namespace {

CacheResult to_result(const AccessCounts& counts) {
  return {counts.hits,   counts.misses,          counts.prefetched,
          counts.wasted, counts.computed_on_cpu, counts.written_back};
}

/// A stack of the trace as the loop over passes needs it.
struct StackLayers {
  int model_stack = 0;
  std::vector<PassLayer> layers;
};

std::vector<StackLayers> stack_layers(const ModelSpec& model, const trace::TraceInfo& info,
                                      const LayerClassOf& layer_class) {
  std::vector<StackLayers> stacks;
  for (const std::string& name : info.stacks) {
    StackLayers stack{.model_stack = model.stack_index(name), .layers = {}};
    const Stack& described = model.stacks[static_cast<std::size_t>(stack.model_stack)];
    for (int layer = 0; layer < static_cast<int>(described.layers.size()); ++layer)
      stack.layers.push_back(
          {layer_class ? layer_class(stack.model_stack, layer) : 0, described.is_moe(layer)});
    stacks.push_back(std::move(stack));
  }
  return stacks;
}

/// Decode steps of more tokens than sequences.
struct Drafts {
  std::int64_t steps = 0;
  int most = 0;  ///< tokens a sequence
  void add(const trace::Step& step) {
    if (step.tokens <= step.sequences) return;
    ++steps;
    most = std::max(most, (step.tokens + step.sequences - 1) / step.sequences);
  }
};

}  // namespace

void drive_trace(const ModelSpec& model, const PreparedTrace& prepared, const Plan& plan,
                 const LayerClassOf& layer_class, trace::StepSource& source, const SimulationOptions& options,
                 PassRunner& runner, SimulationResult& result) {
  constexpr std::int64_t steps_between_reports = 4096;
  const ExpertMap& map = prepared.map();
  StepRouting routing(map);
  StepPredictions predictions(map);
  const bool predicts = plan.policy.lookahead.kind == LookaheadKind::recorded;
  const std::vector<StackLayers> stacks = stack_layers(model, source.info(), layer_class);
  RequestClock clock;
  Picoseconds now;
  int encoder_tokens = 0;
  Drafts drafts;

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
    const Picoseconds end = runner.run({.info = {.step = step,
                                                 .number = result.steps,
                                                 .shape = {.model_stack = stack.model_stack,
                                                           .phase = step.phase,
                                                           .tokens = step.tokens,
                                                           .sequences = step.sequences,
                                                           .position = step.position,
                                                           .encoder_tokens = encoder_tokens}},
                                        .layers = stack.layers,
                                        .first_ordinal = map.ordinals(step.stack).first,
                                        .routing = routing,
                                        .predictions = predicts ? &predictions : nullptr});
    if (step.phase == trace::Phase::decode) {
      result.decode += end - now;
      result.output_tokens += step.sequences;
      drafts.add(step);
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
  runner.finish();
  clock.close();
  source.rewind();

  if (drafts.steps > 0)
    result.notes.push_back(std::to_string(drafts.steps) + " decode steps verify drafts (up to " +
                           std::to_string(drafts.most) +
                           " tokens a sequence): one accepted token each is counted");
  result.total = now;
  result.requests_with_prompt = clock.requests_with_prompt();
  result.ttft_ms = clock.ttft_ms();
  result.tpot_ms = clock.tpot_ms();
  result.decode_cache = to_result(runner.decode_counts());
  result.other_cache = to_result(runner.other_counts());
  result.tally = runner.tally();
  result.path = runner.end();
}

}  // namespace pregate::sim
