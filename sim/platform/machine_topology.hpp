// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/machine.hpp"
#include "sim/platform/topology.hpp"

namespace pregate::sim {

/// One GPU on one link, as every device is: `topology_of` without what a machine file says. Its resources
/// limit no flow.
/// `copy_order`: as topology_of(). `has_drive`: behind the host's memory.
Topology one_device_topology(StreamOrder copy_order = StreamOrder::fifo, bool has_drive = false);

/// The links of a machine, as topology_of() adds them and CostModel prices what crosses them.
inline constexpr LinkId host_to_gpu{0}, gpu_to_host{1}, drive_to_host{2}, between_gpus{3}, between_hosts{4},
    near_data_link{5};

/// What crosses it at the most, of any size of copies.
BytesPerSecond fastest(const LinkSpec& link);

/// How a copy over such a link is priced, alone. A link that the machine lacks has no bandwidth.
LinkSpec link_spec(const MachineSpec& machine, LinkId link);

/// What the memory of a near-data device gives: what the machine says, else as much as the host's.
BytesPerSecond read_near_data(const MachineSpec& machine);

/// The machine as ids.
///
/// The layers run on its first GPU, whose streams are called compute, h2d and d2h; beside them host
/// (control), ssd and cpu. Each direction of a GPU's link is a resource, the bus of the host's memory
/// another, which all copies from and to it share. Without a drive (ssd.read_bandwidth) nothing is behind the
/// host's memory.
///
/// Another GPU of the host is called gpu1, gpu2, ...: gpu1.compute, and a link of its own, gpu1.h2d and
/// gpu1.d2h. Between the first GPU and it copies take link.peer, if there is one, else two hops through the
/// host. Those of other hosts (host1.gpu0, ...) have the network between, host memory to host memory: three
/// hops, and a bus of their own. A near-data device has one link, each direction of which all GPUs of this
/// host use one after the other.
///
/// `copy_order`: of the streams that copy experts to GPUs.
Topology topology_of(const MachineSpec& machine, StreamOrder copy_order = StreamOrder::fifo);

/// The machine as its GPU `number`, from 0, sees it: where it is of another kind (MachineSpec::others), that
/// GPU, its links to the host and what software costs on it, with the host and all else of this machine.
MachineSpec machine_of_gpu(const MachineSpec& machine, std::size_t number);

}  // namespace pregate::sim
