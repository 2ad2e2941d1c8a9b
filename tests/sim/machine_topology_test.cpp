// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What a machine file names becomes places, memories, links and streams.
#include "sim/platform/machine_topology.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> places(const Topology& topology) {
  std::vector<std::string> names;
  for (const Place& place : topology.places) names.push_back(place.name);
  return names;
}

MemoryId memory(const Topology& topology, const std::string& name) {
  for (std::size_t i = 0; i < topology.memories.size(); ++i) {
    if (topology.memories[i].name == name) return static_cast<MemoryId>(i);
  }
  ADD_FAILURE() << "no memory " << name;
  return {};
}

/// Streams of the hops from one memory to another.
std::vector<std::string> way(const Topology& topology, const std::string& from, const std::string& to) {
  std::vector<std::string> streams;
  for (const Hop& hop : topology.route(memory(topology, from), memory(topology, to)))
    streams.push_back(topology.platform[hop.stream].name);
  return streams;
}

std::vector<std::string> crossed(const Topology& topology, const Hop& hop) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < topology.platform.resources.size(); ++i) {
    if ((hop.crosses >> i & 1U) != 0) names.push_back(topology.platform.resources[i].name);
  }
  return names;
}

TEST(MachineTopology, OneGpuIsTheSmallestOne) {
  MachineSpec machine = test::tiny_machine();
  machine.ssd.read_bandwidth = {};
  const Topology topology = topology_of(machine);
  EXPECT_THAT(places(topology), ElementsAre("gpu", "cpu"));
  EXPECT_THAT(way(topology, "host", "gpu"), ElementsAre("h2d"));
  EXPECT_FALSE(topology.has_behind(memory(topology, "host")));
}

TEST(MachineTopology, AnotherGpuIsReachedThroughTheHostOrOverALinkOfItsOwn) {
  MachineSpec machine = test::tiny_machine();
  machine.gpu.count = 3;
  const Topology through_host = topology_of(machine);
  EXPECT_THAT(places(through_host), ElementsAre("gpu", "cpu", "gpu1", "gpu2"));
  EXPECT_THAT(way(through_host, "gpu", "gpu2"), ElementsAre("d2h", "gpu2.h2d"));
  EXPECT_THAT(way(through_host, "gpu2", "gpu"), ElementsAre("gpu2.d2h", "h2d"));
  EXPECT_THAT(way(through_host, "host", "gpu1"), ElementsAre("gpu1.h2d"));
  const Hop in = through_host.route(memory(through_host, "host"), memory(through_host, "gpu1")).front();
  EXPECT_THAT(crossed(through_host, in), ElementsAre("host_memory", "gpu1.h2d"))
      << "a link of its own, and the one bus that all share";

  machine.peer.bandwidth = {50e9};
  const Topology peers = topology_of(machine);
  EXPECT_THAT(way(peers, "gpu", "gpu2"), ElementsAre("gpu2.peer_in"));
  EXPECT_THAT(way(peers, "gpu2", "gpu"), ElementsAre("gpu2.peer_out"));
  EXPECT_EQ(peers.platform[peers.platform.resource_named("gpu2.peer_in").value()].capacity.value, 50e9);
}

TEST(MachineTopology, GpusOfOtherHostsAreBehindTheNetworkAndABusOfTheirOwn) {
  MachineSpec machine = test::tiny_machine();
  machine.gpu.count = 2;
  machine.network.hosts = 2;
  machine.network.bandwidth = {12.5e9};
  const Topology topology = topology_of(machine);
  EXPECT_THAT(places(topology), ElementsAre("gpu", "cpu", "gpu1", "host1.gpu0", "host1.gpu1"));
  EXPECT_THAT(way(topology, "gpu", "host1.gpu1"), ElementsAre("d2h", "host1.in", "host1.gpu1.h2d"));
  EXPECT_THAT(way(topology, "host1.gpu0", "gpu"), ElementsAre("host1.gpu0.d2h", "host1.out", "h2d"));
  const std::span<const Hop> hops = topology.route(memory(topology, "gpu"), memory(topology, "host1.gpu1"));
  EXPECT_THAT(crossed(topology, hops[1]), ElementsAre("host_memory", "host1.memory", "host1.in"));
  EXPECT_THAT(crossed(topology, hops[2]), ElementsAre("host1.memory", "host1.gpu1.h2d"));
}

TEST(MachineTopology, ANearDataDeviceComputesFromItsOwnMemory) {
  MachineSpec machine = test::tiny_machine();
  machine.near_data.memory = {1LL << 40};
  machine.near_data.memory_bandwidth = {500e9};
  const Topology topology = topology_of(machine);
  const Place& device = topology[topology.first(PlaceKind::near_data)];
  EXPECT_EQ(device.memory, memory(topology, "near_data"));
  EXPECT_THAT(way(topology, "near_data", "gpu"), ElementsAre("near_data.out"));
  EXPECT_THAT(way(topology, "near_data", "host"), IsEmpty());
  EXPECT_EQ(topology.platform[topology.platform.resource_named("near_data.memory").value()].capacity.value,
            500e9);
  EXPECT_EQ(link_spec(machine, near_data_link).bandwidth.value, machine.h2d.bandwidth.value)
      << "without a link of its own it has one like the GPU's";
}

// The most that a machine may have fits into sets of 64 streams and 64 resources.
TEST(MachineTopology, TheLargestMachineHasRoom) {
  for (const auto& [gpus, hosts] : {std::pair{8, 1}, {4, 2}, {2, 4}, {1, 8}}) {
    MachineSpec machine = test::tiny_machine();
    machine.gpu.count = gpus;
    machine.network.hosts = hosts;
    machine.network.bandwidth = {12.5e9};
    machine.peer.bandwidth = {50e9};
    machine.near_data.memory = {1LL << 40};
    EXPECT_NO_THROW(topology_of(machine)) << gpus << " x " << hosts;
  }
}

}  // namespace
}  // namespace pregate::sim
