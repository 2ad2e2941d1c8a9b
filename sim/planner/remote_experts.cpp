// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/remote_experts.hpp"

#include <algorithm>
#include <limits>

namespace pregate::sim {

RemoteExperts::RemoteExperts(const Topology& topology, PlaceId gpu, const Estimates* estimates,
                             bool names_experts, const HostReads& reads, LayerProgram& program)
    : topology_(topology),
      here_(topology[gpu].memory),
      estimates_(estimates),
      names_experts_(names_experts),
      reads_(reads),
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

void RemoteExperts::compute(int layer, int ordinal, int layer_class, OpId ids_known, OpId arrived) {
  results_.clear();
  for (std::size_t place = 0; any_ && place < sets_.size(); ++place) {
    if (sets_[place].keys().empty()) continue;
    const auto at = static_cast<PlaceId>(place);
    results_.push_back(compute_at(at, of(at), layer, ordinal, layer_class, {ids_known, arrived}));
  }
}

OpId RemoteExperts::send(std::span<const Hop> hops, Ready ready, int layer, std::uint32_t most_tokens) {
  for (const Hop& hop : hops) {
    program_.open(OpKind::activations, hop, layer).routed = most_tokens;
    program_.after(ready.known);
    program_.after(ready.arrived);
    ready = {program_.close(), no_op};
  }
  return ready.known;
}

/// The whole pass, or all that was gathered: what of it has no expert there is not sorted out. What is routed
/// has come expert by expert.
std::uint32_t RemoteExperts::sent_to_cpu(const SplitSet& experts) const {
  if (tokens_ == TokensHere::routed) return experts.routed();
  return tokens_ == TokensHere::of_all ? std::numeric_limits<std::uint32_t>::max() : 0;
}

OpId RemoteExperts::compute_at(PlaceId id, const SplitSet& experts, int layer, int ordinal, int layer_class,
                               Ready ready) {
  const Place& place = topology_[id];
  // Another place than a CPU is sent no more tokens than it has experts to compute.
  const std::uint32_t most_tokens = place.kind == PlaceKind::cpu ? sent_to_cpu(experts) : experts.routed();
  const OpId sent = send(topology_.route(here_, place.memory), ready, layer, most_tokens);
  const bool on_gpu = place.kind == PlaceKind::gpu;
  Work& work = program_.open(on_gpu ? OpKind::experts : OpKind::cpu_experts, place.compute, layer);
  work.at = place.kind;
  work.crosses = place.reads_over;
  work.layer_class = layer_class;
  work.ordinal = ordinal;
  work.routed = experts.routed();
  program_.compute(experts.tokens());
  if (names_experts_ && (on_gpu || place.kind == PlaceKind::cpu)) {
    for (const ExpertKey key : experts.keys()) program_.use({key, -1});
  }
  program_.after_copy(sent);
  if (place.kind == PlaceKind::cpu && reads_.any()) {
    for (const ExpertKey key : experts.keys()) program_.after_copy(reads_.read_of(key));
  }
  const OpId done = program_.close();
  if (place.kind == PlaceKind::cpu && estimates_ != nullptr) {
    const auto count = static_cast<std::int64_t>(experts.keys().size());
    // Nobody gains by more than a copy of each miss of a layer.
    credit_ = std::min(credit_ + estimates_->on_cpu(layer_class, count, experts.routed()),
                       estimates_->fetch() * count);
  }
  // A CPU sends its results itself; from the memory of a device they are copied.
  if (place.kind != PlaceKind::cpu)
    return send(topology_.route(place.memory, here_), {done, no_op}, layer, most_tokens);
  const Hop back = topology_.sent_by(id, here_);
  return send({&back, 1}, {done, no_op}, layer, most_tokens);
}

bool RemoteExperts::take_credit() {
  const Picoseconds price = estimates_->fetch();
  if (credit_ < price) return false;
  credit_ = credit_ - price;
  return true;
}

}  // namespace pregate::sim
