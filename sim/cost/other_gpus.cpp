// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What work costs on GPUs of other kinds than the machine's first: docs/several-gpus.md.
#include "sim/cost/cost_model.hpp"
#include "sim/platform/machine_topology.hpp"

namespace pregate::sim {

void CostModel::price_streams(const Topology& topology) {
  if (machine_.others.empty()) return;
  gpu_of_stream_.assign(topology.platform.streams.size(), 0);
  const MemoryId host = topology[topology.first(PlaceKind::cpu)].memory;
  std::size_t number = 0;
  for (const Place& place : topology.places) {
    if (place.kind != PlaceKind::gpu || number++ == 0) continue;
    if (number > machine_.others.size() + 1) return;
    others_.push_back(
        std::make_unique<CostModel>(model_, machine_of_gpu(machine_, number - 1), policy_, options_));
    const CostModel& other = *others_.back();
    std::vector<int>& classes = classes_there_.emplace_back(classes_.size());
    for (std::size_t stack = 0; stack < classes_of_.size(); ++stack) {
      for (std::size_t layer = 0; layer < classes_of_[stack].size(); ++layer)
        classes[static_cast<std::size_t>(classes_of_[stack][layer])] = other.classes_of_[stack][layer];
    }
    const auto gpu = static_cast<std::uint8_t>(others_.size());
    gpu_of_stream_[number_of(place.compute)] = gpu;
    gpu_of_stream_[number_of(topology.route(host, place.memory).front().stream)] = gpu;
    gpu_of_stream_[number_of(topology.route(place.memory, host).front().stream)] = gpu;
  }
}

}  // namespace pregate::sim
