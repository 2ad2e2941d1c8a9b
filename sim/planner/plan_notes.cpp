// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/plan_notes.hpp"

#include <algorithm>
#include <string>

namespace pregate::sim {

void note_recorded(Plan& plan, const TraceScan& scan) {
  const PredictorEntry& predictor = *plan.policy.lookahead.predictor;
  if (!predictor.reads_recorded || predictor.name != scan.predicted_by) return;
  plan.notes.push_back("lookahead: the trace holds what " + predictor.name +
                       " predicted, which is used; a given recall and its other settings have no effect");
}

void note_nothing_to_match(Plan& plan, const TraceScan& scan) {
  const bool announces = plan.policy.lookahead.predictor->matches_requests;
  const bool evicts =
      plan.cache_slots > 0 &&
      cache::eviction_registry().find(plan.policy.cache.eviction, "--eviction").matches_requests;
  if (scan.requests != 1 || (!announces && !evicts)) return;
  plan.notes.push_back(
      std::string("the running request is matched with earlier ones, and this trace has one request: ") +
      (announces ? "nobody is announced" : "") + (announces && evicts ? ", and " : "") +
      (evicts ? "who leaves is decided by layer alone" : ""));
}

void note_thrashing(Plan& plan, const ExpertMap& map, const TraceScan& scan) {
  const PolicySpec& policy = plan.policy;
  if (plan.cache_slots == 0) return;
  const bool global = policy.cache.scope == CacheScope::global;
  std::int64_t smallest = scan.most_activated;  // of layers that need a cache
  for (std::size_t layer = 0; !global && layer < plan.geometry.capacity.size(); ++layer) {
    const ExpertKey first = plan.geometry.first_key[layer], end = plan.geometry.first_key[layer + 1];
    const bool stays =
        std::all_of(plan.geometry.excluded.begin() + first, plan.geometry.excluded.begin() + end,
                    [](std::uint8_t excluded) { return excluded != 0; });
    if (!stays) smallest = std::min(smallest, plan.geometry.capacity[layer]);
  }
  if (smallest < scan.most_activated) {
    plan.notes.push_back(
        "the cache holds " + std::to_string(smallest) + " experts a layer, but a step activates up to " +
        std::to_string(scan.most_activated) + ": the rest bypass it through the working buffers");
  }
  if (global && scan.steps > 0) {
    std::int64_t cycle = 0;  // a token's own cycle: its top-k in every layer of the deepest stack
    for (std::size_t stack = 0; stack < 2; ++stack) {
      std::int64_t sum = 0;
      for (const MoeLayer& layer : map.layers()) {
        if (layer.stack == static_cast<int>(stack)) sum += layer.top_k;
      }
      cycle = std::max(cycle, sum);
    }
    if (plan.cache_slots < cycle && (policy.cache.eviction == "lru" || policy.cache.eviction == "fifo")) {
      plan.notes.push_back("a global " + policy.cache.eviction + " cache of " +
                           std::to_string(plan.cache_slots) +
                           " experts is smaller than one token's cycle of " + std::to_string(cycle) +
                           " and hits next to nothing: use --cache-scope layer or a larger cache");
    }
  }
}

}  // namespace pregate::sim
