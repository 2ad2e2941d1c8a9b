// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/ladder.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "models/error.hpp"
#include "runtime/execute.hpp"
#include "runtime/replay.hpp"
#include "sim/cost/low_format.hpp"
#include "sim/report/report.hpp"
#include "validation/calibration/effective_times.hpp"
#include "validation/calibration/primitives.hpp"

namespace pregate::validation {

namespace {

constexpr std::int64_t all_steps = 1'000'000;
/// Enough of a run to look at; the report holds one pair of timelines a workload.
constexpr std::int64_t steps_shown = 3;

/// What one point gave.
struct Measured {
  sim::SimulationResult simulated;
  std::vector<double> block_ms, tokens_per_s;
  std::vector<KindTimes> operations;
};

void add_operations(const std::string& what, const Measured& point, bool explains,
                    std::vector<OperationRow>& rows) {
  const KindTimes predicted = mean_times(point.simulated.schedule, point.simulated.timeline);
  for (std::size_t kind = 0; kind < predicted.count.size(); ++kind) {
    if (predicted.count[kind] == 0) continue;
    std::vector<double> repeats;
    repeats.reserve(point.operations.size());
    for (const KindTimes& times : point.operations) repeats.push_back(times.mean_us[kind]);
    rows.push_back({what, sim::to_string(static_cast<sim::OpKind>(kind)), predicted.count[kind],
                    predicted.mean_us[kind], median(repeats), explains});
  }
}

TimelinePair first_steps(const std::string& what, const sim::SimulationResult& simulated,
                         const sim::SimulationResult& measured) {
  TimelinePair pair{what, {}, {}, {}};
  pair.schedule.platform = simulated.schedule.platform;
  for (sim::OpId id = 0; id < static_cast<sim::OpId>(simulated.schedule.size()); ++id) {
    const sim::Operation& operation = simulated.schedule.operation(id);
    if (operation.step >= steps_shown) break;
    pair.schedule.add(operation, simulated.schedule.dependencies(id));
    const auto at = static_cast<std::size_t>(id);
    pair.simulated.start.push_back(simulated.timeline.start[at]);
    pair.simulated.finish.push_back(simulated.timeline.finish[at]);
    pair.measured.start.push_back(measured.timeline.start[at]);
    pair.measured.finish.push_back(measured.timeline.finish[at]);
  }
  return pair;
}

ExactRow compare_exactly(const std::string& what, const sim::SimulationResult& simulated,
                         const sim::SimulationResult& measured) {
  return {what, static_cast<std::int64_t>(measured.schedule.size()),
          sim::is_same_work(simulated.schedule, measured.schedule),
          simulated.tally.fetched == measured.tally.fetched,
          simulated.decode_cache.hits == measured.decode_cache.hits &&
              simulated.decode_cache.misses == measured.decode_cache.misses &&
              simulated.other_cache.hits == measured.other_cache.hits &&
              simulated.other_cache.misses == measured.other_cache.misses};
}

/// Second formats whose experts the machine file has no times of.
std::set<std::string> unmeasured_formats(const ModelSpec& model, const MachineSpec& machine,
                                         const std::vector<GridPoint>& grid) {
  std::set<std::string> formats;
  for (const GridPoint& point : grid) {
    if (point.policy.formats.low.empty()) continue;
    if (!has_expert_times(machine.kernel_times, sim::in_low_format(model, point.policy)))
      formats.insert(point.policy.formats.low);
  }
  return formats;
}

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "pass";
    case Verdict::failed:
      return "FAIL";
    case Verdict::undecidable:
      return "undecidable";
  }
  return "";
}

bool LadderResult::failed() const {
  return std::any_of(tiers.begin(), tiers.end(),
                     [](const TierResult& tier) { return tier.verdict == Verdict::failed; });
}

bool LadderResult::undecided() const {
  return std::any_of(tiers.begin(), tiers.end(),
                     [](const TierResult& tier) { return tier.is_mostly_undecidable(); });
}

sim::MemoryLimits device_memory(const MachineSpec& machine) {
  sim::MemoryLimits limits = sim::memory_limits(machine);
  limits.host.reset();
  return limits;
}

LadderResult climb(runtime::Device& device, const ModelSpec& model, const MachineSpec& machine,
                   const std::vector<GridPoint>& grid, const LadderOptions& options) {
  const sim::MemoryLimits memory = device_memory(machine);
  const auto stage = [&](const std::string& text) {
    if (options.progress) options.progress(text);
  };
  const LadderGates gates = ladder_gates();
  LadderResult result;
  result.device = device.info().name;
  result.machine = machine.name;
  result.model = model.name;
  result.with_scores = options.attention == runtime::Attention::kv_cache;

  std::vector<Measured> points(grid.size());
  sim::SimulationOptions simulated_options;
  simulated_options.costs.attention_scores = result.with_scores;
  simulated_options.memory = memory;
  simulated_options.recorded_steps = all_steps;
  // All of them before anything is measured: what cannot run is refused at once.
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const sim::PreparedTrace prepared(*grid[i].source, model, "trace");
    points[i].simulated =
        sim::simulate(model, machine, grid[i].policy, prepared, *grid[i].source, simulated_options);
  }
  std::map<std::string, bool> shown;
  const sim::ExpertMap map = sim::PreparedTrace(*grid.front().source, model, "trace").map();
  const runtime::ExpertStore store(device, runtime::model_shape(model, device, nullptr, options.attention),
                                   map, options.experts, 1);
  std::vector<std::vector<LadderRow>> probes;
  const auto probe = [&] {
    stage("primitives");
    probes.push_back(
        probe_primitives(device, model, machine, options.most_tokens, store, options.experts.directory));
  };
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    if (repeat == 0 || repeat == options.repeats / 2) probe();
    for (std::size_t i = 0; i < grid.size(); ++i) {
      const GridPoint& point = grid[i];
      stage("repeat " + std::to_string(repeat + 1) + ": " + point.name);
      const sim::PreparedTrace prepared(*point.source, model, "trace");
      const sim::SimulationResult& simulated = points[i].simulated;
      runtime::ExecuteOptions execute_options;
      execute_options.recorded_steps = all_steps;
      execute_options.store = &store;
      execute_options.attention = options.attention;
      execute_options.experts = options.experts;
      execute_options.memory = memory.gpu;
      execute_options.marks_step_overhead = machine.overhead.step.count > 0;
      execute_options.prices = &machine;
      const runtime::Execution execution =
          runtime::execute(device, model, point.policy, prepared, *point.source, execute_options);
      if (simulated.out_of_memory || execution.result.out_of_memory) {
        if (repeat == 0 && simulated.out_of_memory != execution.result.out_of_memory)
          result.exact.push_back({point.name + ": out of memory", 0, false, false, false});
        if (repeat == 0) result.notes.push_back(point.name + ": out of memory, not compared");
        continue;
      }
      if (repeat == 0) {
        // Where decisions depend on time: with those of the device.
        std::optional<sim::SimulationResult> replayed;
        if (execution.answers) {
          replayed = runtime::replay(model, machine, point.policy, prepared, *point.source,
                                     *execution.answers, simulated_options);
        }
        const sim::SimulationResult& compared = replayed ? *replayed : simulated;
        result.exact.push_back(compare_exactly(point.name, compared, execution.result));
        if (!shown[point.workload + point.policy.name] && result.exact.back().same_schedule)
          result.timelines.push_back(first_steps(point.name, compared, execution.result));
        shown[point.workload + point.policy.name] = true;
      }
      points[i].operations.push_back(mean_times(execution.result.schedule, execution.result.timeline));
      points[i].block_ms.push_back(execution.result.tally.block_latency.mean_ms());
      points[i].tokens_per_s.push_back(execution.result.tokens_per_second());
    }
  }
  probe();
  result.rows = merge_probes(probes);
  for (std::size_t i = 0; i < grid.size(); ++i) {
    if (points[i].block_ms.empty()) continue;
    const sim::SimulationResult& simulated = points[i].simulated;
    bool is_off = false;
    const auto add = [&](int tier, const char* metric, double predicted, const std::vector<double>& values,
                         double gate) {
      const double spread = 100 * median_uncertainty(values);
      result.rows.push_back({tier, grid[i].name, metric, predicted, median(values), spread, spread <= gate});
      is_off = is_off || std::fabs(result.rows.back().error()) > gate;
    };
    add(2, "block latency ms", simulated.tally.block_latency.mean_ms(), points[i].block_ms, gates.block_mape);
    add(3, "tokens/s", simulated.tokens_per_second(), points[i].tokens_per_s, gates.tokens_mape);
    add_operations(grid[i].name, points[i], is_off, result.operations);
  }
  result.tiers = judge(result.exact, result.rows, grid, gates);
  if (const std::string note = drift_note(result.rows); !note.empty()) result.notes.push_back(note);
  for (const std::string& format : unmeasured_formats(model, machine, grid)) {
    result.notes.push_back("experts in " + format +
                           " were not measured for the machine file: their times are estimates (" +
                           "pregate calibrate --low-weights " + format + ")");
  }
  if (!machine.measured_device.empty() && machine.measured_device != device.info().name) {
    result.notes.push_back("the machine file was measured on '" + machine.measured_device + "', this is '" +
                           device.info().name + "'");
  }
  return result;
}

}  // namespace pregate::validation
