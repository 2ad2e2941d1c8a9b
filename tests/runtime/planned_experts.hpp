// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <vector>

#include "models/model.hpp"
#include "sim/policy/policy.hpp"
#include "sim/program/format.hpp"
#include "sim/workload/routing.hpp"
#include "traces/trace.hpp"

namespace pregate::runtime::test {

/// By pass: the experts that are computed, and in which format.
using PlannedExperts = std::vector<std::map<sim::ExpertKey, sim::FormatId>>;

/// What the planner has computed in virtual time, where no device has a say. For policies whose decisions do
/// not depend on time.
PlannedExperts planned_experts(const ModelSpec& model, const PolicySpec& policy, trace::StepSource& source);

}  // namespace pregate::runtime::test
