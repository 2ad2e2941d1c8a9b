// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/ranks.hpp"
#include "cli/sweep_inputs.hpp"
#include "sim/sweep/store.hpp"

namespace pregate::cli {

/// Computes what is left of a sweep into the store, on so many threads of this process and, where there are
/// `ranks`, on the others. False when Ctrl-C ended it. What hinders all points (a full disk) is thrown; rows
/// that were committed stay.
bool fill(const SweepInputs& inputs, sim::SweepStore& store, int threads, Ranks* ranks);

}  // namespace pregate::cli
