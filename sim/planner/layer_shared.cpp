// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Layers that several GPUs compute: of experts that all stay, and what the GPUs send each other.
#include "sim/planner/layer_planner.hpp"

namespace pregate::sim {

void LayerPlanner::count_resident(int ordinal, const StepRouting& routing) {
  counts_now_->hits += static_cast<std::int64_t>(routing.activated(ordinal).size());
}

void LayerPlanner::compute_resident(int ordinal, int layer_class, const StepRouting& routing, OpId ready) {
  const std::span<const ExpertKey> activated = routing.activated(ordinal);
  ordinal_ = ordinal;
  layer_ = map_.layers()[static_cast<std::size_t>(ordinal)].layer;
  layer_class_ = layer_class;
  reads_back_ = false;
  copies_.assign(1, ready);
  issue_experts(activated, routing.tokens(ordinal), routing.routed(ordinal), true);
}

void LayerPlanner::meet(std::span<const OpId> ready, const Meeting& meeting) {
  Work& work = program_.open(OpKind::exchange, computes_, layer_);
  work.meeting = meeting;
  for (const OpId id : ready) program_.after(id);
  last_ = program_.close();
}

OpId LayerPlanner::send_to(PlaceId gpu) {
  OpId sent = last_;
  for (const Hop& hop : topology_.route(topology_[gpu_].memory, topology_[gpu].memory)) {
    program_.open(OpKind::activations, hop, layer_);
    program_.after(sent);
    sent = program_.close();
  }
  return sent;
}

}  // namespace pregate::sim
