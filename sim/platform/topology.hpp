// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/platform/platform.hpp"

namespace pregate::sim {

/// What computes, and what holds: places in Topology::places and Topology::memories.
enum class PlaceId : std::uint16_t {};
enum class MemoryId : std::uint16_t {};
/// One direction of a link, as copies over it are priced: a place in Topology::links.
enum class LinkId : std::uint8_t {};

enum class PlaceKind : std::uint8_t { gpu, cpu, near_data };

/// Something that computes: a GPU, the CPU, a device beside a memory.
struct Place {
  std::string name;
  PlaceKind kind = PlaceKind::gpu;
  MemoryId memory{};           ///< that it computes from
  StreamId compute{};          ///< what it runs its kernels on
  ResourceSet reads_over = 0;  ///< what its reading of that memory shares with copies: the bus
};

struct Memory {
  std::string name;
};

/// One hop of a copy: the stream that carries it out, what it shares with others, and the link it is priced
/// by.
struct Hop {
  StreamId stream{};
  ResourceSet crosses = 0;
  LinkId link{};
};

/// The machine as the planner and the executors see it: dense ids; names end here. One GPU with one link is
/// its smallest instance.
struct Topology {
  Platform platform;
  std::vector<Place> places;
  std::vector<Memory> memories;
  std::vector<std::string> links;

  [[nodiscard]] const Place& operator[](PlaceId place) const {
    return places[static_cast<std::size_t>(place)];
  }
  PlaceId add_place(Place place);
  MemoryId add_memory(std::string name);
  LinkId add_link(std::string name);
  /// Copies from one memory to another take these hops, one after the other.
  void add_route(MemoryId from, MemoryId to, std::vector<Hop> hops);

  /// As many hosts in all, each like the first, which this is of: its places, memories and streams again,
  /// named host1.gpu, ..., in the same order, with ways among themselves. Links are the same ones. None leads
  /// from host to host yet.
  void repeat_for_hosts(std::size_t hosts);

  /// Empty when there is no way.
  [[nodiscard]] std::span<const Hop> route(MemoryId from, MemoryId to) const;
  /// What `place` sends from its memory itself, as the CPU sends what it computed: on its own stream, over
  /// the link of the route. std::out_of_range when there is no route of one hop.
  [[nodiscard]] Hop sent_by(PlaceId place, MemoryId to) const;
  /// The first place of this kind; std::out_of_range when there is none.
  [[nodiscard]] PlaceId first(PlaceKind kind) const;
  [[nodiscard]] bool has_behind(MemoryId memory) const { return find_behind(memory).has_value(); }
  /// The memory from which no place computes and that fills this one: a drive behind the host's.
  /// std::out_of_range when there is none.
  [[nodiscard]] MemoryId behind(MemoryId memory) const;
  /// The first place of this kind in the host that `place` is in, as its compute stream says;
  /// std::out_of_range when it has none.
  [[nodiscard]] PlaceId beside(PlaceId place, PlaceKind kind) const;
  [[nodiscard]] PlaceId cpu_of(PlaceId place) const { return beside(place, PlaceKind::cpu); }
  /// By stream: some such place computes on it.
  [[nodiscard]] std::vector<bool> streams_of(PlaceKind kind) const;
  /// By stream: it brings something to where a GPU or another device computes, or on its way there.
  [[nodiscard]] std::vector<bool> fetching_streams() const;

 private:
  [[nodiscard]] std::optional<MemoryId> find_behind(MemoryId memory) const;

  struct Route {
    MemoryId from, to;
    std::vector<Hop> hops;
    [[nodiscard]] std::pair<MemoryId, MemoryId> ends() const { return {from, to}; }
  };
  std::vector<Route> routes_;  // by their ends; those that were added first before others alike
};

}  // namespace pregate::sim
