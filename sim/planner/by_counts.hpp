// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/planner/plan.hpp"

namespace pregate::sim {

/// Whether every part of the plan says of itself that it decides by counts alone: how many experts a layer
/// activates, finds and fetches decides all times, not which experts they are nor in which slots they lie. A
/// part that is not named here does not, so that a new one is slow at first and never wrong.
///
/// Beside the parts: no layer runs in waves (then slots decide), and nothing but copies and the GPU is at
/// work.
bool decides_by_counts(const Plan& plan, const TraceScan& scan);

/// Likewise where guesses may be wrong, so that it matters which experts are announced and which slot each
/// has: all times still follow from how many copies a layer makes and which of them it waits for last.
bool decides_by_guesses(const Plan& plan, const TraceScan& scan);

/// The CPU computes every miss, and of some the cache gets a copy in the background: the host's memory is
/// shared by two in-order streams, and no more.
bool computes_misses_beside_copies(const Plan& plan);

}  // namespace pregate::sim
