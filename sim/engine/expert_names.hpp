// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/platform/topology.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// What an expert of a schedule is called, which operations know by its key: its number in its layer. Keys
/// are of the trace; on several GPUs, of what each has of it.
class ExpertNames {
 public:
  /// Not explicit: of one GPU the map is all there is to say.
  ExpertNames(const ExpertMap& map) : map_(&map) {}  // NOLINT(google-explicit-constructor)
  /// Of keys that operations on this stream name, by key; empty: they are of the trace.
  void set(StreamId stream, std::vector<std::int32_t> names) {
    if (by_stream_.size() <= number_of(stream)) by_stream_.resize(number_of(stream) + 1);
    by_stream_[number_of(stream)] = std::move(names);
  }

  [[nodiscard]] std::int32_t of(StreamId stream, ExpertKey key) const {
    if (number_of(stream) < by_stream_.size() && !by_stream_[number_of(stream)].empty())
      return by_stream_[number_of(stream)][key];
    return map_->index_of(key);
  }

 private:
  const ExpertMap* map_;
  std::vector<std::vector<std::int32_t>> by_stream_;
};

}  // namespace pregate::sim
