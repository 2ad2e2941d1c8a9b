// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What is announced for layers to come, and what that costs.
#include "sim/planner/layer_planner.hpp"

namespace pregate::sim {

void LayerPlanner::announce_pass(const StepRouting& routing, const StepPredictions* predictions) {
  if (!lookahead_.announces_pass()) return;
  lookahead_.announce_pass(routing, predictions, predict(last_));
}

void LayerPlanner::announce(const StepRouting& routing, const StepPredictions* predictions) {
  if (!lookahead_.announces(ordinal_)) return;
  if (waits_to_announce_) {
    find_own_copies(routing.activated(ordinal_));
    if (!copies_.empty()) {
      read_ids_back(ids_known_);
      if (stops_at_gates_) {
        run();
        now_ = executor_.wait(ids_known_);
      }
    }
  }
  // What was foretold before the pass is paid for.
  lookahead_.announce(moment(), routing, predictions,
                      lookahead_.announces_pass() ? ids_known_ : predict(ids_known_));
  if (!begun_.empty()) compute_ahead();
}

/// Each with as many tokens as an expert of the running layer has: how many it will have is not known yet.
void LayerPlanner::compute_ahead() {
  const Lookahead::OnCpu ahead = lookahead_.take_computed_ahead();
  if (ahead.keys.empty()) return;
  const std::uint32_t tokens = (routed_ + activated_ - 1) / activated_;
  SplitSet experts;
  for (const ExpertKey key : ahead.keys) experts.add(key, tokens);
  BegunAhead& begun = begun_[static_cast<std::size_t>(ahead.target)];
  begun.result = remote_.compute_ahead(cpu_, experts, layer_, ahead.target, layer_class_, ids_known_);
  begun.keys = ahead.keys;
}

/// What the predictor costs, before whatever it announces.
OpId LayerPlanner::predict(OpId after) {
  const auto& lookahead = plan_.policy.lookahead;
  if (lookahead.cost.count == 0) return after;
  const bool on_host = lookahead.cost_stream == PredictionStream::host;
  program_
      .open(on_host ? OpKind::host_predict : OpKind::predict, on_host ? topology_[cpu_].compute : computes_,
            layer_)
      .layer_class = layer_class_;
  program_.after(after);
  return program_.close();
}

/// Into `copies_`, what the layer's own ids led to: misses, hits on their way to working buffers, a whole
/// layer that nobody announced.
void LayerPlanner::find_own_copies(std::span<const ExpertKey> activated) {
  copies_.clear();
  const auto add = [this](ExpertKey key) {
    if (slots_.holds(key)) {
      copies_.push_back(slots_.ready(key));
    } else if (is_decreed_hit(key)) {
      slots_.wait_for_staging(key, layer_, ids_known_, copies_);
    }
  };
  for (const ExpertKey key : activated) add(key);
  for (const ExpertKey key : lookahead_.fetched(ordinal_)) add(key);
  std::erase_if(copies_, [this](OpId copy) { return copy < block_first_; });
}

}  // namespace pregate::sim
