// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/lanes.hpp"
#include "sim/schedule/operation.hpp"

/// What the event engine keeps, for itself.
namespace pregate::sim::events {

using StreamSet = std::uint64_t;  // of a host's streams: of one() of each

constexpr StreamSet one(std::size_t stream) { return StreamSet{1} << stream % most_streams; }

/// The streams of a host, which share nothing with those of another.
struct Host {
  Host(const Platform& platform, std::size_t number) : lanes(platform, number) {}
  StreamSet by_priority = 0;
  StreamSet idle = 0;    ///< streams that run nothing
  StreamSet queued = 0;  ///< streams whose next operation, if idle, may be able to start
  StreamSet ended = 0;   ///< streams whose operation ends now
  Lanes lanes;
};

/// By stream, of all hosts.
inline std::vector<BytesPerSecond> rates_of(std::span<const Host> hosts) {
  std::vector<BytesPerSecond> rates;
  for (const Host& host : hosts) {
    const std::size_t before = rates.size();
    rates.resize(before + host.lanes.size());
    host.lanes.add_rates(std::span(rates).subspan(before));
  }
  return rates;
}

enum class State : std::uint8_t { waiting, started, done };

/// What is kept of an operation until it is forgotten.
struct Record {
  Picoseconds fixed;
  Bytes bytes;
  BytesPerSecond rate;
  std::uint64_t next_dependency;  ///< index of the first dependency not yet seen done
  std::uint32_t dependencies_left;
  StreamId stream;
  std::uint8_t priority;
  State state;
  ResourceSet resources;
  Picoseconds start, finish;
  OpId first_waiter, next_waiter;  ///< list of the operations that wait for this one first of all
};

struct Ready {
  std::uint8_t priority;
  OpId id;
  bool operator>(const Ready& other) const {
    return priority != other.priority ? priority > other.priority : id > other.id;
  }
};

}  // namespace pregate::sim::events
