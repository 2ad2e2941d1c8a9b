// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/platform/machine_topology.hpp"

#include <algorithm>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

struct Capacities {
  BytesPerSecond h2d, d2h, host_memory, ssd;
};

Topology one_gpu_topology(const Capacities& capacity, bool has_drive, bool shares_bus,
                          StreamOrder copy_order) {
  Topology topology;
  Platform& platform = topology.platform;
  const MemoryId hbm = topology.add_memory("gpu"), dram = topology.add_memory("host");
  for (const char* name : {"h2d", "d2h", "ssd", "peer", "network", "near_data"}) topology.add_link(name);
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
  if (has_drive) {
    topology.add_route(topology.add_memory("ssd"), dram,
                       {{.stream = ssd, .crosses = bit(reads) | bit(bus), .link = drive_to_host}});
  }
  return topology;
}

/// Puts what a machine has beside its first GPU into the topology of that one.
class MoreDevices {
 public:
  /// `copy_order`: of the copies to every GPU, as of those to the first.
  MoreDevices(Topology& topology, const MachineSpec& machine, StreamOrder copy_order)
      : topology_(topology),
        machine_(machine),
        copy_order_(copy_order),
        first_(topology[topology.first(PlaceKind::gpu)].memory),
        host_(topology[topology.first(PlaceKind::cpu)].memory),
        bus_(topology[topology.first(PlaceKind::cpu)].reads_over) {}

  void add_gpus_of_this_host() {
    for (int i = 1; i < machine_.gpu.count; ++i)
      add_gpu("gpu" + std::to_string(i), machine_of_gpu(machine_, static_cast<std::size_t>(i)), bus_, {}, {});
    here_ = others_;
    here_.insert(here_.begin(), first_);
  }

  void add_other_hosts() {
    Platform& platform = topology_.platform;
    for (int host = 1; host < machine_.network.hosts; ++host) {
      const std::string name = "host" + std::to_string(host);
      const ResourceSet bus = bit(platform.add_resource(name + ".memory", machine_.host.memory_bandwidth));
      const Hop there = path(name + ".in", machine_.network.bandwidth, between_hosts, bus_ | bus),
                back = path(name + ".out", machine_.network.bandwidth, between_hosts, bus_ | bus);
      for (int i = 0; i < machine_.gpu.count; ++i)
        add_gpu(name + ".gpu" + std::to_string(i), machine_, bus, {there}, {back});
    }
  }

  /// As those from and to the first GPU: over the link between GPUs, at the one that gets what is sent; or
  /// hop by hop through the memories of their hosts.
  void add_ways_between_others() {
    const std::vector<MemoryId> others = others_;
    for (const MemoryId from : others) {
      for (const MemoryId to : others) {
        if (from == to) continue;
        const std::span<const Hop> there = topology_.route(first_, to);
        if (there.size() == 1 && topology_.route(from, first_).size() == 1) {
          topology_.add_route(from, to, {there.front()});
          continue;
        }
        const std::span<const Hop> out = topology_.route(from, host_), in = topology_.route(host_, to);
        std::vector<Hop> hops(out.begin(), out.end());
        hops.insert(hops.end(), in.begin(), in.end());
        topology_.add_route(from, to, std::move(hops));
      }
    }
  }

  /// One link, which the GPUs of this host share.
  void add_near_data() {
    const LinkSpec link = link_spec(machine_, near_data_link);
    Platform& platform = topology_.platform;
    const MemoryId memory = topology_.add_memory("near_data");
    const ResourceSet bus = bit(platform.add_resource("near_data.memory", read_near_data(machine_)));
    topology_.add_place({.name = "near_data",
                         .kind = PlaceKind::near_data,
                         .memory = memory,
                         .compute = platform.add_stream("near_data.compute"),
                         .reads_over = bus});
    const Hop out = path("near_data.out", link.bandwidth, near_data_link, bus),
              in = path("near_data.in", link.bandwidth, near_data_link, bus);
    for (const MemoryId gpu : here_) {
      topology_.add_route(memory, gpu, {out});
      topology_.add_route(gpu, memory, {in});
    }
  }

 private:
  /// A direction of a link: a stream and a resource of that name.
  Hop path(const std::string& name, BytesPerSecond bandwidth, LinkId link, ResourceSet shared,
           StreamOrder order = StreamOrder::fifo) {
    const ResourceId own = topology_.platform.add_resource(name, bandwidth);
    return {.stream = topology_.platform.add_stream(name, order), .crosses = bit(own) | shared, .link = link};
  }

  /// `own`: whose links to its host it has; `bus`: of the memory of its host; `there`, `back`: from the
  /// memory of the first host to that one.
  void add_gpu(const std::string& name, const MachineSpec& own, ResourceSet bus, std::vector<Hop> there,
               std::vector<Hop> back) {
    const MemoryId memory = topology_.add_memory(name);
    others_.push_back(memory);
    topology_.add_place({.name = name,
                         .kind = PlaceKind::gpu,
                         .memory = memory,
                         .compute = topology_.platform.add_stream(name + ".compute"),
                         .reads_over = 0});
    const bool is_here = there.empty();
    const Hop in = path(name + ".h2d", fastest(own.h2d), host_to_gpu, bus, copy_order_),
              out = path(name + ".d2h", fastest(own.d2h), gpu_to_host, bus);
    there.push_back(in);
    back.insert(back.begin(), out);
    topology_.add_route(host_, memory, there);
    topology_.add_route(memory, host_, back);
    if (is_here && machine_.peer.bandwidth.value > 0) {
      topology_.add_route(first_, memory,
                          {path(name + ".peer_in", machine_.peer.bandwidth, between_gpus, 0)});
      topology_.add_route(memory, first_,
                          {path(name + ".peer_out", machine_.peer.bandwidth, between_gpus, 0)});
      return;
    }
    there.insert(there.begin(), topology_.route(first_, host_).front());
    back.push_back(topology_.route(host_, first_).front());
    topology_.add_route(first_, memory, std::move(there));
    topology_.add_route(memory, first_, std::move(back));
  }

  Topology& topology_;
  const MachineSpec& machine_;
  StreamOrder copy_order_;
  MemoryId first_, host_;
  ResourceSet bus_;
  std::vector<MemoryId> others_;  // of GPUs
  std::vector<MemoryId> here_;    // of the GPUs of this host
};

LinkSpec link_like(const PathSpec& path) {
  return {.bandwidth = path.bandwidth,
          .latency = path.latency,
          .per_copy = path.per_copy,
          .pageable_bandwidth = path.bandwidth,
          .table = {}};
}

}  // namespace

BytesPerSecond fastest(const LinkSpec& link) {
  BytesPerSecond most = link.bandwidth;
  for (const CopyPoint& point : link.table) most = std::max(most, point.rate);
  return most;
}

LinkSpec link_spec(const MachineSpec& machine, LinkId link) {
  if (link == host_to_gpu) return machine.h2d;
  if (link == gpu_to_host) return machine.d2h;
  if (link == drive_to_host) return link_like({machine.ssd.read_bandwidth, machine.ssd.latency, {}});
  if (link == between_gpus) return link_like(machine.peer);
  if (link == between_hosts)
    return link_like({machine.network.bandwidth, machine.network.latency, machine.network.per_copy});
  return machine.near_data.link.bandwidth.value > 0 ? link_like(machine.near_data.link) : machine.h2d;
}

BytesPerSecond read_near_data(const MachineSpec& machine) {
  const BytesPerSecond own = machine.near_data.memory_bandwidth;
  return own.value > 0 ? own : machine.host.memory_bandwidth;
}

MachineSpec machine_of_gpu(const MachineSpec& machine, std::size_t number) {
  if (number == 0 || number > machine.others.size()) return machine;
  MachineSpec other = machine.others[number - 1];
  other.host = machine.host;
  other.peer = machine.peer;
  other.network = machine.network;
  other.ssd = machine.ssd;
  other.near_data = machine.near_data;
  return other;
}

Topology one_device_topology(StreamOrder copy_order, bool has_drive) {
  return one_gpu_topology({}, has_drive, false, copy_order);
}

Topology topology_of(const MachineSpec& machine, StreamOrder copy_order) {
  if (machine.gpu.count * machine.network.hosts > most_gpus_a_host) {
    throw InputError(
        "machine " + printable(machine.name),
        "a run on one of its GPUs, or whose GPUs copy experts, knows ways to at most 8 GPUs, and it "
        "has " +
            std::to_string(machine.gpu.count * machine.network.hosts),
        "--set machine.network.hosts=1, or --gpus N with --policy gpu-only");
  }
  Topology topology = one_gpu_topology({.h2d = fastest(machine.h2d),
                                        .d2h = fastest(machine.d2h),
                                        .host_memory = machine.host.memory_bandwidth,
                                        .ssd = machine.ssd.read_bandwidth},
                                       machine.ssd.read_bandwidth.value > 0,
                                       machine.gpu.host_memory_traffic.value > 0, copy_order);
  MoreDevices more(topology, machine, copy_order);
  more.add_gpus_of_this_host();
  more.add_other_hosts();
  more.add_ways_between_others();
  if (machine.near_data.memory.count > 0) more.add_near_data();
  return topology;
}

}  // namespace pregate::sim
