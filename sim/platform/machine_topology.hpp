// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/machine.hpp"
#include "sim/platform/topology.hpp"

namespace pregate::sim {

/// One GPU on one link, as every device is: `topology_of` without what a machine file says. Its resources
/// limit no flow.
Topology one_device_topology();

/// The links of a machine, as topology_of() adds them and CostModel prices what crosses them.
inline constexpr LinkId host_to_gpu{0}, gpu_to_host{1}, drive_to_host{2};

/// The machine as ids. Streams of the GPU are called compute, h2d and d2h; beside them host (control), ssd
/// and cpu. Each direction of a GPU's link is a resource, the bus
/// of the host's memory another, which all copies from and to it share. Without a drive (ssd.read_bandwidth)
/// nothing is behind the host's memory.
///
/// `copy_order`: of the streams that copy experts to GPUs.
Topology topology_of(const MachineSpec& machine, StreamOrder copy_order = StreamOrder::fifo);

}  // namespace pregate::sim
