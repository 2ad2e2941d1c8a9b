// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/lookahead.hpp"

namespace pregate::sim {

Lookahead::Lookahead(const ExpertMap& map, const Plan& plan, const std::vector<std::uint8_t>& offloaded,
                     cache::ExpertCache* cache, ExpertSlots& slots)
    : map_(map),
      plan_(plan),
      offloaded_(offloaded),
      cache_(cache),
      slots_(slots),
      kind_(plan.policy.lookahead.kind),
      distance_(plan.policy.lookahead.distance),
      given_recall_(plan.policy.lookahead.recall, plan.policy.lookahead.seed),
      priority_(plan.policy.transfer.queue == TransferQueue::demand_first ? 1 : 0),
      fetched_(map.layers().size()),
      kept_(map.layers().size()),
      staged_(map.layers().size()) {}

void Lookahead::announce_target(int ordinal, const StepRouting& routing, const StepPredictions* predictions,
                                OpId ids_known) {
  const int target = ordinal + distance_;
  switch (kind_) {
    case LookaheadKind::none:
      return;
    case LookaheadKind::all_next:
      announce_whole_layer(target, priority_, ids_known);
      break;
    case LookaheadKind::pre_gate:
      announce(target, routing.activated(target), ids_known);
      break;
    case LookaheadKind::recorded:
      announce(target, predictions->predicted(target), ids_known);
      break;
    case LookaheadKind::given_recall:
      announce(target, given_recall_.guess(map_.layers()[index(target)], routing.activated(target)),
               ids_known);
      break;
  }
  announced_until_ = target;
}

void Lookahead::arrive(int ordinal, OpId ids_known) {
  for (const ExpertKey key : kept_[index(ordinal)]) cache_->unpin(key);
  kept_[index(ordinal)].clear();
  constexpr std::uint8_t demand_priority = 0;
  if (fetches_whole_layers() && !is_announced(ordinal))
    announce_whole_layer(ordinal, demand_priority, ids_known);
}

void Lookahead::leave(int ordinal) {
  fetched_[index(ordinal)].clear();
  for (const ExpertKey key : staged_[index(ordinal)]) slots_.forget_staging(key);
  staged_[index(ordinal)].clear();
}

void Lookahead::announce_whole_layer(int target, std::uint8_t priority, OpId ids_known) {
  const MoeLayer& layer = map_.layers()[index(target)];
  const ExpertKey end = layer.first_key + static_cast<ExpertKey>(layer.experts);
  for (ExpertKey key = layer.first_key; key < end; ++key) announce(target, key, priority, ids_known);
}

void Lookahead::announce(int target, std::span<const ExpertKey> keys, OpId ids_known) {
  for (const ExpertKey key : keys) announce(target, key, priority_, ids_known);
}

/// Brings `key` in for a later layer, or keeps it there. Without a free slot the gate of that layer will
/// fetch it.
void Lookahead::announce(int target, ExpertKey key, std::uint8_t priority, OpId ids_known) {
  if (plan_.pinned[key] != 0) return;
  const int layer = map_.layers()[index(target)].layer;
  if (cache_ != nullptr && cache_->is_resident(key)) {
    cache_->pin(key);
    kept_[index(target)].push_back(key);
    if (slots_.stage_ahead(key, layer, ids_known)) staged_[index(target)].push_back(key);
  } else if (!slots_.holds(key) && slots_.free_count() > 0) {
    slots_.fetch(key, layer, priority, ids_known);
    fetched_[index(target)].push_back(key);
  }
}

}  // namespace pregate::sim
