// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// ExFlow, 2401.08383: as few tokens as possible whose next expert is on another GPU.
#include <cstdio>
#include <numeric>

#include "models/error.hpp"
#include "sim/expert_placement/kinds_list.hpp"

namespace pregate::sim {

namespace {

/// Ordinals [first, second) whose layers follow each other in one stack.
std::vector<std::pair<std::size_t, std::size_t>> chains_of(const RoutingStatistics& statistics) {
  std::vector<std::pair<std::size_t, std::size_t>> chains;
  std::size_t first = 0;
  for (std::size_t ordinal = 0; ordinal < statistics.layers.size(); ++ordinal) {
    if (statistics.layers[ordinal].next.rows > 0) continue;
    chains.emplace_back(first, ordinal + 1);
    first = ordinal + 1;
  }
  return chains;
}

AffinityHomes solve_chain(const LayerChain& chain, const PlacementRequest& request) {
  const AffinityMethod method = request.affinity.value_or(
      states_work(chain) <= most_states_work ? AffinityMethod::states : AffinityMethod::local_search);
  switch (method) {
    case AffinityMethod::states:
      if (states_work(chain) > 20 * most_states_work) {
        throw InputError("affinity", "too many ways to deal out so many experts to try them all",
                         "choose local search, which takes any size");
      }
      return affinity_by_states(chain);
    case AffinityMethod::integer_program:
      if (!request.solve)
        throw InputError("affinity", "there is no solver of integer programs here", "choose another method");
      return affinity_by_program(chain, request.solve);
    case AffinityMethod::local_search:
      break;
  }
  return affinity_by_search(chain, request.seed);
}

const char* name_of(AffinityMethod method) {
  switch (method) {
    case AffinityMethod::states:
      return "exact, by all ways to deal out a layer";
    case AffinityMethod::integer_program:
      return "integer program";
    case AffinityMethod::local_search:
      break;
  }
  return "local search";
}

/// `all`: pairs that were learned from.
std::string describe(AffinityMethod method, double crossings, double bound, double all) {
  const std::string name = name_of(method);
  if (crossings <= bound) return name + (method == AffinityMethod::states ? "" : ", optimal");
  char text[128];
  std::snprintf(text, sizeof text,
                ": %.1f %% of the pairs learned from cross; no placement has fewer than %.1f %%",
                100 * crossings / all, 100 * bound / all);
  return name + text;
}

PlacedExperts place_by_affinity(const ExpertMap& map, const RoutingStatistics& statistics,
                                const PlacementRequest& request) {
  PlacedExperts placed = unplaced(map, request);
  double crossings = 0, bound = 0, all = 0;
  AffinityMethod method = AffinityMethod::states;
  for (const auto& [first, last] : chains_of(statistics)) {
    LayerChain chain{.gpus = request.gpus};
    for (std::size_t ordinal = first; ordinal < last; ++ordinal) {
      chain.experts.push_back(static_cast<std::size_t>(map.layers()[ordinal].experts));
      if (ordinal + 1 < last) chain.next.push_back(&statistics.layers[ordinal].next);
    }
    const AffinityHomes found = solve_chain(chain, request);
    for (std::size_t ordinal = first; ordinal < last; ++ordinal)
      set_layer(placed.homes, map.layers()[ordinal], found.homes[ordinal - first]);
    crossings += found.crossings;
    bound += found.bound;
    for (const CountTable* next : chain.next)
      all += std::accumulate(next->cells.begin(), next->cells.end(), 0.0);
    if (found.method != AffinityMethod::states) method = found.method;
  }
  placed.how = describe(method, crossings, bound, all);
  return placed;
}

}  // namespace

PlacementKind by_affinity() {
  return {.name = "affinity",
          .help = "ExFlow: fewest tokens whose next expert is on another GPU",
          .place = place_by_affinity};
}

}  // namespace pregate::sim
