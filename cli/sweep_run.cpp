// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/sweep_run.hpp"

#include <algorithm>
#include <map>

#include "models/error.hpp"
#include "sim/report/config_json.hpp"

namespace pregate::cli {

namespace {

/// Workloads that are kept beside those in use: a trace that is generated is held in memory.
constexpr std::size_t workloads_kept = 4;
constexpr std::size_t machines_kept = 4096;
/// Fewer points than that are not worth simulating a policy once more.
constexpr std::size_t least_task = 32;
/// Points that are timed together; Ctrl-C waits for them.
constexpr std::size_t points_at_once = 16;
/// Texts that wait for the one who writes them.
constexpr std::size_t configurations_kept = 4096;

std::string text_of(const sim::RunConfiguration& configuration) {
  return sim::configuration_json(configuration)
      .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

std::vector<SweepTask> tasks_of(const SweepInputs& inputs, const std::vector<std::uint8_t>& done,
                                int threads) {
  std::map<std::pair<int, int>, std::size_t> known;
  std::vector<SweepTask> whole;
  std::size_t left = 0;
  for (std::int64_t point = 0; point < inputs.points().count(); ++point) {
    if (done[static_cast<std::size_t>(point)] != 0) continue;
    ++left;
    const int workload = inputs.number_of(Concern::workload, point);
    const int family = inputs.family_of(inputs.number_of(Concern::policy, point));
    const auto [at, is_new] = known.emplace(std::pair(workload, family), whole.size());
    if (is_new) whole.push_back({workload, {}});
    whole[at->second].points.push_back(point);
  }
  for (SweepTask& task : whole) {
    std::stable_sort(task.points.begin(), task.points.end(), [&](std::int64_t a, std::int64_t b) {
      return inputs.number_of(Concern::policy, a) < inputs.number_of(Concern::policy, b);
    });
  }
  const std::size_t most = std::max(least_task, left / (4 * static_cast<std::size_t>(threads)) + 1);
  std::vector<SweepTask> tasks;
  for (const SweepTask& task : whole) {
    for (std::size_t begin = 0; begin < task.points.size(); begin += most) {
      const auto first = task.points.begin() + static_cast<std::ptrdiff_t>(begin);
      const auto count = static_cast<std::ptrdiff_t>(std::min(most, task.points.size() - begin));
      tasks.push_back({task.workload, {first, first + count}});
    }
  }
  return tasks;
}

SweepRunner::Workload::Workload(Run resolved)
    : run(std::move(resolved)),
      trace(run.open()),
      prepared(trace.source(), run.configuration.model, run.trace_name, run.options.serving) {}

std::shared_ptr<const SweepRunner::Workload> SweepRunner::workload(int number) {
  const std::lock_guard lock(mutex_);
  const auto at = std::find_if(workloads_.begin(), workloads_.end(),
                               [&](const auto& each) { return each.first == number; });
  if (at != workloads_.end()) return at->second;
  auto resolved = std::make_shared<const Workload>(inputs_.workload(number));
  if (workloads_.size() >= workloads_kept) workloads_.erase(workloads_.begin());
  workloads_.emplace_back(number, resolved);
  return resolved;
}

std::shared_ptr<const MachineSpec> SweepRunner::machine(const Run& run, int workload, int hardware) {
  const std::pair key(workload, hardware);
  {
    const std::lock_guard lock(mutex_);
    const auto at = machines_.find(key);
    if (at != machines_.end()) return at->second;
  }
  auto made = std::make_shared<const MachineSpec>(inputs_.machine(run, hardware));
  const std::lock_guard lock(mutex_);
  if (machines_.size() >= machines_kept) machines_.clear();
  machines_[key] = made;
  return made;
}

sim::PointRow SweepRunner::row_of(std::int64_t point) const {
  const std::int64_t workload = inputs_.number_of(Concern::workload, point);
  const std::int64_t hardware = inputs_.number_of(Concern::hardware, point);
  sim::PointRow row;
  row.point = point;
  row.configuration = workload * inputs_.count_of(Concern::hardware) + hardware;
  row.settings = inputs_.settings(point);
  row.policy = inputs_.policy_name(inputs_.number_of(Concern::policy, point));
  return row;
}

void SweepRunner::refuse(std::span<const std::int64_t> points, const std::string& reason,
                         const std::function<void(sim::PointRow)>& emit) const {
  for (const std::int64_t point : points) {
    sim::PointRow row = row_of(point);
    row.status = "refused";
    row.reason = reason;
    emit(std::move(row));
  }
}

std::vector<std::span<const std::int64_t>> SweepRunner::by_policy(const SweepTask& task) const {
  std::vector<std::span<const std::int64_t>> all;
  const auto policy_of = [&](std::size_t i) { return inputs_.number_of(Concern::policy, task.points[i]); };
  for (std::size_t begin = 0, end = 0; begin < task.points.size(); begin = end) {
    while (end < task.points.size() && policy_of(end) == policy_of(begin)) ++end;
    all.push_back(std::span(task.points).subspan(begin, end - begin));
  }
  return all;
}

void SweepRunner::run(const SweepTask& task, const std::function<void(sim::PointRow)>& emit,
                      const std::function<bool()>& stops) {
  std::shared_ptr<const Workload> of_task;
  std::vector<std::span<const std::int64_t>> sound;
  std::vector<PolicySpec> policies;
  for (const std::span<const std::int64_t>& points : by_policy(task)) {
    try {
      if (!of_task) of_task = workload(task.workload);
      policies.push_back(inputs_.policy(of_task->run, inputs_.number_of(Concern::policy, points.front())));
      sound.push_back(points);
    } catch (const InputError& error) {
      refuse(points, error.what(), emit);
    }
  }
  if (sound.empty()) return;
  Run run = of_task->run;
  run.machine_changed = run.machine_changed || inputs_.varies(Concern::hardware);
  const OpenTrace trace = run.reopen();
  sim::ManyMachines many(run.configuration.model, std::move(policies), of_task->prepared, trace.source(),
                         run.options);
  for (std::size_t policy = 0; policy < sound.size(); ++policy) {
    const std::span<const std::int64_t> points = sound[policy];
    for (std::size_t begin = 0; begin < points.size() && !stops(); begin += points_at_once)
      run_on(points.subspan(begin, std::min(points_at_once, points.size() - begin)), many, policy, run, emit);
  }
}

void SweepRunner::run_on(std::span<const std::int64_t> points, sim::ManyMachines& many, std::size_t policy,
                         Run& run, const std::function<void(sim::PointRow)>& emit) {
  std::vector<std::int64_t> sound;
  std::vector<MachineSpec> machines;
  for (const std::int64_t point : points) {
    try {
      machines.push_back(*machine(run, inputs_.number_of(Concern::workload, point),
                                  inputs_.number_of(Concern::hardware, point)));
      sound.push_back(point);
    } catch (const InputError& error) {
      refuse({&point, 1}, error.what(), emit);
    }
  }
  std::vector<sim::SimulationResult> results;
  try {
    results = many.run(policy, machines);
  } catch (const InputError& error) {
    // One of them, and only there: each alone.
    if (points.size() == 1) return refuse(points, error.what(), emit);
    for (const std::int64_t& point : sound) run_on({&point, 1}, many, policy, run, emit);
    return;
  }
  for (std::size_t i = 0; i < sound.size(); ++i) {
    run.configuration.machine = machines[i];
    const std::optional<sim::Confidence> confidence = confidences_in(run, {&results[i], 1}).front();
    sim::PointRow row = row_of(sound[i]);
    row.status = status_of(results[i]);
    row.reason = results[i].out_of_memory_reason;
    row.figures = sim::sweep_figures(results[i], confidence);
    row.result = sim::one_result_json(results[i], confidence);
    keep_configuration(row.configuration, run.configuration);
    emit(std::move(row));
  }
}

void SweepRunner::keep_configuration(std::int64_t number, const sim::RunConfiguration& configuration) {
  if (!keeps_configurations_) return;
  {
    const std::lock_guard lock(mutex_);
    if (configurations_.size() >= configurations_kept || !seen_configurations_.insert(number).second) return;
  }
  std::string json = text_of(configuration);
  const std::lock_guard lock(mutex_);
  configurations_.emplace(number, std::move(json));
}

std::string SweepRunner::configuration(std::int64_t number) {
  {
    const std::lock_guard lock(mutex_);
    seen_configurations_.insert(number);
    if (auto kept = configurations_.extract(number)) return std::move(kept.mapped());
  }
  const int count = inputs_.count_of(Concern::hardware);
  const auto of_workload = static_cast<int>(number / count), hardware = static_cast<int>(number % count);
  try {
    const auto resolved = workload(of_workload);
    sim::RunConfiguration configuration = resolved->run.configuration;
    configuration.machine = *machine(resolved->run, of_workload, hardware);
    return text_of(configuration);
  } catch (const InputError&) {
    return "null";  // its points are refused, and say why
  }
}

}  // namespace pregate::cli
