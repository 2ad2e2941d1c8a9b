// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "validation/measured/ladder.hpp"

namespace pregate::validation {

/// Tier 1: copies at sizes halfway (in the logarithm) between the calibrated ones, and the operations of the
/// model at token counts between them, each against what the machine file says.
std::vector<LadderRow> probe_primitives(runtime::Device& device, const ModelSpec& model,
                                        const MachineSpec& machine, int most_tokens,
                                        const runtime::StoreOptions& experts);

}  // namespace pregate::validation
