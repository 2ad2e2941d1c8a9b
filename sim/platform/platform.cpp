// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/platform/platform.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace pregate::sim {

namespace {

template <class Id, class Named>
std::optional<Id> id_named(const std::vector<Named>& all, std::string_view name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Named& each) { return each.name == name; });
  if (found == all.end()) return std::nullopt;
  return static_cast<Id>(found - all.begin());
}

}  // namespace

const char* to_string(StreamOrder order) { return order == StreamOrder::fifo ? "fifo" : "priority"; }

void Platform::begin_host() {
  first_of_host_ = hosts() * most_streams;
  streams.resize(first_of_host_);
}

StreamId Platform::add_stream(std::string name, StreamOrder order) {
  if (streams.size() == first_of_host_ + most_streams)
    throw std::length_error("a platform has at most 64 streams a host");
  streams.push_back({std::move(name), order});
  return static_cast<StreamId>(streams.size() - 1);
}

ResourceId Platform::add_resource(std::string name, BytesPerSecond capacity) {
  if (resources.size() == most_resources) throw std::length_error("a platform has at most 64 resources");
  resources.push_back({std::move(name), capacity});
  return static_cast<ResourceId>(resources.size() - 1);
}

std::optional<StreamId> Platform::stream_named(std::string_view name) const {
  return id_named<StreamId>(streams, name);
}

std::optional<ResourceId> Platform::resource_named(std::string_view name) const {
  return id_named<ResourceId>(resources, name);
}

}  // namespace pregate::sim
