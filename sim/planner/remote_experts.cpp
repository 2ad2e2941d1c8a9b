// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/remote_experts.hpp"

#include <algorithm>

namespace pregate::sim {

RemoteExperts::RemoteExperts(const Topology& topology, PlaceId gpu, const Estimates* estimates,
                             bool names_experts, LayerProgram& program)
    : topology_(topology),
      here_(topology[gpu].memory),
      estimates_(estimates),
      names_experts_(names_experts),
      program_(program),
      sets_(topology.places.size()) {}

void RemoteExperts::clear() {
  if (!any_) return;
  for (SplitSet& set : sets_) set.clear();
  any_ = false;
}

void RemoteExperts::add(PlaceId place, ExpertKey key, std::uint32_t tokens) {
  sets_[static_cast<std::size_t>(place)].add(key, tokens);
  any_ = true;
}

void RemoteExperts::compute(int layer, int ordinal, int layer_class, OpId ids_known) {
  results_.clear();
  for (std::size_t place = 0; any_ && place < sets_.size(); ++place) {
    if (sets_[place].keys().empty()) continue;
    results_.push_back(compute_at(static_cast<PlaceId>(place), layer, ordinal, layer_class, ids_known));
  }
}

OpId RemoteExperts::compute_at(PlaceId id, int layer, int ordinal, int layer_class, OpId ids_known) {
  const Place& place = topology_[id];
  const SplitSet& experts = of(id);
  program_.open(OpKind::activations, topology_.route(here_, place.memory).front(), layer);
  program_.after(ids_known);
  const OpId sent = program_.close();
  const bool on_gpu = place.kind == PlaceKind::gpu;
  Work& work = program_.open(on_gpu ? OpKind::experts : OpKind::cpu_experts, place.compute, layer);
  work.crosses = place.reads_over;
  work.layer_class = layer_class;
  work.ordinal = ordinal;
  work.routed = experts.routed();
  program_.compute(experts.tokens());
  if (on_gpu && names_experts_) {
    for (const ExpertKey key : experts.keys()) program_.use({key, -1});
  }
  program_.after_copy(sent);
  const OpId done = program_.close();
  if (place.kind == PlaceKind::cpu) {
    const auto count = static_cast<std::int64_t>(experts.keys().size());
    // Nobody gains by more than a copy of each miss of a layer.
    credit_ = std::min(credit_ + estimates_->on_cpu(layer_class, count, experts.routed()),
                       estimates_->fetch() * count);
  }
  // A CPU sends its results itself; from the memory of a device they are copied.
  const Hop back = place.kind == PlaceKind::cpu ? topology_.sent_by(id, here_)
                                                : topology_.route(place.memory, here_).front();
  program_.open(OpKind::activations, back, layer);
  program_.after(done);
  return program_.close();
}

bool RemoteExperts::take_credit() {
  const Picoseconds price = estimates_->fetch();
  if (credit_ < price) return false;
  credit_ = credit_ - price;
  return true;
}

}  // namespace pregate::sim
