// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/primitives.hpp"

#include <algorithm>
#include <map>

#include "models/catalog.hpp"
#include "runtime/execute.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/policy/load_policy.hpp"
#include "validation/calibration/effective_times.hpp"
#include "validation/calibration/link_probe.hpp"
#include "validation/calibration/pass_list.hpp"
#include "validation/calibration/round_means.hpp"

namespace pregate::validation {

namespace {

/// Rows that spread more than their gate say nothing.
bool is_decidable(double spread_percent) { return spread_percent <= ladder_gates().primitive_mape; }

void add_copies(runtime::Device& device, const MachineSpec& machine, const std::string& directory,
                std::vector<LadderRow>& rows) {
  // Calibrated sizes are powers of two: these lie halfway between two of them, at every other pair.
  const LinkProbe probe = probe_links(device, 2, directory, 6144, 4);
  const auto add = [&](const char* direction, const std::vector<RateSample>& samples, const LinkSpec& link) {
    for (const RateSample& sample : samples) {
      const double predicted = (link.table.empty() ? link.latency + link.per_copy : Picoseconds{}).seconds() +
                               time_at(sample.size, sim::copy_rate(link, sample.size)).seconds();
      const double measured = time_at(sample.size, sample.rate).seconds();
      rows.push_back({1, std::string("copy ") + direction + " " + to_string(sample.size), "us",
                      predicted * 1e6, measured * 1e6, 100 * sample.spread,
                      is_decidable(100 * sample.spread)});
    }
  };
  add("host to device", probe.h2d, machine.h2d);
  add("device to host", probe.d2h, machine.d2h);
}

/// Token counts between powers of two, and an activated count between the calibrated ones.
std::vector<Pass> passes_between(const ModelSpec& model, int most_tokens) {
  std::vector<Pass> passes;
  for (std::size_t s = 0; s < model.stacks.size(); ++s) {
    const MoeBlock& moe = model.stacks[s].first_moe();
    for (int tokens = 3; tokens <= most_tokens; tokens *= 2) {
      const int most = std::min(moe.experts, tokens * moe.top_k);
      for (const int share : {3, 1}) {
        const int activated = std::clamp(most / share, moe.top_k, most);
        passes.push_back({static_cast<int>(s), tokens, activated});
      }
    }
  }
  return passes;
}

void add_operations(runtime::Device& device, const ModelSpec& model, const MachineSpec& machine,
                    int most_tokens, const runtime::ExpertStore& store, std::vector<LadderRow>& rows) {
  const std::vector<Pass> between = passes_between(model, most_tokens);
  if (between.empty()) return;
  std::vector<Pass> passes = between;  // once to warm up
  for (int round = 0; round < 2; ++round) passes.insert(passes.end(), between.begin(), between.end());
  PassList source(model, passes);
  const sim::PreparedTrace prepared(source, model, "primitives");
  const PolicySpec policy = load_policy("on-demand");
  sim::SimulationOptions all_recorded;
  all_recorded.costs.attention_scores = false;
  all_recorded.memory = device_memory(machine);
  all_recorded.recorded_steps = 1'000'000;
  const sim::SimulationResult simulated =
      sim::simulate(model, machine, policy, prepared, source, all_recorded);
  runtime::ExecuteOptions options;
  options.recorded_steps = 1'000'000;
  options.store = &store;
  options.memory = device_memory(machine).gpu;
  options.marks_step_overhead = machine.overhead.step.count > 0;
  const runtime::Execution execution = runtime::execute(device, model, policy, prepared, source, options);
  if (execution.result.out_of_memory || simulated.out_of_memory) return;

  using Key = std::tuple<sim::OpKind, int, int, int>;
  std::map<Key, std::pair<RoundMeans, RoundMeans>> samples;
  const sim::Schedule& schedule = execution.result.schedule;
  const std::vector<Picoseconds> predicted = effective_times(simulated.schedule, simulated.timeline),
                                 measured = effective_times(schedule, execution.result.timeline);
  for (sim::OpId id = 0; id < static_cast<sim::OpId>(schedule.size()); ++id) {
    const sim::Operation& operation = schedule.operation(id);
    const auto at = static_cast<std::size_t>(id);
    const bool is_kernel = operation.kind == sim::OpKind::attention ||
                           operation.kind == sim::OpKind::experts ||
                           operation.kind == sim::OpKind::dense_layer || operation.kind == sim::OpKind::head;
    if (!is_kernel || operation.step < static_cast<std::int64_t>(between.size())) continue;
    auto& [model_times, device_times] =
        samples[{operation.kind, static_cast<int>(operation.stack), operation.tokens, operation.count}];
    const std::size_t round = static_cast<std::size_t>(operation.step) / between.size();
    model_times.add(round, predicted[at].seconds() * 1e6);
    device_times.add(round, measured[at].seconds() * 1e6);
  }
  for (const auto& [key, times] : samples) {
    const auto [kind, stack, tokens, activated] = key;
    std::string what = model.stacks[static_cast<std::size_t>(stack)].name + " " + sim::to_string(kind) +
                       ", " + std::to_string(tokens) + " tokens";
    if (kind == sim::OpKind::experts) what += ", " + std::to_string(activated) + " experts";
    const std::vector<double> measured_rounds = times.second.all();
    const double spread = 100 * relative_spread(measured_rounds);
    rows.push_back(
        {1, what, "us", median(times.first.all()), median(measured_rounds), spread, is_decidable(spread)});
  }
}

}  // namespace

std::vector<LadderRow> probe_primitives(runtime::Device& device, const ModelSpec& model,
                                        const MachineSpec& machine, int most_tokens,
                                        const runtime::ExpertStore& store, const std::string& directory) {
  std::vector<LadderRow> rows;
  add_copies(device, machine, directory, rows);
  add_operations(device, model, machine, most_tokens, store, rows);
  return rows;
}

std::vector<LadderRow> merge_probes(const std::vector<std::vector<LadderRow>>& probes) {
  std::vector<LadderRow> merged = probes.front();
  for (std::size_t i = 0; i < merged.size(); ++i) {
    std::vector<double> measured, spreads;
    for (const std::vector<LadderRow>& rows : probes) {
      if (i >= rows.size() || rows[i].what != merged[i].what) continue;
      measured.push_back(rows[i].measured);
      spreads.push_back(rows[i].spread);
    }
    merged[i].measured = median(measured);
    merged[i].spread = std::max(100 * relative_spread(measured), median(spreads));
    merged[i].decidable = is_decidable(merged[i].spread);
  }
  return merged;
}

}  // namespace pregate::validation
