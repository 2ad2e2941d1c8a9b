// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/units.hpp"

namespace pregate::sim {

/// Streams run their operations in order, one at a time. An id is a place in Platform::streams.
enum class StreamId : std::uint16_t {};
/// Shared resources: flows that use one share its bandwidth max-min fairly. A place in Platform::resources.
enum class ResourceId : std::uint8_t {};
/// A set of resources: bit(ResourceId) of each, of the host whose stream an operation is on.
using ResourceSet = std::uint64_t;

/// Of a host.
inline constexpr std::size_t most_streams = 64, most_resources = 64;

constexpr std::size_t number_of(StreamId stream) { return static_cast<std::size_t>(stream); }
constexpr std::size_t number_of(ResourceId resource) { return static_cast<std::size_t>(resource); }
/// The host that a stream is of: those of one are numbered from a multiple of most_streams on.
constexpr std::size_t host_of(StreamId stream) { return number_of(stream) / most_streams; }
constexpr ResourceSet bit(ResourceId resource) { return ResourceSet{1} << number_of(resource); }

/// How a stream picks its next operation.
enum class StreamOrder : std::uint8_t {
  fifo,      ///< strictly in issue order: a stream waits for the head's dependencies
  priority,  ///< among operations whose dependencies are done: lowest priority value, then issue order
};
const char* to_string(StreamOrder order);

/// What schedules run on: streams and shared resources, by name. Which places and memories they belong to
/// says the Topology that they were made for.
///
/// Of several hosts alike each has streams of its own, and resources of its own by the same names: operations
/// of different hosts share nothing, so that what one does costs no time to look at in another.
struct Platform {
  struct Stream {
    std::string name;
    StreamOrder order = StreamOrder::fifo;
    bool operator==(const Stream&) const = default;
  };
  struct Resource {
    std::string name;
    BytesPerSecond capacity;  ///< 0 = it limits no flow
    bool operator==(const Resource&) const = default;
  };
  std::vector<Stream> streams;      ///< at most most_streams a host; no name: of none, between two hosts'
  std::vector<Resource> resources;  ///< of each host; at most most_resources

  /// The streams that are added next are those of one more host.
  void begin_host();
  [[nodiscard]] std::size_t hosts() const {
    return std::max<std::size_t>(1, (streams.size() + most_streams - 1) / most_streams);
  }
  /// std::length_error when there are too many.
  StreamId add_stream(std::string name, StreamOrder order = StreamOrder::fifo);
  ResourceId add_resource(std::string name, BytesPerSecond capacity);

  [[nodiscard]] const Stream& operator[](StreamId stream) const { return streams[number_of(stream)]; }
  [[nodiscard]] Stream& operator[](StreamId stream) { return streams[number_of(stream)]; }
  [[nodiscard]] const Resource& operator[](ResourceId resource) const {
    return resources[number_of(resource)];
  }
  [[nodiscard]] Resource& operator[](ResourceId resource) { return resources[number_of(resource)]; }
  [[nodiscard]] std::optional<StreamId> stream_named(std::string_view name) const;
  [[nodiscard]] std::optional<ResourceId> resource_named(std::string_view name) const;

  bool operator==(const Platform&) const = default;

 private:
  std::size_t first_of_host_ = 0;  // stream
};

}  // namespace pregate::sim
