// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/simulate.hpp"

namespace pregate::sim {

struct DecidedRun;
struct PricedRun;

/// One policy on one trace on many machines, perhaps with caches of several capacities. Where what it decides
/// does not depend on time (is_timed_by_counts()), that is found once, for all capacities together where
/// their caches allow it (StackLookups), and each machine is timed from it; every other machine is simulated.
class ManyMachines {
 public:
  /// As simulate(); all outlive this, which only one thread uses at a time.
  ManyMachines(const ModelSpec& model, const PolicySpec& policy, const PreparedTrace& prepared,
               trace::StepSource& source, const SimulationOptions& options);
  /// `policies` differ in nothing but cache.capacity.
  ManyMachines(const ModelSpec& model, std::vector<PolicySpec> policies, const PreparedTrace& prepared,
               trace::StepSource& source, const SimulationOptions& options);
  ~ManyMachines();
  ManyMachines(const ManyMachines&) = delete;
  ManyMachines& operator=(const ManyMachines&) = delete;

  /// What simulate() gives of that policy on each, to the picosecond. InputError as simulate().
  std::vector<SimulationResult> run(std::size_t policy, std::span<const MachineSpec> machines);
  /// Of the first one.
  std::vector<SimulationResult> run(std::span<const MachineSpec> machines) { return run(0, machines); }

  /// Results so far that were timed from the decisions of another.
  [[nodiscard]] std::int64_t retimed() const { return retimed_; }

  /// Times that the trace was gone through to find decisions.
  [[nodiscard]] std::int64_t passes_over_trace() const { return passes_over_trace_; }

 private:
  struct Timed;
  [[nodiscard]] bool may_decide_alike() const;
  [[nodiscard]] bool pays_on_one_machine(const PolicySpec& policy) const;
  void find_decisions(std::size_t policy, const Plan& plan, const MachineSpec& machine);
  /// What that policy plans on the machine, if it is timed by counts there and can be looked up with `plan`.
  [[nodiscard]] std::optional<Plan> plan_beside(const Plan& plan, std::size_t policy,
                                                const MachineSpec& machine);
  bool decide(const std::vector<std::size_t>& policies, std::vector<Plan> plans, const MachineSpec& machine);
  /// Of the machine's side that computes, priced once for all that have it.
  PricedRun& priced(const DecidedRun& decided, const MachineSpec& machine, CostModel& costs);
  void time(DecidedRun& decided, std::vector<Timed>& machines);

  const ModelSpec& model_;
  std::vector<PolicySpec> policies_;
  const PreparedTrace& prepared_;
  trace::StepSource& source_;
  SimulationOptions options_;
  std::vector<std::unique_ptr<DecidedRun>> decided_;  // by policy; null: not yet known
  std::vector<std::pair<std::string, std::unique_ptr<PricedRun>>> priced_;
  std::int64_t retimed_ = 0, passes_over_trace_ = 0;
};

}  // namespace pregate::sim
