// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/report/sweep_points.hpp"
#include "cli/sweep_report.hpp"

namespace pregate::cli {

/// One page that needs nothing else: who is the best where, maps of two axes, rates and hits along each,
/// memory against rates, a table of the policies and one of the points.
/// `threads`: that replay traces for the bounds of hit rates.
std::string sweep_page(const SweepInputs& inputs, const SweepReport& report, const SweptPoints& swept,
                       int threads);

}  // namespace pregate::cli
