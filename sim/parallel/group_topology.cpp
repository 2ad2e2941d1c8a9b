// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/group_topology.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "models/error.hpp"
#include "sim/parallel/group_checks.hpp"
#include "sim/parallel/group_run.hpp"
#include "sim/platform/machine_topology.hpp"

namespace pregate::sim {

namespace {

Topology host_with_network(const MachineSpec& used, StreamOrder copy_order, Hop& arrives) {
  MachineSpec host = used;
  host.network.hosts = 1;
  Topology topology = topology_of(host, copy_order);
  const ResourceSet bus = topology[topology.first(PlaceKind::cpu)].reads_over;
  const ResourceId network = topology.platform.add_resource("network", used.network.bandwidth);
  arrives = {.stream = topology.platform.add_stream("network"),
             .crosses = bit(network) | bus,
             .link = between_hosts};
  return topology;
}

/// Down to the memory of its host, over the network to that of the other's, and up.
std::vector<Hop> over_network(const Topology& topology, PlaceId from, PlaceId to, Hop arrives) {
  const Place &sender = topology[from], &receiver = topology[to];
  const std::size_t host = host_of(receiver.compute);
  arrives.stream = static_cast<StreamId>(host * most_streams + number_of(arrives.stream));
  const auto out = topology.route(sender.memory, topology[topology.cpu_of(from)].memory),
             in = topology.route(topology[topology.cpu_of(to)].memory, receiver.memory);
  std::vector<Hop> hops(out.begin(), out.end());
  hops.push_back(arrives);
  hops.insert(hops.end(), in.begin(), in.end());
  return hops;
}

}  // namespace

Topology topology_of_alike(const MachineSpec& used, const ParallelSpec& spec, StreamOrder copy_order) {
  if (!is_large(spec)) {
    const bool has_ways = used.gpu.count * used.network.hosts <= most_gpus_a_host;
    return has_ways ? topology_of(used, copy_order) : topology_of_each(used, spec, copy_order);
  }
  MachineSpec drawn = used;
  const int stages = spec.pipeline;
  drawn.gpu.count = 2;
  drawn.network.hosts = stages > 1 && used.network.hosts > 1 ? stages : 1;
  if (stages > 1 && used.network.hosts == 1) drawn.gpu.count = 2 * stages;
  return topology_of(drawn, copy_order);
}

Topology topology_of_each(const MachineSpec& used, const ParallelSpec& spec, StreamOrder copy_order) {
  if (used.network.hosts == 1 && used.gpu.count <= most_gpus_a_host) return topology_of(used, copy_order);
  if (used.gpu.count > most_gpus_a_host) {
    throw InputError(
        "machine " + printable(used.name),
        "it has " + std::to_string(used.gpu.count) +
            " GPUs a host, each of which copies, foresees or computes in parts by itself: that is simulated "
            "with at most 8",
        "--set machine.gpu.count=8 with more hosts (machine.network.hosts), or --policy gpu-only");
  }
  Hop arrives;
  Topology topology = host_with_network(used, copy_order, arrives);
  topology.repeat_for_hosts(static_cast<std::size_t>(used.network.hosts));
  const std::vector<PlaceId> gpus = gpus_of(topology);
  const auto stage = static_cast<std::size_t>(spec.gpus_a_stage());
  for (std::size_t i = stage; i < static_cast<std::size_t>(spec.gpus()); ++i) {
    const PlaceId from = gpus[i - stage], to = gpus[i];
    if (host_of(topology[from].compute) != host_of(topology[to].compute)) {
      topology.add_route(topology[from].memory, topology[to].memory,
                         over_network(topology, from, to, arrives));
    }
  }
  return topology;
}

Topology topology_to_plan(const MachineSpec& used, const ParallelSpec& spec) {
  MachineSpec planned = used;
  if (is_large(spec) || used.network.hosts > 1) {
    planned.gpu.count = std::min(planned.gpu.count, 2);
    planned.network.hosts = 1;
  }
  return topology_of(planned);
}

}  // namespace pregate::sim
