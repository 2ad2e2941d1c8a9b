// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/planner/plan.hpp"

namespace pregate::sim {

/// A cache that cannot work is said, not silently simulated.
void note_thrashing(Plan& plan, const ExpertMap& map, const TraceScan& scan);
/// Where the trace's own predictions are used.
void note_recorded(Plan& plan, const TraceScan& scan);
/// Of parts that match a request with earlier ones: that there are none.
void note_nothing_to_match(Plan& plan, const TraceScan& scan);

}  // namespace pregate::sim
