// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/replicas.hpp"

#include <algorithm>

#include "sim/expert_placement/packing.hpp"

namespace pregate::sim {

namespace {

/// `slots` replicas of `experts`: one each, then again and again of the one with the most tokens a copy; of
/// equal ones, that which stands first.
std::vector<int> replicas_of(const std::vector<int>& experts, std::span<const double> tokens, int slots,
                             std::vector<double>& weights) {
  std::vector<int> copies(experts.size(), 1);
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < experts.size(); ++i) places.push_back(i);
  const auto each = [&](std::size_t i) { return tokens[static_cast<std::size_t>(experts[i])] / copies[i]; };
  while (places.size() < static_cast<std::size_t>(slots)) {
    std::size_t most = 0;
    for (std::size_t i = 1; i < experts.size(); ++i)
      if (each(i) > each(most)) most = i;
    ++copies[most];
    places.push_back(most);
  }
  std::vector<int> replicas;
  for (const std::size_t place : places) {
    replicas.push_back(experts[place]);
    weights.push_back(each(place));
  }
  return replicas;
}

/// By box, its items in the order of packing: the heaviest first.
std::vector<std::vector<int>> packed(const std::vector<int>& items, std::span<const double> weights,
                                     int boxes) {
  const std::vector<std::uint8_t> box_of = pack_by_weight(weights, equal_room(items.size(), boxes));
  std::vector<std::vector<int>> in(static_cast<std::size_t>(boxes));
  for (const std::size_t item : by_falling(weights)) in[box_of[item]].push_back(items[item]);
  return in;
}

}  // namespace

std::vector<Replica> balance_replicas(std::span<const double> tokens, const ReplicaShape& shape) {
  const auto experts = static_cast<int>(tokens.size());
  const bool by_node = shape.groups % shape.nodes == 0 && experts % shape.groups == 0;
  const int nodes = by_node ? shape.nodes : 1, groups = by_node ? shape.groups : 1;
  const int group_size = experts / groups;
  std::vector<int> numbers;
  std::vector<double> sums;
  for (int group = 0; group < groups; ++group) {
    numbers.push_back(group);
    const auto size = static_cast<std::size_t>(group_size);
    sums.push_back(0);
    for (const double each : tokens.subspan(static_cast<std::size_t>(group) * size, size))
      sums.back() += each;
  }
  // As many groups as nodes are dealt out as they come.
  std::vector<std::vector<int>> on_node;
  if (groups == nodes)
    for (const int group : numbers) on_node.push_back({group});
  else
    on_node = packed(numbers, sums, nodes);

  std::vector<Replica> replicas;
  int first_gpu = 0;
  for (int node = 0; node < nodes; ++node) {
    std::vector<int> own;
    for (const int group : on_node[static_cast<std::size_t>(node)])
      for (int i = 0; i < group_size; ++i) own.push_back(group * group_size + i);
    std::vector<double> weights;
    const std::vector<int> slots = replicas_of(
        own, tokens, equal_room(static_cast<std::size_t>(shape.slots), nodes)[static_cast<std::size_t>(node)],
        weights);
    const int gpus = shape.gpus / nodes;
    std::vector<std::vector<int>> on_gpu;
    if (static_cast<int>(slots.size()) == gpus)
      for (const int expert : slots) on_gpu.push_back({expert});
    else
      on_gpu = packed(slots, weights, gpus);
    for (int gpu = 0; gpu < gpus; ++gpu)
      for (const int expert : on_gpu[static_cast<std::size_t>(gpu)])
        replicas.push_back({expert, first_gpu + gpu});
    first_gpu += gpus;
  }
  return replicas;
}

void set_replicas(ExpertHomes& homes, const MoeLayer& layer, const std::vector<Replica>& replicas) {
  std::vector<std::uint8_t> has_home(static_cast<std::size_t>(layer.experts));
  std::vector<ExpertCopy> copies;
  for (const Replica& replica : replicas) {
    const ExpertKey key = layer.first_key + static_cast<ExpertKey>(replica.expert);
    const auto gpu = static_cast<std::uint8_t>(replica.gpu);
    std::uint8_t& is_placed = has_home[static_cast<std::size_t>(replica.expert)];
    if (is_placed == 0)
      homes.of_key[key] = gpu;
    else
      copies.push_back({key, gpu});
    is_placed = 1;
  }
  std::stable_sort(copies.begin(), copies.end(),
                   [](const ExpertCopy& a, const ExpertCopy& b) { return a.key < b.key; });
  homes.copies.insert(homes.copies.end(), copies.begin(), copies.end());
}

}  // namespace pregate::sim
