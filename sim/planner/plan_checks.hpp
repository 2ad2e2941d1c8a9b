// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cache/eviction.hpp"
#include "sim/platform/topology.hpp"
#include "sim/policy/policy.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// InputError where the policy's parts do not go together, or need what the trace or the machine lacks.
void check_parts(const PolicySpec& policy, const cache::EvictionEntry& eviction, const trace::TraceInfo& info,
                 const Topology& topology);

/// InputError at `where` for an eviction that needs gate weights on a trace without.
void check_gate_weights(const std::string& where, const cache::EvictionEntry& eviction,
                        const trace::TraceInfo& info);

}  // namespace pregate::sim
