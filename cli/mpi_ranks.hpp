// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/ranks.hpp"

namespace pregate::cli {

/// The ranks that mpirun or srun started; null where it started this one alone, or another program did.
std::unique_ptr<Ranks> join_mpi_ranks();

}  // namespace pregate::cli
