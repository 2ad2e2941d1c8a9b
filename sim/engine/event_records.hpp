// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/schedule/operation.hpp"

/// What the event engine keeps, for itself.
namespace pregate::sim::events {

using StreamSet = std::uint64_t;  // of a host's streams: of one() of each

constexpr StreamSet one(std::size_t stream) { return StreamSet{1} << stream % most_streams; }

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
