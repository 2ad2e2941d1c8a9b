// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cost/memory_model.hpp"
#include "sim/simulate.hpp"

namespace pregate::sim {

/// A policy's memory, and nothing more: no future is read for its eviction. fits_in_memory() says whether it
/// is there.
MemoryUse memory_needed(const ModelSpec& model, const MemoryLimits& limits, const PolicySpec& policy,
                        const PreparedTrace& prepared, const Topology& topology, trace::StepSource& source,
                        CountedExperts counted, int prompt_chunk);

}  // namespace pregate::sim
