// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/group_notes.hpp"

#include <algorithm>
#include <cstdio>

namespace pregate::sim {

void say_where_times_come_from(const ParallelSpec& spec, const CostModel& costs, SimulationResult& result) {
  if (spec.gpus_a_stage() > 1) result.notes.push_back(costs.collectives().note());
}

void say_who_counts(const ParallelSpec& spec, SimulationResult& result) {
  const auto& placement = result.policy.placement.kind;
  const bool are_apart = spec.pipeline > 1 || (spec.spreads_experts() && spec.gpus_a_stage() > 1);
  if (!are_apart || placement->keeps_all || !placement->places(placement.parameters())) return;
  result.notes.push_back("placement.kind = '" + placement->name +
                         "' places experts on each GPU as if its layers and experts were the model: "
                         "placement.count is a GPU's");
}

void say_what_spreading_took(const ParallelSpec& spec, const SpreadTotals& totals, SimulationResult& result) {
  char text[200];
  if (spec.capacity_factor > 0) {
    const auto routed = static_cast<double>(std::max<std::int64_t>(1, totals.routed));
    result.dropped_routes = totals.dropped;
    std::snprintf(
        text, sizeof text,
        "not exact: static gating: %.3g rows are sent and computed for one that is routed; %.3g %% of "
        "what is routed finds no room and is dropped",
        static_cast<double>(totals.rows) / routed, 100 * static_cast<double>(totals.dropped) / routed);
    result.notes.emplace_back(text);
  }
  if (spec.rebalance_every == 0) return;
  result.rebalanced = Rebalanced{totals.rebalancings, totals.copies, totals.copied};
  std::snprintf(text, sizeof text,
                "EPLB placed the experts anew %lld times, which copied %lld of them, %.3g GB",
                static_cast<long long>(totals.rebalancings), static_cast<long long>(totals.copies),
                static_cast<double>(totals.copied.count) * 1e-9);
  result.notes.emplace_back(text);
}

void say_why_one_pass(int batches, const std::string& reason, SimulationResult& result) {
  result.notes.push_back("one pass at a time goes through the stages, not the software's " +
                         std::to_string(batches) + ": " + reason);
}

void say_how_passes_follow(const ParallelSpec& spec, const trace::TraceInfo& info, bool may_overlap,
                           SimulationResult& result) {
  if (spec.pipeline > 1 && spec.batches == 1 && !spec.usual_batches && may_overlap && info.requests > 1) {
    result.notes.push_back(
        "one pass at a time goes through the stages; vLLM and others have as many under way: "
        "--batcher continuous --set parallel.batches=" +
        std::to_string(spec.pipeline));
  }
}

}  // namespace pregate::sim
