// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/run.hpp"

namespace pregate::cli {

/// How the rate of the run's first policy follows each number of its machine: the central difference over one
/// per cent more and less, one-sided where the other is no value. Rates, times and shares; not sizes and
/// counts, which have no derivative. Only those that matter, the largest first. Empty where the run does not
/// fit or makes no tokens.
std::vector<sim::Sensitivity> sensitivities_of(const Run& run, const sim::SimulationResult& result);

/// A table of them.
std::string sensitivity_table(const sim::SimulationResult& result);

}  // namespace pregate::cli
