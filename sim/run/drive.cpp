// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/drive.hpp"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <string>
#include <vector>

#include "sim/serve/lock_step.hpp"
#include "sim/serve/micro_batches.hpp"
#include "sim/serve/request_log.hpp"

namespace pregate::sim {

namespace {

constexpr std::int64_t steps_between_reports = 4096;

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
  int most = 0;                ///< tokens a sequence
  std::int64_t brought = 0;    ///< tokens of those steps that were accepted
  std::int64_t sequences = 0;  ///< of those steps
  /// The most drafts of a sequence in the pass.
  int add(std::span<const Row> rows) {
    int tokens = 0, of_pass = 0, accepted = 0, drafts = 0;
    for (const Row& row : rows) {
      if (row.phase != trace::Phase::decode) continue;
      tokens += row.tokens;
      of_pass += row.sequences;
      accepted += row.accepted;
      drafts = std::max(drafts, (row.drafted + row.sequences - 1) / row.sequences);
    }
    if (tokens <= of_pass) return 0;
    ++steps;
    most = std::max(most, (tokens + of_pass - 1) / of_pass);
    brought += accepted;
    sequences += of_pass;
    return drafts;
  }
  [[nodiscard]] std::string text() const {
    const std::string verified = std::to_string(steps) + " decode steps verify drafts (up to " +
                                 std::to_string(most) + " tokens a sequence): ";
    if (brought == sequences) return verified + "one accepted token each is counted";
    char each[32];
    std::snprintf(each, sizeof each, "%.2f", static_cast<double>(brought) / static_cast<double>(sequences));
    return verified + std::string(each) + " tokens of each are accepted, and those count";
  }
};

}  // namespace

CacheResult cache_result(const AccessCounts& counts) {
  return {.hits = counts.hits,
          .misses = counts.misses,
          .prefetched = counts.prefetched,
          .wasted = counts.wasted,
          .computed_on_cpu = counts.computed_on_cpu,
          .written_back = counts.written_back,
          .drive_reads = counts.drive_reads,
          .foreseeable = counts.foreseeable,
          .guesses = counts.guesses,
          .right_guesses = counts.right_guesses,
          .cancelled = counts.cancelled,
          .near_data = counts.near_data,
          .read_through = counts.read_through,
          .dropped = counts.dropped,
          .substituted = counts.substituted,
          .computed_ahead = counts.computed_ahead,
          .low_hits = counts.low_hits,
          .low_fetched = counts.low_fetched};
}

void note_requests(RequestLog& requests, const SimulationOptions& options, SimulationResult& result) {
  result.requests = static_cast<std::int64_t>(requests.records().size());
  result.requests_with_prompt = requests.requests_with_prompt();
  result.ttft_ms = requests.mean_ttft_ms();
  result.tpot_ms = requests.mean_tpot_ms();
  result.ttft = requests.ttft_percentiles();
  result.tpot = requests.tpot_percentiles();
  const RequestLimits& limits = options.serving.limits;
  if (limits.any()) result.within_limits = requests.within(limits.ttft, limits.tpot);
  if (options.serving.paged_kv()) {
    result.preempted = {0, 0};
    for (const RequestRecord& request : requests.records()) {
      result.preempted->times += request.preemptions;
      result.preempted->tokens += request.recomputed_tokens;
    }
  }
  if (requests.has_arrivals()) result.queue = requests.queue_percentiles();
  if (options.keeps_requests) result.request_records = requests.take_records();
}

namespace {

/// What the end of a pass adds to the result's sums: of several under way, the time since one ended before.
void count_end(std::span<const Row> rows, trace::Phase phase, Picoseconds took, SimulationResult& result) {
  // What is recomputed after a preemption ends with an output token.
  for (const Row& row : rows) result.output_tokens += row.accepted;
  (phase == trace::Phase::decode ? result.decode : result.before_decode) += took;
}

/// The passes that a runner has under way.
class UnderWay {
 public:
  UnderWay(PassRunner& runner, std::span<PassObserver* const> observers, SimulationResult& result)
      : runner_(runner), observers_(observers), result_(result) {}

  /// `now`: when it may begin; it is then when it has ended, if nothing else may be under way.
  void run(const Pass& pass, std::span<const Row> rows, bool alone, Picoseconds& now) {
    const trace::Phase phase = pass.info.step.phase;
    result_.decode_steps += phase == trace::Phase::decode ? 1 : 0;
    result_.prompt_chunks += pass.info.step.chunk ? 1 : 0;
    ++result_.steps;
    if (alone) return ended(rows, phase, now, runner_.run(pass), now);
    runner_.start(pass);
    passes_.push_back({{rows.begin(), rows.end()}, phase, now});
  }
  /// Until so many are left.
  void end_all_but(int left, Picoseconds& now) {
    while (passes_.size() > static_cast<std::size_t>(left)) {
      const Started& oldest = passes_.front();
      ended(oldest.rows, oldest.phase, oldest.begin, runner_.end_oldest(), now);
      passes_.pop_front();
    }
  }

 private:
  struct Started {
    std::vector<Row> rows;
    trace::Phase phase;
    Picoseconds begin;
  };
  void ended(std::span<const Row> rows, trace::Phase phase, Picoseconds begin, Picoseconds end,
             Picoseconds& now) {
    count_end(rows, phase, end - now, result_);
    for (PassObserver* const observer : observers_) observer->ran(rows, begin, end);
    now = end;
  }

  PassRunner& runner_;
  std::span<PassObserver* const> observers_;
  SimulationResult& result_;
  std::deque<Started> passes_;
};

void take_books(const PassRunner& runner, SimulationResult& result) {
  result.decode_cache = cache_result(runner.decode_counts());
  result.other_cache = cache_result(runner.other_counts());
  result.tally = runner.tally();
  result.path = runner.end();
}

void note_idle(SimulationResult& result) {
  if (result.idle.count <= 0) return;
  const std::int64_t percent =
      100 * (result.idle.count / 1000) / std::max<std::int64_t>(1, result.total.count / 1000);
  result.notes.push_back("no request is there for " + std::to_string(percent) +
                         " % of the time, which counts as waiting, and in tokens/s");
}

}  // namespace

void drive_trace(const ModelSpec& model, const PreparedTrace& prepared, const Plan& plan,
                 const LayerClassOf& layer_class, const trace::TraceInfo& info, Batcher& batcher,
                 const SimulationOptions& options, PassRunner& runner, SimulationResult& result) {
  const ExpertMap& map = prepared.map();
  StepRouting routing(map);
  StepPredictions predictions(map, info);
  const auto& predictor = plan.policy.lookahead.predictor;
  const bool predicts = is_shown_recorded(*predictor, info.predicted_by);
  const std::unique_ptr<GuessedRouting> guessed =
      predictor->replaces ? predictor->replaces(predictor.parameters(), map) : nullptr;
  const std::vector<StackLayers> stacks = stack_layers(model, info, layer_class);
  RequestLog requests(plan.late_tokens);
  std::vector<PassObserver*> observers{&requests};
  observers.insert(observers.end(), options.observers.begin(), options.observers.end());
  std::vector<AlikeSequences> alike;
  MicroBatches micro_batches(map, plan.policy.compute.micro_batches, options.parallel.data);
  Picoseconds now;
  Drafts drafts;

  UnderWay under_way(runner, observers, result);

  ServedPass pass;
  while (true) {
    under_way.end_all_but(batcher.may_run_beside(), now);
    if (!batcher.next(now, pass)) break;
    if (pass.rows.empty()) continue;
    if (pass.begin > now) {
      result.idle += pass.begin - now;
      runner.idle_until(now = pass.begin);
    }
    const trace::Step step = guessed ? guessed->guess(pass.step) : pass.step;
    const StackLayers& stack = stacks[static_cast<std::size_t>(step.stack)];
    routing.load(step);
    if (predicts) predictions.load(step);
    StepShape shape = shape_of(pass.rows, stack.model_stack);
    shape.first_of_request = pass.step.first_of_request;
    if (pass.own_costs && pass.rows.size() > 1) {
      group_alike(pass.rows, alike);
      shape.alike = alike;
    }
    shape.drafting = options.serving.draft.time * drafts.add(pass.rows);
    micro_batches.cut(pass, step, shape);
    under_way.run({.info = {.step = step,
                            .number = result.steps,
                            .shape = shape,
                            .micro_batches = micro_batches.shapes()},
                   .layers = stack.layers,
                   .first_ordinal = map.ordinals(step.stack).first,
                   .routing = routing,
                   .predictions = predicts ? &predictions : nullptr,
                   .micro_batches = micro_batches.routings()},
                  pass.rows, options.parallel.batches == 1, now);
    if (result.steps % steps_between_reports == 0 && options.progress)
      options.progress(result.steps, prepared.scan().steps);
  }
  under_way.end_all_but(0, now);
  runner.finish();

  if (drafts.steps > 0) result.notes.push_back(drafts.text());
  result.total = now;
  note_idle(result);
  note_requests(requests, options, result);
  take_books(runner, result);
}

void drive_trace(const ModelSpec& model, const PreparedTrace& prepared, const Plan& plan,
                 const LayerClassOf& layer_class, trace::StepSource& source, const SimulationOptions& options,
                 PassRunner& runner, SimulationResult& result) {
  LockStep batcher(source);
  drive_trace(model, prepared, plan, layer_class, source.info(), batcher, options, runner, result);
  source.rewind();
}

}  // namespace pregate::sim
