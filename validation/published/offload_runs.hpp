// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/simulate.hpp"
#include "validation/published/offload_setup.hpp"

namespace pregate::validation {

/// What one simulated run gives that cases compare.
struct Outcome {
  bool out_of_memory = false;
  double block_ms = 0, tokens_per_s = 0, hit_rate = 0;
  std::int64_t peak_bytes = 0;
};

/// Simulates the rows of an offload case, each distinct run once.
class OffloadRuns {
 public:
  OffloadRuns(const OffloadSetup& setup, const DataFolder& data) : setup_(setup), data_(data) {}

  /// False when the row's routing was recorded and the recording is absent.
  [[nodiscard]] bool available(const OffloadRow& row) const;
  /// With the constants at `values` (as OffloadSetup::constants).
  Outcome run(const OffloadRow& row, const std::vector<double>& values);
  /// The figure of the row's metric.
  [[nodiscard]] static double figure(const OffloadRow& row, const Outcome& outcome);

 private:
  struct Trace {
    ModelSpec model;
    std::unique_ptr<trace::StepSource> source;
    std::unique_ptr<sim::PreparedTrace> prepared;
  };
  Trace& trace_of(const OffloadRow& row);
  const MachineSpec& machine(const std::vector<double>& values);

  const OffloadSetup& setup_;
  const DataFolder& data_;
  std::map<std::pair<std::string, std::size_t>, Trace> traces_;
  std::vector<double> machine_values_;
  std::unique_ptr<MachineSpec> machine_;
  std::map<std::string, Outcome> done_;  // by model, design, workload; of machine_values_
};

/// Values of all constants, fitted on the rows that fix them and on nothing else: relative errors of those
/// rows by least squares (as many rows as constants, so they are met exactly where the model can).
std::vector<double> calibrate(const OffloadSetup& setup, OffloadRuns& runs);

}  // namespace pregate::validation
