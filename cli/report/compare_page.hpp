// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/advise/advice.hpp"
#include "sim/report/report.hpp"

namespace pregate::cli {

/// One page that needs nothing else: the answer, charts, a table that can be sorted, the configuration.
std::string compare_page(const sim::RunConfiguration& configuration,
                         const std::vector<sim::SimulationResult>& results,
                         const sim::Confidences& confidences);

/// The same of an advice: the command, the settings, the upgrades.
std::string advice_page(const Advice& advice);
/// Of several machines.
std::string machines_page(const std::vector<Advice>& machines, double wanted);

}  // namespace pregate::cli
