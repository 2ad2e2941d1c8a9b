// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/expert_placement/integer_program.hpp"
#include "sim/expert_placement/routing_statistics.hpp"

namespace pregate::sim {

/// MoE layers that follow each other, and how often a token goes from an expert of one to one of the next.
struct LayerChain {
  int gpus = 1;
  std::vector<std::size_t> experts = {};     ///< by layer
  std::vector<const CountTable*> next = {};  ///< by layer but the last: see LayerRouting::next
};

/// By layer, by expert: its GPU.
using ChainHomes = std::vector<std::vector<std::uint8_t>>;

/// Experts of a layer of `experts` that GPU `gpu` holds: equal counts; where they do not divide evenly the
/// first GPUs have one more, as in vLLM.
int quota(std::size_t experts, int gpus, int gpu);

/// Sum over layers and pairs of experts of the tokens that go from one to the other, where they are on
/// different GPUs.
double crossings(const LayerChain& chain, const ChainHomes& homes);

/// No homes of equal counts have fewer crossings: every expert leaves behind what it sends to (or has from)
/// any but its best partners, of which its GPU holds as many as the quota.
double crossings_bound(const LayerChain& chain);

/// How homes of the fewest crossings are looked for (ExFlow, 2401.08383).
enum class AffinityMethod {
  states,           ///< all ways to deal out a layer, layer by layer: exact, for few experts a layer
  integer_program,  ///< exact as far as the solver comes
  local_search,     ///< swaps of two experts of a layer, first at a falling temperature, then downhill only
};

struct AffinityHomes {
  ChainHomes homes = {};
  double crossings = 0;
  double bound = 0;  ///< as crossings_bound(), or a better one that the method gives
  AffinityMethod method = AffinityMethod::local_search;
  [[nodiscard]] bool is_optimal() const { return crossings <= bound; }
};

/// Elementary steps that AffinityMethod::states would take.
double states_work(const LayerChain& chain);
/// More than this many are left to local search: about a second.
inline constexpr double most_states_work = 5e8;

AffinityHomes affinity_by_states(const LayerChain& chain);
/// InputError when the solver finds nothing within its limits.
AffinityHomes affinity_by_program(const LayerChain& chain, const IntegerProgramSolver& solve);
AffinityHomes affinity_by_search(const LayerChain& chain, std::uint64_t seed);

}  // namespace pregate::sim
