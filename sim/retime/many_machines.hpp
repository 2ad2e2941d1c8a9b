// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/retime/decision_log.hpp"
#include "sim/retime/priced_log.hpp"
#include "sim/simulate.hpp"

namespace pregate::sim {

struct DecidedRun;
struct PricedRun;

/// One policy on one trace on many machines. Where what it decides does not depend on time
/// (is_timed_by_counts()), that is found once, and each machine is timed from it; every other machine is
/// simulated.
class ManyMachines {
 public:
  /// As simulate(); all outlive this, which only one thread uses at a time.
  ManyMachines(const ModelSpec& model, const PolicySpec& policy, const PreparedTrace& prepared,
               trace::StepSource& source, const SimulationOptions& options);
  ~ManyMachines();
  ManyMachines(const ManyMachines&) = delete;
  ManyMachines& operator=(const ManyMachines&) = delete;

  /// What simulate() gives on each, to the picosecond. InputError as simulate().
  std::vector<SimulationResult> run(std::span<const MachineSpec> machines);

  /// Results so far that were timed from the decisions of another.
  [[nodiscard]] std::int64_t retimed() const { return retimed_; }

 private:
  struct Timed;
  [[nodiscard]] bool may_decide_alike() const;
  void find_decisions(const Plan& plan, const MachineSpec& machine);
  [[nodiscard]] bool is_same_plan(const Plan& plan) const;
  /// Of the machine's side that computes, priced once for all that have it.
  PricedRun& priced(const MachineSpec& machine, CostModel& costs);
  void time(std::vector<Timed>& machines);

  const ModelSpec& model_;
  const PolicySpec& policy_;
  const PreparedTrace& prepared_;
  trace::StepSource& source_;
  SimulationOptions options_;
  std::unique_ptr<DecidedRun> decided_;
  std::vector<std::pair<std::string, std::unique_ptr<PricedRun>>> priced_;
  std::int64_t retimed_ = 0;
};

}  // namespace pregate::sim
