// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "validation/calibration/ladder.hpp"

namespace pregate::validation {

/// Tier 1: copies at sizes halfway (in the logarithm) between the calibrated ones, and the operations of the
/// model at token counts between them, each against what the machine file says. Experts come from `store`;
/// copies to the device from a file in `directory` where that is not empty.
std::vector<LadderRow> probe_primitives(runtime::Device& device, const ModelSpec& model,
                                        const MachineSpec& machine, int most_tokens,
                                        const runtime::ExpertStore& store, const std::string& directory);

/// The same rows, probed several times in the course of a run: the median of what was measured. The spread is
/// that between the probes (relative_spread()) or, where it is more, the median one within them; a burst of
/// other work on the machine, which lasts as long as one probe, shows there. Precondition: at least one
/// probe; all have the rows of the first one, or none (out of memory).
std::vector<LadderRow> merge_probes(const std::vector<std::vector<LadderRow>>& probes);

}  // namespace pregate::validation
