// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/simulate.hpp"

namespace pregate::sim {

/// simulate() on several GPUs alike, options.parallel. InputError for what machine, model or policy cannot do
/// there.
///
/// Every GPU plans for its part of the model with the parts of the policy, as if it were alone; those of a
/// host share its memory, its CPU and its drive. Memory is that of the fullest GPU, the host's and the
/// drive's that of all of a host together, where that is most.
SimulationResult simulate_group(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                                const PreparedTrace& prepared, trace::StepSource& source,
                                const SimulationOptions& options);

/// `machine` with as many GPUs as a run of `gpus` needs, where it is of one host and has fewer: a what-if. Of
/// several hosts those that they are in, from the first on.
/// InputError when it has several hosts and fewer GPUs, or for more than most_gpus.
MachineSpec with_gpus(MachineSpec machine, int gpus);

}  // namespace pregate::sim
