// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/platform/topology.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace pregate::sim {

PlaceId Topology::add_place(Place place) {
  places.push_back(std::move(place));
  return static_cast<PlaceId>(places.size() - 1);
}

MemoryId Topology::add_memory(std::string name) {
  memories.push_back({std::move(name)});
  return static_cast<MemoryId>(memories.size() - 1);
}

LinkId Topology::add_link(std::string name) {
  links.push_back(std::move(name));
  return static_cast<LinkId>(links.size() - 1);
}

void Topology::add_route(MemoryId from, MemoryId to, std::vector<Hop> hops) {
  const auto after = std::upper_bound(
      routes_.begin(), routes_.end(), std::pair(from, to),
      [](const std::pair<MemoryId, MemoryId>& ends, const Route& each) { return ends < each.ends(); });
  routes_.insert(after, {from, to, std::move(hops)});
}

void Topology::repeat_for_hosts(std::size_t hosts) {
  const std::vector<Platform::Stream> streams = platform.streams;
  const std::vector<Place> first_places = places;
  const std::vector<Memory> first_memories = memories;
  const std::vector<Route> first_routes = routes_;
  for (std::size_t host = 1; host < hosts; ++host) {
    const std::string name = "host" + std::to_string(host) + ".";
    const std::size_t first_memory = memories.size();
    const auto stream_here = [&](StreamId stream) {
      return static_cast<StreamId>(host * most_streams + number_of(stream));
    };
    const auto memory_here = [&](MemoryId memory) {
      return static_cast<MemoryId>(first_memory + static_cast<std::size_t>(memory));
    };
    platform.begin_host();
    for (const Platform::Stream& stream : streams) platform.add_stream(name + stream.name, stream.order);
    for (const Memory& memory : first_memories) add_memory(name + memory.name);
    for (Place place : first_places) {
      place.name = name + place.name;
      place.memory = memory_here(place.memory);
      place.compute = stream_here(place.compute);
      add_place(std::move(place));
    }
    for (Route route : first_routes) {  // their ids are larger: they stay in order
      for (Hop& hop : route.hops) hop.stream = stream_here(hop.stream);
      routes_.push_back({memory_here(route.from), memory_here(route.to), std::move(route.hops)});
    }
  }
}

std::span<const Hop> Topology::route(MemoryId from, MemoryId to) const {
  const std::pair ends(from, to);
  const auto found = std::lower_bound(
      routes_.begin(), routes_.end(), ends,
      [](const Route& each, const std::pair<MemoryId, MemoryId>& wanted) { return each.ends() < wanted; });
  return found == routes_.end() || found->ends() != ends ? std::span<const Hop>{}
                                                         : std::span<const Hop>(found->hops);
}

Hop Topology::sent_by(PlaceId place, MemoryId to) const {
  const Place& sender = (*this)[place];
  const std::span<const Hop> hops = route(sender.memory, to);
  if (hops.size() != 1)
    throw std::out_of_range("topology: '" + sender.name + "' has no link of its own there");
  Hop sent = hops.front();
  sent.stream = sender.compute;
  return sent;
}

PlaceId Topology::first(PlaceKind kind) const {
  const auto found =
      std::find_if(places.begin(), places.end(), [&](const Place& place) { return place.kind == kind; });
  if (found == places.end()) throw std::out_of_range("topology: no such place");
  return static_cast<PlaceId>(found - places.begin());
}

std::optional<MemoryId> Topology::find_behind(MemoryId memory) const {
  for (std::size_t i = 0; i < memories.size(); ++i) {
    const auto candidate = static_cast<MemoryId>(i);
    const bool computed_from = std::any_of(places.begin(), places.end(),
                                           [&](const Place& place) { return place.memory == candidate; });
    if (!computed_from && !route(candidate, memory).empty()) return candidate;
  }
  return std::nullopt;
}

MemoryId Topology::behind(MemoryId memory) const {
  const std::optional<MemoryId> found = find_behind(memory);
  if (!found) throw std::out_of_range("topology: no memory is behind that one");
  return *found;
}

PlaceId Topology::beside(PlaceId place, PlaceKind kind) const {
  const std::size_t host = host_of((*this)[place].compute);
  const auto found = std::find_if(places.begin(), places.end(), [&](const Place& each) {
    return each.kind == kind && host_of(each.compute) == host;
  });
  if (found == places.end()) throw std::out_of_range("topology: the host has no such place");
  return static_cast<PlaceId>(found - places.begin());
}

std::vector<bool> Topology::streams_of(PlaceKind kind) const {
  std::vector<bool> set(platform.streams.size());
  for (const Place& place : places) {
    if (place.kind == kind) set[number_of(place.compute)] = true;
  }
  return set;
}

std::vector<bool> Topology::fetching_streams() const {
  std::vector<bool> computed_from(memories.size()), set(platform.streams.size());
  for (const Place& place : places) {
    if (place.kind != PlaceKind::cpu) computed_from[static_cast<std::size_t>(place.memory)] = true;
  }
  for (const Route& route : routes_) {
    if (!computed_from[static_cast<std::size_t>(route.to)]) continue;
    for (const Hop& hop : route.hops) set[number_of(hop.stream)] = true;
  }
  return set;
}

}  // namespace pregate::sim
