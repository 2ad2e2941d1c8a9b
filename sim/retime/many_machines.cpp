// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/many_machines.hpp"

#include <algorithm>
#include <array>

#include "models/fields/describe.hpp"
#include "sim/cost/price.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/report/fields_json.hpp"
#include "sim/retime/decided_run.hpp"
#include "sim/run/copy_train.hpp"
#include "sim/run/drive.hpp"
#include "sim/serve/served_steps.hpp"

namespace pregate::sim {

namespace {

/// Sides of machines whose prices are kept.
constexpr std::size_t most_priced = 2 * lane_count;

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

}  // namespace

struct ManyMachines::Timed {
  SimulationResult* result;
  PricedRun* priced;
  CopyTrain copy;
};

ManyMachines::ManyMachines(const ModelSpec& model, const PolicySpec& policy, const PreparedTrace& prepared,
                           trace::StepSource& source, const SimulationOptions& options)
    : model_(model), policy_(policy), prepared_(prepared), source_(source), options_(options) {}

ManyMachines::~ManyMachines() = default;

bool ManyMachines::may_decide_alike() const {
  return !options_.serving.depends_on_time(source_.info()) && options_.engine != Engine::event &&
         options_.recorded_steps == 0;
}

bool ManyMachines::is_same_plan(const Plan& plan) const {
  const Plan& known = decided_->plan;
  return plan.resident == known.resident && plan.geometry.capacity == known.geometry.capacity &&
         plan.some_on_host == known.some_on_host && plan.cache_slots == known.cache_slots &&
         plan.measures_all_phases == known.measures_all_phases;
}

void ManyMachines::find_decisions(const Plan& plan, const MachineSpec& machine) {
  auto decided = std::make_unique<DecidedRun>(model_, prepared_, plan);
  SimulationOptions options = options_;
  options.keeps_requests = true;
  const CostModel costs(model_, machine, policy_, options_.costs);
  const std::unique_ptr<Batcher> batcher = options_.serving.make(source_);
  drive_trace(model_, prepared_, plan, layer_class_of(costs), source_.info(), *batcher, options, decided->log,
              decided->counted);
  source_.rewind();
  decided->find_segments();
  decided_ = std::move(decided);
}

PricedRun& ManyMachines::priced(const MachineSpec& machine, CostModel& costs) {
  const std::string side = computing_side(machine);
  const auto at =
      std::find_if(priced_.begin(), priced_.end(), [&](const auto& each) { return each.first == side; });
  if (at != priced_.end()) return *at->second;
  priced_.emplace_back(side, decided_->sum_up(price(decided_->log, model_, source_.info(), costs)));
  return *priced_.back().second;
}

void ManyMachines::time(std::vector<Timed>& machines) {
  const auto finish = [&](const Timed& machine, PassTimes times) {
    decided_->finish(*machine.priced, machine.copy, std::move(times), options_, *machine.result);
    ++retimed_;
  };
  if (!decided_->log.announces()) {
    for (const Timed& machine : machines)
      finish(machine, decided_->on_demand(*machine.priced, machine.copy.duration));
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
    std::array<PassTimes, lane_count> times = decided_->ahead(priced, copy);
    for (std::size_t lane = 0; lane < count; ++lane) finish(machines[first + lane], std::move(times[lane]));
  }
  machines.clear();
}

std::vector<SimulationResult> ManyMachines::run(std::span<const MachineSpec> machines) {
  std::vector<SimulationResult> results(machines.size());
  std::vector<Timed> timed;
  for (std::size_t i = 0; i < machines.size(); ++i) {
    const MachineSpec& machine = machines[i];
    SimulationResult& result = results[i];
    const bool worth_it = decided_ != nullptr || machines.size() > 1;
    if (!may_decide_alike() || !worth_it) {
      result = simulate(model_, machine, policy_, prepared_, source_, options_);
      continue;
    }
    const bool demand_first = policy_.transfer.queue == TransferQueue::demand_first;
    result.topology = topology_of(machine, demand_first ? StreamOrder::priority : StreamOrder::fifo);
    ServedSteps served(source_, options_.serving);
    const std::optional<Plan> plan =
        plan_run(model_, options_.memory.value_or(memory_limits(machine)), policy_, prepared_, served,
                 options_.counted, result, options_.prompt_chunk);
    if (!plan) continue;
    CostModel costs(model_, machine, policy_, options_.costs);
    const bool by_counts = is_timed_by_counts(*plan, prepared_, machine, costs, options_);
    if (by_counts && !decided_) find_decisions(*plan, machine);
    const bool alike = by_counts && decided_->is_usable() && is_same_plan(*plan);
    if (alike && priced_.size() >= most_priced) {
      time(timed);
      priced_.clear();
    }
    PricedRun* const prices = alike ? &priced(machine, costs) : nullptr;
    if (prices == nullptr || (decided_->log.announces() && !prices->log.all_take_time)) {
      result = simulate(model_, machine, policy_, prepared_, source_, options_);
      continue;
    }
    timed.push_back({&result, prices, copies_of_expert(costs)});
  }
  if (!timed.empty()) time(timed);
  return results;
}

}  // namespace pregate::sim
