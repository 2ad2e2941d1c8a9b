// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/platform/topology.hpp"

#include <algorithm>
#include <stdexcept>
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
  routes_.push_back({from, to, std::move(hops)});
}

std::span<const Hop> Topology::route(MemoryId from, MemoryId to) const {
  const auto found = std::find_if(routes_.begin(), routes_.end(),
                                  [&](const Route& each) { return each.from == from && each.to == to; });
  return found == routes_.end() ? std::span<const Hop>{} : std::span<const Hop>(found->hops);
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

std::uint64_t Topology::streams_of(PlaceKind kind) const {
  std::uint64_t set = 0;
  for (const Place& place : places) {
    if (place.kind == kind) set |= std::uint64_t{1} << number_of(place.compute);
  }
  return set;
}

}  // namespace pregate::sim
