// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/policy/policy.hpp"
#include "sim/serve/serving.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// Parts of a policy that do not go with how requests are served, on however many GPUs: whoever knows the
/// future must be told it before the run. InputError.
void check_serving(const ServingSpec& serving, const PolicySpec& policy, const trace::TraceInfo& trace);

}  // namespace pregate::sim
