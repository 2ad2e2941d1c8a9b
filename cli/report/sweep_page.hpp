// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/sweep_report.hpp"

namespace pregate::cli {

/// One page that needs nothing else: who is the best where, the rates along the axis, a table of the
/// policies.
std::string sweep_page(const SweepInputs& inputs, const SweepReport& report);

}  // namespace pregate::cli
