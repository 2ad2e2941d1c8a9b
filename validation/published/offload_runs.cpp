// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/offload_runs.hpp"

#include <cstdio>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/report/shares.hpp"
#include "traces/synthetic.hpp"
#include "validation/published/forced_routing.hpp"
#include "validation/published/routing_files.hpp"

namespace pregate::validation {

bool OffloadRuns::available(const OffloadRow& row) const {
  const Workload& workload = setup_.workloads[row.workload];
  return workload.routing != Routing::recorded || data_.has(workload.file);
}

OffloadRuns::Trace& OffloadRuns::trace_of(const OffloadRow& row) {
  const auto [place, added] = traces_.try_emplace({row.model, row.workload});
  Trace& trace = place->second;
  if (!added) return trace;
  const Workload& workload = setup_.workloads[row.workload];
  std::vector<Override> set = setup_.set;
  set.insert(set.end(), workload.set.begin(), workload.set.end());
  trace.model = load_model(row.model, {}, set);
  constexpr std::uint64_t seed = 1;
  switch (workload.routing) {
    case Routing::forced:
      trace.source = forced_routing(trace.model, {.batch = workload.batch,
                                                  .active = workload.active,
                                                  .encoder_tokens = workload.encoder_tokens,
                                                  .decode_steps = workload.decode_steps});
      break;
    case Routing::recorded:
      trace.source = read_recording(data_, workload.file);
      break;
    case Routing::profile:
      trace.source = trace::generate(trace::load_profile(workload.profile), workload.requests, seed);
      break;
  }
  trace.prepared = std::make_unique<sim::PreparedTrace>(*trace.source, trace.model, workload.name);
  return trace;
}

const MachineSpec& OffloadRuns::machine(const std::vector<double>& values) {
  if (machine_ && machine_values_ == values) return *machine_;
  std::vector<Override> set = setup_.set;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Constant& constant = setup_.constants[i];
    for (const Constant::Target& target : constant.targets) {
      char text[64];
      std::snprintf(text, sizeof text, "%.9f %s", values[i] * target.factor, constant.unit.c_str());
      std::string value = text;
      if (constant.unit.empty()) value.pop_back();
      set.push_back({target.path, value});
    }
  }
  machine_ = std::make_unique<MachineSpec>(load_machine(setup_.machine, set));
  machine_values_ = values;
  done_.clear();
  return *machine_;
}

Outcome OffloadRuns::run(const OffloadRow& row, const std::vector<double>& values) {
  const MachineSpec& calibrated = machine(values);
  const bool memory = row.metric == OffloadMetric::peak_bytes;
  const std::string key =
      row.model + "|" + row.design + "|" + std::to_string(row.workload) + (memory ? "|memory" : "");
  if (const auto known = done_.find(key); known != done_.end()) return known->second;
  Trace& trace = trace_of(row);
  std::vector<Override> set = setup_.set;
  const std::vector<Override>& own = setup_.workloads[row.workload].set;
  set.insert(set.end(), own.begin(), own.end());
  if (memory) set.insert(set.end(), setup_.memory_set.begin(), setup_.memory_set.end());
  const auto counted = memory ? sim::CountedExperts::decoder : sim::CountedExperts::all;
  const sim::SimulationResult result = sim::simulate(trace.model, calibrated, load_policy(row.design, set),
                                                     *trace.prepared, *trace.source, {.counted = counted});
  Outcome outcome;
  outcome.out_of_memory = result.out_of_memory;
  outcome.peak_bytes = result.memory.total().count;
  if (!result.out_of_memory) {
    outcome.block_ms = result.tally.block_latency.mean_ms();
    outcome.tokens_per_s = result.tokens_per_second();
    outcome.hit_rate = sim::hit_rate(result);
  }
  done_.emplace(key, outcome);
  return outcome;
}

double OffloadRuns::figure(const OffloadRow& row, const Outcome& outcome) {
  switch (row.metric) {
    case OffloadMetric::block_latency:
      return outcome.block_ms;
    case OffloadMetric::tokens_per_s:
      return outcome.tokens_per_s;
    case OffloadMetric::peak_bytes:
      return static_cast<double>(outcome.peak_bytes);
    case OffloadMetric::hit_rate:
      return outcome.hit_rate;
  }
  return 0;
}

std::vector<double> calibrate(const OffloadSetup& setup, OffloadRuns& runs) {
  std::vector<Unknown> unknowns;
  std::vector<const OffloadRow*> rows;
  for (const Constant& constant : setup.constants) unknowns.push_back(constant.unknown);
  for (const OffloadRow& row : setup.rows) {
    if (!row.fixes.empty()) rows.push_back(&row);
  }
  if (rows.empty()) return {};
  for (const OffloadRow* row : rows) {
    if (!runs.available(*row)) {
      throw InputError("calibration", "the routing of a calibration row is absent",
                       "calibrate on rows that need no recording");
    }
  }
  return least_squares(unknowns,
                       [&](const std::vector<double>& values) {
                         std::vector<double> residuals;
                         for (const OffloadRow* row : rows) {
                           const double predicted = OffloadRuns::figure(*row, runs.run(*row, values));
                           residuals.push_back(predicted / row->published - 1);
                         }
                         return residuals;
                       })
      .values;
}

}  // namespace pregate::validation
