// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/run.hpp"

namespace pregate::cli {

/// Options of `execute`, but for what becomes of a recording.
po::options_description execute_options();

/// What was measured on a device.
struct Execution {
  Run run;
  std::vector<sim::SimulationResult> results;  ///< in the order of the policies
  std::string device_lines;  ///< a line a policy: what it cost to issue operations, and the device's memory
  bool interrupted = false;  ///< Ctrl-C ended it: results are of what was measured until then
};

/// Runs the policies on the device that the options name, and records so many steps; 0: none. InputError on
/// anything that a device does not execute.
Execution execute_policies(const Parsed& parsed, std::int64_t recorded_steps);

}  // namespace pregate::cli
