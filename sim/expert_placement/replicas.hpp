// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "sim/expert_placement/expert_homes.hpp"

namespace pregate::sim {

struct ReplicaShape {
  int slots = 0;   ///< experts and copies of a layer, at least its experts
  int gpus = 1;    ///< a multiple of `nodes`
  int nodes = 1;   ///< groups of GPUs with faster links among themselves
  int groups = 1;  ///< of neighbouring experts, each of which stays on one node where they divide evenly
};

struct Replica {
  int expert = 0, gpu = 0;
  bool operator==(const Replica&) const = default;
};

/// The assignment of DeepSeek's EPLB (github.com/deepseek-ai/EPLB, "hierarchical" where the groups divide
/// evenly over the nodes, else "global"), a layer with these tokens by expert: groups are packed onto nodes;
/// on each node the expert with the most tokens a copy gets a further one until the slots are used; the
/// replicas are packed onto its GPUs, the heaviest first, each on the least loaded one with a free slot.
/// Where slots do not divide evenly the first GPUs have one more. By GPU, in packing order.
std::vector<Replica> balance_replicas(std::span<const double> tokens, const ReplicaShape& shape);

/// The first replica of each expert as its home, the others as copies, which go behind those of lower layers.
void set_replicas(ExpertHomes& homes, const MoeLayer& layer, const std::vector<Replica>& replicas);

}  // namespace pregate::sim
