// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/schedule/schedule.hpp"

namespace pregate::sim::test {

/// A second implementation of docs/schedule.md, as plain as it can be and quadratic: at every instant it
/// looks at every operation; rates come from raising a common water level; bytes and rates are in long
/// double. It shares no code with the engine.
Timeline run_reference(const Schedule& schedule);

}  // namespace pregate::sim::test
