// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/cache/stack_distances.hpp"
#include "sim/planner/plan.hpp"
#include "sim/run/pass_runner.hpp"

namespace pregate::sim {

/// Whether the caches of both hit as one StackDistances says: an eviction that has it, slots for whoever is
/// activated, empty at the start. Precondition: the plans decide by counts and differ in capacities alone.
bool share_lookups(const Plan& a, const Plan& b);

/// Looks passes up in the caches of plans that differ in their capacities, all at once.
class StackLookups {
 public:
  /// `plan`: one of them. The map outlives this.
  StackLookups(const ExpertMap& map, const Plan& plan);

  /// Of the whole pass.
  void look_up(const Pass& pass);

  /// Of the pass that was looked up: the distance of each activated expert, and experts in a layer's cache
  /// before it was looked up, had it room for all.
  [[nodiscard]] std::span<const std::uint32_t> distances(int ordinal) const {
    const auto [begin, end] = ranges_[static_cast<std::size_t>(ordinal)];
    return std::span(distances_).subspan(begin, end - begin);
  }
  [[nodiscard]] std::uint32_t depth(int ordinal) const { return depths_[static_cast<std::size_t>(ordinal)]; }

 private:
  const ExpertMap& map_;
  std::unique_ptr<cache::StackDistances> stacks_;
  bool of_each_layer_, whole_layers_;
  int distance_;
  std::vector<std::uint32_t> distances_;                     // of the pass
  std::vector<std::pair<std::size_t, std::size_t>> ranges_;  // by ordinal, in distances_
  std::vector<std::uint32_t> depths_;                        // by ordinal
};

}  // namespace pregate::sim
