// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/machine.hpp"
#include "sim/parallel/parallel_spec.hpp"
#include "sim/platform/topology.hpp"

/// The machine of a run on several GPUs, as ids. `used`: with as many GPUs (with_gpus()).
namespace pregate::sim {

/// Where all GPUs of a stage do alike: of a large group two of each stage, its first GPU and one for the
/// others (Drawn::slowest_of_alike); else all of them.
Topology topology_of_alike(const MachineSpec& used, const ParallelSpec& spec, StreamOrder copy_order);

/// Where each GPU does otherwise: all of them, rank by rank, each on its link to the memory of its own host,
/// which has a CPU of its own. From one stage to the next activations go from GPU to GPU within a host, and
/// else over the network, which has a way into each host that the copies to its GPUs share, one after the
/// other. InputError for more than 8 GPUs a host.
Topology topology_of_each(const MachineSpec& used, const ParallelSpec& spec, StreamOrder copy_order);

/// For what is planned before it is known which of both it is: a host, of a few GPUs at least.
Topology topology_to_plan(const MachineSpec& used, const ParallelSpec& spec);

}  // namespace pregate::sim
