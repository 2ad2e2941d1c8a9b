// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/platform/machine_topology.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

BytesPerSecond fastest(const LinkSpec& link) {
  BytesPerSecond most = link.bandwidth;
  for (const CopyPoint& point : link.table) most = std::max(most, point.rate);
  return most;
}

struct Capacities {
  BytesPerSecond h2d, d2h, host_memory, ssd;
};

Topology one_gpu_topology(const Capacities& capacity, bool shares_bus, StreamOrder copy_order) {
  Topology topology;
  Platform& platform = topology.platform;
  const MemoryId hbm = topology.add_memory("gpu"), dram = topology.add_memory("host");
  for (const char* name : {"h2d", "d2h", "ssd"}) topology.add_link(name);
  const StreamId compute = platform.add_stream("compute"), h2d = platform.add_stream("h2d", copy_order),
                 d2h = platform.add_stream("d2h");
  platform.add_stream("host");
  const StreamId ssd = platform.add_stream("ssd"), cpu = platform.add_stream("cpu");
  const ResourceId link_h2d = platform.add_resource("link_h2d", capacity.h2d),
                   link_d2h = platform.add_resource("link_d2h", capacity.d2h),
                   bus = platform.add_resource("host_memory", capacity.host_memory),
                   reads = platform.add_resource("ssd", capacity.ssd);
  topology.add_place({.name = "gpu",
                      .kind = PlaceKind::gpu,
                      .memory = hbm,
                      .compute = compute,
                      .reads_over = shares_bus ? bit(bus) : 0});
  topology.add_place(
      {.name = "cpu", .kind = PlaceKind::cpu, .memory = dram, .compute = cpu, .reads_over = bit(bus)});
  topology.add_route(dram, hbm, {{.stream = h2d, .crosses = bit(link_h2d) | bit(bus), .link = host_to_gpu}});
  topology.add_route(hbm, dram, {{.stream = d2h, .crosses = bit(link_d2h) | bit(bus), .link = gpu_to_host}});
  if (capacity.ssd.value > 0) {
    topology.add_route(topology.add_memory("ssd"), dram,
                       {{.stream = ssd, .crosses = bit(reads) | bit(bus), .link = drive_to_host}});
  }
  return topology;
}

}  // namespace

Topology one_device_topology() { return one_gpu_topology({}, false, StreamOrder::fifo); }

Topology topology_of(const MachineSpec& machine, StreamOrder copy_order) {
  return one_gpu_topology({.h2d = fastest(machine.h2d),
                           .d2h = fastest(machine.d2h),
                           .host_memory = machine.host.memory_bandwidth,
                           .ssd = machine.ssd.read_bandwidth},
                          machine.gpu.host_memory_traffic.value > 0, copy_order);
}

}  // namespace pregate::sim
