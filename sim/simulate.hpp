// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/machine.hpp"
#include "models/model.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/cost/memory_model.hpp"
#include "sim/engine/tally.hpp"
#include "sim/parallel/parallel_spec.hpp"
#include "sim/planner/plan.hpp"
#include "sim/platform/topology.hpp"
#include "sim/policy/policy.hpp"
#include "sim/run/observer.hpp"
#include "sim/schedule/schedule.hpp"
#include "sim/serve/request_log.hpp"
#include "sim/serve/serving.hpp"
#include "sim/what_fits.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// Which executor computes the times. Both give the same answer where both apply.
enum class Engine {
  automatic,  ///< timed, unless resources are shared or a schedule is recorded
  timed,
  event,
};

struct SimulationOptions {
  Engine engine = Engine::automatic;
  CountedExperts counted = CountedExperts::all;
  int prompt_chunk = default_prompt_chunk;  ///< tokens of a prompt whose activations count; 0 = all of a pass
  ServingSpec serving = {};
  ParallelSpec parallel = {};
  CostOptions costs = {};
  bool keeps_requests = false;                        ///< SimulationResult::request_records
  std::optional<MemoryLimits> memory = std::nullopt;  ///< instead of the machine's
  std::int64_t recorded_steps = 0;  ///< steps whose schedule and timeline are kept (uses the event engine)
  std::int64_t first_recorded_step = 0;
  /// Beside the books of the result. They outlive the run. Of GPUs that do the same, one may stand for all.
  std::vector<Observer*> observers = {};
  /// Called now and then with the steps done so far; for progress on a terminal.
  std::function<void(std::int64_t steps_done, std::int64_t steps)> progress = nullptr;
};

/// Hits, misses and what the lookahead brought, of the activated experts.
struct CacheResult {
  std::int64_t hits = 0, misses = 0;
  std::int64_t prefetched = 0, wasted = 0;
  std::int64_t computed_on_cpu = 0, written_back = 0, drive_reads = 0;
  std::int64_t foreseeable = 0, guesses = 0, right_guesses = 0, cancelled = 0;  ///< as AccessCounts
  std::int64_t near_data = 0, read_through = 0, dropped = 0, substituted = 0, computed_ahead = 0;
  std::int64_t low_hits = 0, low_fetched = 0;  ///< of the hits and of the misses, in formats.low
  /// Computed in formats.low.
  [[nodiscard]] std::int64_t lower() const { return low_hits + low_fetched; }
  /// Otherwise than in the model whose routing the trace is.
  [[nodiscard]] std::int64_t altered() const { return dropped + substituted + lower() + computed_ahead; }
  [[nodiscard]] double hit_rate() const {
    return hits + misses == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(hits + misses);
  }
};

/// Rates on other routing.
struct RoutingRates {
  double tokens_per_s = 0, decode_tokens_per_s = 0;
};

/// The same run with generated routing of low and of high locality: what not having a recording leaves open.
/// Without a value where it does not fit.
struct RoutingSpan {
  std::optional<RoutingRates> low, high;
};

/// How a rate follows one number of the machine.
struct Sensitivity {
  std::string key;                  ///< of --set
  std::string value;                ///< that it has
  double tokens_per_s_per_log = 0;  ///< d (tokens/s) / d ln(value)
};
/// Experts that are not there as a whole are computed from less than all of their weights.
inline bool is_cut(const PolicySpec& policy) {
  return policy.formats.copied + policy.formats.held < 1 - 1e-9;
}

/// One of several GPUs that a run is spread over. Hits, misses: of decode steps.
struct GpuShare {
  Bytes memory;  ///< at its peak
  std::int64_t cache_slots = 0;
  std::int64_t routed = 0;  ///< tokens times experts that it computed
  std::int64_t hits = 0, misses = 0;
};

/// Requests that lost their KV memory to others, and tokens that were passed again for it.
struct Preempted {
  std::int64_t times = 0, tokens = 0;
};

/// Where the times of a result come from.
enum class Evidence { simulated, measured };
const char* to_string(Evidence evidence);

/// What placing experts anew took (parallel.rebalance_every).
struct Rebalanced {
  std::int64_t times = 0, copies = 0;
  Bytes bytes;
};

struct SimulationResult;
/// "ok", "out-of-memory" or "interrupted".
const char* status_of(const SimulationResult& result);

/// One policy on one trace. Sums are exact; nothing depends on the engine, the thread count or the wall
/// clock.
struct SimulationResult {
  PolicySpec policy;
  Topology topology;  ///< of the machine that it ran on
  Evidence evidence = Evidence::simulated;
  MemoryUse memory;            ///< of several GPUs that of the fullest, but of the host what all hold there
  std::vector<GpuShare> gpus;  ///< of a run on several
  std::vector<std::string> notes;
  std::int64_t cache_slots = 0, buffer_slots = 0, prefill_slots = 0;
  int largest_pass = 0;        ///< tokens of the trace's largest pass
  bool out_of_memory = false;  ///< then nothing below is set
  std::string out_of_memory_reason;
  FitsWith fits_with;  ///< out of memory: what would fit, computed
  bool interrupted =
      false;  ///< by the user: what is below is of the passes before that, of none when steps is 0

  Picoseconds total, decode, before_decode;  ///< before_decode: encoder and prefill passes
  Picoseconds idle;                          ///< of the total: no request was there
  std::int64_t requests = 0, steps = 0;
  std::int64_t prompt_chunks = 0;  ///< of the steps, parts of a prompt that was cut
  std::int64_t output_tokens = 0;  ///< one a sequence and decode step
  std::int64_t decode_steps = 0;
  std::int64_t requests_with_prompt = 0;       ///< that begin with an encoder pass or a prefill
  double ttft_ms = 0;                          ///< mean over those; unknown without any
  double tpot_ms = 0;                          ///< mean over requests with more than one token
  Percentiles ttft, tpot;                      ///< over the same requests
  std::optional<Percentiles> queue;            ///< from arrival to first pass; where requests arrive in time
  std::optional<std::int64_t> within_limits;   ///< requests, where serve.limits names any
  std::optional<Rebalanced> rebalanced;        ///< where experts are placed anew
  std::optional<std::int64_t> dropped_routes;  ///< static gating: (token, expert) pairs without room
  std::optional<Preempted> preempted;          ///< where KV memory may run out
  std::vector<RequestRecord> request_records;  ///< in the order of the trace; where they are kept
  CacheResult decode_cache, other_cache;
  Tally tally;
  PathPoint path;  ///< critical path to the end of the run
  std::optional<RoutingSpan> routing_span;
  std::optional<std::vector<Sensitivity>> sensitivities;  ///< where they were asked for, the largest first
  Schedule schedule;                                      ///< of the recorded steps
  Timeline timeline;

  /// False when nothing ran: out of memory, or interrupted before the first pass.
  [[nodiscard]] bool has_figures() const { return !out_of_memory && !(interrupted && steps == 0); }
  [[nodiscard]] double tokens_per_second() const;
  [[nodiscard]] double decode_tokens_per_second() const;
};

/// A trace checked against a model and scanned once, ready for any number of policies and machines.
class PreparedTrace {
 public:
  /// `source` must outlive this. InputError at `where` when it does not fit the model, or holds no step.
  /// Where the passes are not known before the run, what is known of them is what they hold at most.
  PreparedTrace(trace::StepSource& source, const ModelSpec& model, const std::string& where,
                const ServingSpec& serving = {});
  /// A part of what another one was scanned for, of which every expert stays on its GPU: then only how many
  /// tokens and sequences there are matters, and that is the same.
  PreparedTrace(const trace::TraceInfo& info, const ModelSpec& model, const std::string& where,
                const TraceScan& whole)
      : map_(info, model, where), scan_(whole) {
    scan_.popularity.assign(map_.keys(), 0);
  }
  [[nodiscard]] const ExpertMap& map() const { return map_; }
  [[nodiscard]] const TraceScan& scan() const { return scan_; }
  /// The model is a part of another one, whose layer `first` is its first: so are layers named.
  void name_layers_from(int first) { map_.name_layers_from(first); }
  /// What of a trace of the whole model is the part's: of what policies learn from before a run.
  void take_part_of(WholeModel whole) { map_.set_whole(std::move(whole)); }
  /// Each of so many groups of GPUs keeps its part of a pass's sequences.
  void deal_sequences(int groups) {
    scan_.most_sequences = (scan_.most_sequences + groups - 1) / groups;
    scan_.most_whole_tokens = (scan_.most_whole_tokens + groups - 1) / groups;
  }

 private:
  ExpertMap map_;
  TraceScan scan_;
};

/// What precedes a run, simulated or real: resolves the policy against model, trace and memory, and notes
/// what it found in `result`. Without a plan, `result` says out of memory, why, and what would fit.
/// InputError: an expert larger than the GPU's usable memory, parts that do not combine.
std::optional<Plan> plan_run(const ModelSpec& model, const MemoryLimits& limits, const PolicySpec& policy,
                             const PreparedTrace& prepared, trace::StepSource& source, CountedExperts counted,
                             SimulationResult& result, int prompt_chunk = default_prompt_chunk);

/// The same of one of several GPUs; what would fit in its place is asked of all of them.
std::optional<Plan> plan_part(const ModelSpec& model, const MemoryLimits& limits, const PolicySpec& policy,
                              const PreparedTrace& prepared, trace::StepSource& source,
                              CountedExperts counted, SimulationResult& result, int prompt_chunk);

/// Whether simulate() times this plan by counts alone (sim/planner/by_counts.hpp): then what it decides is
/// the same on every machine of which this holds for the same plan.
bool is_timed_by_counts(const Plan& plan, const PreparedTrace& prepared, const MachineSpec& machine,
                        const CostModel& costs, const SimulationOptions& options);

/// Notes what of the result's counts makes it another model's answer.
void note_altered_routing(SimulationResult& result);

/// Simulates one policy. `source` is the prepared trace or another reader of the same one (each thread its
/// own). Out of memory is a result. InputError: an expert larger than the GPU's usable memory, parts that do
/// not combine.
SimulationResult simulate(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                          const PreparedTrace& prepared, trace::StepSource& source,
                          const SimulationOptions& options = {});

}  // namespace pregate::sim
