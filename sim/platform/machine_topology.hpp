// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/machine.hpp"
#include "sim/platform/topology.hpp"

namespace pregate::sim {

/// One GPU on one link, as every device is: `topology_of` without what a machine file says. Its resources
/// limit no flow.
Topology one_device_topology();

/// The machine as ids. Streams of the first GPU are called compute, h2d and d2h, those of others gpu1.compute
/// and so on; beside them host (control), ssd and cpu. Each direction of a GPU's link is a resource, the bus
/// of the host's memory another, which all copies from and to it share.
///
/// `copy_order`: of the streams that copy experts to GPUs.
Topology topology_of(const MachineSpec& machine, StreamOrder copy_order = StreamOrder::fifo);

}  // namespace pregate::sim
