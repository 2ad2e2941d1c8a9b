// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cli/sweep_inputs.hpp"
#include "sim/retime/many_machines.hpp"
#include "sim/simulate.hpp"
#include "sim/sweep/store.hpp"

namespace pregate::cli {

/// Points of one workload and of policies of one family: they differ in the hardware and in the capacity of a
/// cache.
struct SweepTask {
  int workload = 0;
  std::vector<std::int64_t> points;  ///< those of a policy after each other
};

/// The points that have no row yet, in tasks of at most so many: few enough for `threads` to share them.
std::vector<SweepTask> tasks_of(const SweepInputs& inputs, const std::vector<std::uint8_t>& done,
                                int threads);

/// Computes tasks, several threads at once. A point whose input makes no sense is a row that says so.
class SweepRunner {
 public:
  explicit SweepRunner(const SweepInputs& inputs) : inputs_(inputs) {}

  /// Each point's row, as it is done; ends early when `stops()`.
  void run(const SweepTask& task, const std::function<void(sim::PointRow)>& emit,
           const std::function<bool()>& stops);
  /// From now on the threads that compute points write their configurations down, for configuration() to
  /// find: else whoever asks for many has to. `but`: numbers that nobody will ask for.
  void keep_configurations(std::unordered_set<std::int64_t> but) {
    keeps_configurations_ = true;
    seen_configurations_ = std::move(but);
  }
  /// Of the configuration that a row names. JSON. One thread asks, once for each.
  [[nodiscard]] std::string configuration(std::int64_t number);

 private:
  struct Workload {
    explicit Workload(Run resolved);
    Run run;
    OpenTrace trace;
    sim::PreparedTrace prepared;
  };
  /// The last ones used are kept. InputError.
  std::shared_ptr<const Workload> workload(int number);
  /// Points of the policy `policy` of `many`, which differ in the hardware; `run` is the workload's, whose
  /// machine is changed.
  void run_on(std::span<const std::int64_t> points, sim::ManyMachines& many, std::size_t policy, Run& run,
              const std::function<void(sim::PointRow)>& emit);
  /// Those of one policy after each other.
  [[nodiscard]] std::vector<std::span<const std::int64_t>> by_policy(const SweepTask& task) const;
  /// Read once for many policies. InputError.
  std::shared_ptr<const MachineSpec> machine(const Run& run, int workload, int hardware);
  /// Of the run's, where it is the first with that number.
  void keep_configuration(std::int64_t number, const sim::RunConfiguration& configuration);
  [[nodiscard]] sim::PointRow row_of(std::int64_t point) const;
  void refuse(std::span<const std::int64_t> points, const std::string& reason,
              const std::function<void(sim::PointRow)>& emit) const;

  const SweepInputs& inputs_;
  std::mutex mutex_;
  std::vector<std::pair<int, std::shared_ptr<const Workload>>> workloads_;
  std::map<std::pair<int, int>, std::shared_ptr<const MachineSpec>> machines_;  ///< by workload and hardware
  bool keeps_configurations_ = false;
  std::unordered_set<std::int64_t> seen_configurations_;
  std::unordered_map<std::int64_t, std::string> configurations_;  ///< that nobody has asked for yet
};

}  // namespace pregate::cli
