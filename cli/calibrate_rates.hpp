// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.hpp"

namespace pregate::cli {

/// `pregate calibrate --from`: fits the few constants of a machine and its software on measured rates, and
/// writes the machine file. 1 when the rows determine none.
ExitCode calibrate_from_rates(const Parsed& parsed);

}  // namespace pregate::cli
