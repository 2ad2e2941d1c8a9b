// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/many_machines.hpp"

#include <algorithm>
#include <array>

#include "models/error.hpp"
#include "models/fields/describe.hpp"
#include "sim/cost/price.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/report/fields_json.hpp"
#include "sim/retime/decided_run.hpp"
#include "sim/retime/decision_logs.hpp"
#include "sim/run/copy_train.hpp"
#include "sim/run/drive.hpp"
#include "sim/serve/served_steps.hpp"

namespace pregate::sim {

namespace {

/// Sides of machines whose prices are kept.
constexpr std::size_t most_priced = 2 * lane_count;
/// From so many capacities on one look-up for all costs less than one for each.
constexpr std::size_t least_shared = 4;

/// What of a machine may differ without a price of what the GPU does being another: copies of experts and
/// how much memory there is. All else is taken to matter.
bool is_of_copies_alone(const std::string& key) {
  constexpr std::array keys{"gpu.memory", "host.memory_bandwidth"};
  return key.starts_with("link.h2d.") || std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// All that is described of the rest, in words.
std::string computing_side(const MachineSpec& machine) {
  std::string side = machine.name;
  for (const auto& entry : machine_fields().entries()) {
    if (is_of_copies_alone(entry.field.key)) continue;
    side += "\n" + json_of(entry.value(machine)).dump();
  }
  return side;
}

bool decides_alike(const Plan& a, const Plan& b) {
  return a.resident == b.resident && a.geometry.capacity == b.geometry.capacity &&
         a.some_on_host == b.some_on_host && a.cache_slots == b.cache_slots &&
         a.measures_all_phases == b.measures_all_phases;
}

Topology topology_of_run(const MachineSpec& machine, const PolicySpec& policy) {
  return topology_of(machine, policy.transfer.queue->order());
}

}  // namespace

struct ManyMachines::Timed {
  SimulationResult* result;
  PricedRun* priced;
  CopyTrain copy;
};

ManyMachines::ManyMachines(const ModelSpec& model, const PolicySpec& policy, const PreparedTrace& prepared,
                           trace::StepSource& source, const SimulationOptions& options)
    : ManyMachines(model, std::vector{policy}, prepared, source, options) {}

ManyMachines::ManyMachines(const ModelSpec& model, std::vector<PolicySpec> policies,
                           const PreparedTrace& prepared, trace::StepSource& source,
                           const SimulationOptions& options)
    : model_(model),
      policies_(std::move(policies)),
      prepared_(prepared),
      source_(source),
      options_(options),
      decided_(policies_.size()) {}

ManyMachines::~ManyMachines() = default;

/// Looking many capacities up together does, unless a simulation is about as fast as timing the steps of
/// each.
bool ManyMachines::pays_on_one_machine(const PolicySpec& policy) const {
  const PredictorEntry& predictor = *policy.lookahead.predictor;
  return policies_.size() >= least_shared && (!predictor.predicts() || predictor.is_whole_layer);
}

bool ManyMachines::may_decide_alike() const {
  return options_.parallel.is_one() && !options_.serving.depends_on_time(source_.info()) &&
         options_.engine != Engine::event && options_.recorded_steps == 0;
}

std::optional<Plan> ManyMachines::plan_beside(const Plan& plan, std::size_t policy,
                                              const MachineSpec& machine) {
  try {
    SimulationResult result;
    result.topology = topology_of_run(machine, policies_[policy]);
    ServedSteps served(source_, options_.serving);
    std::optional<Plan> other =
        plan_run(model_, options_.memory.value_or(memory_limits(machine)), policies_[policy], prepared_,
                 served, options_.counted, result, options_.prompt_chunk);
    if (!other || !share_lookups(plan, *other)) return std::nullopt;
    const CostModel costs(model_, machine, policies_[policy], options_.costs);
    if (!is_timed_by_counts(*other, prepared_, machine, costs, options_)) return std::nullopt;
    return other;
  } catch (const InputError&) {
    return std::nullopt;  // whoever asks for that policy is told
  }
}

/// Goes through the trace once. False: what is decided cannot be kept.
bool ManyMachines::decide(const std::vector<std::size_t>& policies, std::vector<Plan> plans,
                          const MachineSpec& machine) {
  std::vector<std::unique_ptr<DecidedRun>> all;
  std::vector<const Plan*> of_all;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    all.push_back(std::make_unique<DecidedRun>());
    all.back()->number = policies[i];
    all.back()->plan = std::move(plans[i]);
    of_all.push_back(&all.back()->plan);
  }
  DecisionLogs logs(model_, prepared_.map(), of_all);
  SimulationOptions options = options_;
  options.keeps_requests = true;
  const CostModel costs(model_, machine, policies_[policies.front()], options_.costs);
  const std::unique_ptr<Batcher> batcher = options_.serving.make(source_);
  SimulationResult& counted = all.front()->counted;
  drive_trace(model_, prepared_, *of_all.front(), layer_class_of(costs), source_.info(), *batcher, options,
              logs, counted);
  source_.rewind();
  ++passes_over_trace_;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    DecidedRun& each = *all[i];
    if (i > 0) each.counted = counted;
    if (logs.is_usable()) {
      each.passes = logs.passes();
      each.copies = logs.take_copies(i);
      each.counted.decode_cache = cache_result(each.copies->decode_counts());
      each.counted.other_cache = cache_result(each.copies->other_counts());
      each.find_segments();
    }
    decided_[policies[i]] = std::move(all[i]);
  }
  return logs.is_usable();
}

void ManyMachines::find_decisions(std::size_t policy, const Plan& plan, const MachineSpec& machine) {
  std::vector<std::size_t> policies{policy};
  std::vector<Plan> plans{plan};
  for (std::size_t other = 0; other < policies_.size(); ++other) {
    if (other == policy || decided_[other] != nullptr) continue;
    std::optional<Plan> beside = plan_beside(plan, other, machine);
    if (!beside) continue;
    policies.push_back(other);
    plans.push_back(std::move(*beside));
  }
  if (policies.size() < least_shared) {
    policies.resize(1);
    plans.erase(plans.begin() + 1, plans.end());
  }
  if (decide(policies, std::move(plans), machine) || policies.size() == 1) return;
  for (const std::size_t each : policies) decided_[each] = nullptr;
  decide({policy}, {plan}, machine);  // too much together, perhaps not alone
}

PricedRun& ManyMachines::priced(const DecidedRun& decided, const MachineSpec& machine, CostModel& costs) {
  const std::string side = computing_side(machine);
  const auto at =
      std::find_if(priced_.begin(), priced_.end(), [&](const auto& each) { return each.first == side; });
  if (at != priced_.end()) return *at->second;
  priced_.emplace_back(side, decided.sum_up(price(*decided.passes, decided.copies->offloads(), model_,
                                                  source_.info(), costs)));
  return *priced_.back().second;
}

void ManyMachines::time(DecidedRun& decided, std::vector<Timed>& machines) {
  const auto finish = [&](const Timed& machine, PassTimes times) {
    decided.finish(*machine.priced, machine.copy, std::move(times), options_, *machine.result);
    ++retimed_;
  };
  if (machines.empty()) return;
  if (!decided.copies->announces()) {
    for (const Timed& machine : machines)
      finish(machine, decided.on_demand(*machine.priced, machine.copy.duration));
    machines.clear();
    return;
  }
  for (std::size_t first = 0; first < machines.size(); first += lane_count) {
    const std::size_t count = std::min(lane_count, machines.size() - first);
    std::array<const PricedLog*, lane_count> priced{};
    std::array<Picoseconds, lane_count> copy{};
    for (std::size_t lane = 0; lane < lane_count; ++lane) {
      const Timed& machine = machines[first + std::min(lane, count - 1)];
      priced[lane] = &machine.priced->log;
      copy[lane] = machine.copy.duration;
    }
    std::array<PassTimes, lane_count> times = decided.ahead(priced, copy);
    for (std::size_t lane = 0; lane < count; ++lane) finish(machines[first + lane], std::move(times[lane]));
  }
  machines.clear();
}

std::vector<SimulationResult> ManyMachines::run(std::size_t number, std::span<const MachineSpec> machines) {
  const PolicySpec& policy = policies_[number];
  std::vector<SimulationResult> results(machines.size());
  std::vector<Timed> timed;
  std::unique_ptr<DecidedRun>& decided = decided_[number];
  for (std::size_t i = 0; i < machines.size(); ++i) {
    const MachineSpec& machine = machines[i];
    SimulationResult& result = results[i];
    const bool worth_it = decided != nullptr || machines.size() > 1 || pays_on_one_machine(policy);
    // Which tokens come late depends on passes, which retiming knows by their sums alone.
    if (!may_decide_alike() || !worth_it || machine.overhead.launches_ahead) {
      result = simulate(model_, machine, policy, prepared_, source_, options_);
      continue;
    }
    result.topology = topology_of_run(machine, policy);
    ServedSteps served(source_, options_.serving);
    const std::optional<Plan> plan =
        plan_run(model_, options_.memory.value_or(memory_limits(machine)), policy, prepared_, served,
                 options_.counted, result, options_.prompt_chunk);
    if (!plan) continue;
    CostModel costs(model_, machine, policy, options_.costs);
    const bool by_counts = is_timed_by_counts(*plan, prepared_, machine, costs, options_);
    if (by_counts && !decided) find_decisions(number, *plan, machine);
    const bool alike = by_counts && decided->is_usable() && decides_alike(*plan, decided->plan);
    if (alike && priced_.size() >= most_priced) {
      time(*decided, timed);
      priced_.clear();
    }
    PricedRun* const prices = alike ? &priced(*decided, machine, costs) : nullptr;
    if (prices == nullptr || (decided->copies->announces() && !prices->log.all_take_time)) {
      result = simulate(model_, machine, policy, prepared_, source_, options_);
      continue;
    }
    timed.push_back({&result, prices, copies_of_expert(costs)});
  }
  if (!timed.empty()) time(*decided, timed);
  return results;
}

}  // namespace pregate::sim
