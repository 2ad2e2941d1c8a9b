// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/cpu_experts.hpp"

#include <algorithm>

namespace pregate::sim {

CpuExperts::CpuExperts(const Topology& topology, PlaceId gpu, const Estimates* estimates,
                       LayerProgram& program)
    : cpu_(topology[topology.first(PlaceKind::cpu)]), estimates_(estimates), program_(program) {
  const MemoryId there = topology[gpu].memory;
  out_ = topology.route(there, cpu_.memory).front();
  back_ = topology.sent_by(topology.first(PlaceKind::cpu), there);
}

OpId CpuExperts::compute(const SplitSet& experts, int layer, int layer_class, OpId ids_known) {
  program_.open(OpKind::activations, out_, layer);
  program_.after(ids_known);
  const OpId sent = program_.close();
  Work& work = program_.open(OpKind::cpu_experts, cpu_.compute, layer);
  work.crosses = cpu_.reads_over;
  work.layer_class = layer_class;
  work.routed = experts.routed();
  program_.compute(experts.tokens());
  program_.after_copy(sent);
  const OpId done = program_.close();
  const auto count = static_cast<std::int64_t>(experts.keys().size());
  // Nobody gains by more than a copy of each miss of a layer.
  credit_ = std::min(credit_ + estimates_->on_cpu(layer_class, count, experts.routed()),
                     estimates_->fetch() * count);
  program_.open(OpKind::activations, back_, layer);
  program_.after(done);
  return program_.close();
}

bool CpuExperts::take_credit() {
  const Picoseconds price = estimates_->fetch();
  if (credit_ < price) return false;
  credit_ = credit_ - price;
  return true;
}

}  // namespace pregate::sim
