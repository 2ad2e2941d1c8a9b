// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/expert_placement/affinity.hpp"
#include "sim/expert_placement/expert_homes.hpp"
#include "sim/expert_placement/integer_program.hpp"
#include "sim/expert_placement/routing_statistics.hpp"

namespace pregate::sim {

/// What a placement is asked for.
struct PlacementRequest {
  int gpus = 1;       ///< 1 .. max_expert_gpus, at most the experts of every layer
  int redundant = 0;  ///< `replicated`: copies beyond the experts of a layer
  /// `affinity`: which way; none: exact where few states allow, else local search.
  std::optional<AffinityMethod> affinity = {};
  /// For what needs one; empty: there is none, and such a kind refuses.
  IntegerProgramSolver solve = {};
  /// `two-stage`: rate of the link from GPU `row` to GPU `column` in any unit; no rows: all alike.
  CountTable links = {};
  std::uint64_t seed = 1;  ///< of local search
};

struct PlacedExperts {
  ExpertHomes homes;
  std::string how;  ///< how it was found and how good it must be, where that is worth a word
};

/// One way to assign experts. Every kind gives each GPU as many experts (and copies) of a layer as any other,
/// or one more where they do not divide evenly.
struct PlacementKind {
  std::string name;
  std::string help;  ///< a line
  std::function<PlacedExperts(const ExpertMap&, const RoutingStatistics&, const PlacementRequest&)> place;
  bool needs_solver = false;
};

/// All kinds, in the order of lists.
const std::vector<PlacementKind>& placement_kinds();
/// InputError at `where` when there is none of that name.
const PlacementKind& placement_kind(const std::string& name, const std::string& where);
/// Places; InputError for what the request asks in vain.
PlacedExperts place_experts(const PlacementKind& kind, const ExpertMap& map,
                            const RoutingStatistics& statistics, const PlacementRequest& request);

}  // namespace pregate::sim
