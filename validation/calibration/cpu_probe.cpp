// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/cpu_probe.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "runtime/execute.hpp"
#include "validation/calibration/effective_times.hpp"
#include "validation/calibration/pass_list.hpp"
#include "validation/calibration/round_means.hpp"
#include "validation/calibration/rounds.hpp"

namespace pregate::validation {

namespace {

constexpr std::size_t terms = 3;
using CostTerms = std::array<double, terms>;

/// Normal equations of the terms in `used`, by elimination; a term that nothing determines is 0.
CostTerms solve(const std::vector<CpuSample>& samples, const std::array<bool, terms>& used) {
  std::array<std::array<double, terms + 1>, terms> m{};
  for (const CpuSample& sample : samples) {
    const CostTerms x{1 / sample.seconds, sample.experts / sample.seconds, sample.routed / sample.seconds};
    for (std::size_t i = 0; i < terms; ++i) {
      if (!used[i]) continue;
      for (std::size_t j = 0; j < terms; ++j) m[i][j] += used[j] ? x[i] * x[j] : 0;
      m[i][terms] += x[i];
    }
  }
  CostTerms diagonal{};
  for (std::size_t i = 0; i < terms; ++i) diagonal[i] = m[i][i];
  for (std::size_t i = 0; i < terms; ++i) {
    if (!used[i] || m[i][i] <= 1e-9 * diagonal[i]) continue;
    for (std::size_t other = 0; other < terms; ++other) {
      if (other == i || !used[other]) continue;
      const double factor = m[other][i] / m[i][i];
      for (std::size_t j = 0; j <= terms; ++j) m[other][j] -= factor * m[i][j];
    }
  }
  CostTerms result{};
  for (std::size_t i = 0; i < terms; ++i) {
    if (used[i] && m[i][i] > 1e-9 * diagonal[i]) result[i] = m[i][terms] / m[i][i];
  }
  return result;
}

std::vector<Pass> passes_on_cpu(const ModelSpec& model, int most_tokens) {
  std::vector<Pass> passes;
  for (std::size_t s = 0; s < model.stacks.size(); ++s) {
    const MoeBlock& moe = model.stacks[s].first_moe();
    for (int tokens = 1; tokens <= most_tokens; tokens *= 2) {
      const int most = std::min(moe.experts, tokens * moe.top_k);
      passes.push_back({static_cast<int>(s), tokens, moe.top_k});
      if (most > moe.top_k) passes.push_back({static_cast<int>(s), tokens, most});
    }
  }
  return passes;
}

}  // namespace

CpuFit fit_cpu(const std::vector<CpuSample>& samples) {
  std::array<bool, terms> used{true, true, true};
  for (;;) {
    const CostTerms found = solve(samples, used);
    const auto negative = std::find_if(found.begin(), found.end(), [](double term) { return term < 0; });
    if (negative == found.end()) return {found[0], found[1], found[2]};
    used[static_cast<std::size_t>(negative - found.begin())] = false;
  }
}

CpuProbe probe_cpu(runtime::Device& device, const ModelSpec& model, int most_tokens,
                   const runtime::StoreOptions& experts, double seconds) {
  const std::vector<Pass> grid = passes_on_cpu(model, most_tokens);
  runtime::ExecuteOptions options;
  options.experts = experts;
  const runtime::Execution execution =
      execute_rounds(device, model, "experts-on-cpu", grid, options, {.seconds = seconds, .most = 100});
  const sim::Schedule& schedule = execution.result.schedule;
  const std::vector<Picoseconds> times = effective_times(schedule, execution.result.timeline);
  std::map<std::pair<int, int>, RoundMeans> points;  // by experts and routed
  for (sim::OpId id = 0; id < static_cast<sim::OpId>(schedule.size()); ++id) {
    const sim::Operation& operation = schedule.operation(id);
    if (operation.kind != sim::OpKind::cpu_experts) continue;
    const int top_k = model.stacks[operation.stack].first_moe().top_k;
    points[{operation.count, operation.tokens * top_k}].add(
        static_cast<std::size_t>(operation.step) / grid.size(),
        times[static_cast<std::size_t>(id)].seconds());
  }
  std::vector<CpuSample> samples;
  std::vector<double> spreads;
  for (const auto& [point, means] : points) {
    samples.push_back({point.first, point.second, std::max(1e-9, median(means.all()))});
    spreads.push_back(relative_spread(means.all()));
  }
  CpuProbe probe{fit_cpu(samples), {}};
  probe.spreads.push_back({"experts on the CPU", static_cast<int>(spreads.size()), median(spreads),
                           *std::max_element(spreads.begin(), spreads.end())});
  return probe;
}

void set_cpu(MachineSpec& machine, const CpuFit& fit, Bytes expert, double expert_flop_per_token) {
  HostComputeSpec& compute = machine.host.compute;
  compute.formats.clear();
  machine.host.numa = {};
  compute.bandwidth_efficiency = compute.compute_efficiency = 1;  // achieved, not nominal
  if (fit.token > 0) machine.host.rate = {expert_flop_per_token / fit.token};
  const double token = fit.token > 0 ? fit.token : expert_flop_per_token / machine.host.rate.value;
  const double reading = time_at(expert, machine.host.memory_bandwidth).seconds();
  compute.fixed = from_seconds(fit.fixed);
  compute.expert = from_seconds(std::max(0.0, fit.expert - std::max(0.0, reading - token)));
}

}  // namespace pregate::validation
