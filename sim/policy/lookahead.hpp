// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "sim/policy/expert_slots.hpp"
#include "sim/policy/plan.hpp"
#include "sim/policy/predictor.hpp"
#include "sim/policy/routing.hpp"

namespace pregate::sim {

/// Who is announced before their own gate has run, and what becomes of them: a resident is kept in the cache
/// until its layer comes (and goes on to its working buffer at once, where there are staging copies), another
/// is fetched into a free slot. A new way to know experts early is a case of
/// announce_target().
template <class Executor>
class Lookahead {
 public:
  using Handle = typename Executor::Handle;

  /// `offloaded` by ordinal: the layer has experts that are not pinned. `cache` may be null. All outlive
  /// this.
  Lookahead(const ExpertMap& map, const Plan& plan, const std::vector<std::uint8_t>& offloaded,
            cache::ExpertCache* cache, ExpertSlots<Executor>& slots)
      : map_(map),
        plan_(plan),
        offloaded_(offloaded),
        cache_(cache),
        slots_(slots),
        kind_(plan.policy.lookahead.kind),
        distance_(plan.policy.lookahead.distance),
        predictor_(plan.policy.lookahead.recall, plan.policy.lookahead.seed),
        priority_(plan.policy.transfer.queue == TransferQueue::demand_first ? 1 : 0),
        fetched_(map.layers().size()),
        kept_(map.layers().size()),
        staged_(map.layers().size()) {}

  [[nodiscard]] bool is_active() const { return kind_ != LookaheadKind::none; }
  /// A whole-layer transfer is one transfer: the kernel waits for its last copy.
  [[nodiscard]] bool fetches_whole_layers() const { return kind_ == LookaheadKind::all_next; }
  /// Copied early for this layer, in the order of issue.
  [[nodiscard]] std::span<const ExpertKey> fetched(int ordinal) const { return fetched_[index(ordinal)]; }

  /// Only decode steps look ahead. `ordinals` of the step's stack.
  void begin_step(bool decode, std::pair<int, int> ordinals) {
    decode_ = decode;
    ordinals_ = ordinals;
    announced_until_ = -1;  // nothing crosses from one step to the next
  }

  /// Whether the gate of this layer announces experts of a later one.
  [[nodiscard]] bool announces(int ordinal) const {
    return is_active() && decode_ && ordinal + distance_ < ordinals_.second &&
           offloaded_[index(ordinal + distance_)] != 0;
  }

  /// Precondition: announces(ordinal). `predictions` is asked only by the lookahead `recorded`.
  void announce_target(int ordinal, const StepRouting& routing, const StepPredictions* predictions,
                       const Handle& ids_known) {
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
      case LookaheadKind::predictor:
        announce(target, predictor_.predict(map_.layers()[index(target)], routing.activated(target)),
                 ids_known);
        break;
    }
    announced_until_ = target;
  }

  /// The layer has come: the residents kept for it may leave again. A layer that is always fetched whole and
  /// was not announced (the first of a step, every one of a prefill) is fetched now.
  void arrive(int ordinal, const Handle& ids_known) {
    for (const ExpertKey key : kept_[index(ordinal)]) cache_->unpin(key);
    kept_[index(ordinal)].clear();
    constexpr std::uint8_t demand_priority = 0;
    if (fetches_whole_layers() && !is_announced(ordinal))
      announce_whole_layer(ordinal, demand_priority, ids_known);
  }

  /// The layer is done: forgets what was fetched and staged for it.
  void leave(int ordinal) {
    fetched_[index(ordinal)].clear();
    for (const ExpertKey key : staged_[index(ordinal)]) slots_.forget_staging(key);
    staged_[index(ordinal)].clear();
  }

 private:
  static std::size_t index(int ordinal) { return static_cast<std::size_t>(ordinal); }

  /// The first layers of a step have nobody before them who could announce them.
  [[nodiscard]] bool is_announced(int ordinal) const {
    return ordinal <= announced_until_ && ordinal >= ordinals_.first + distance_;
  }

  void announce_whole_layer(int target, std::uint8_t priority, const Handle& ids_known) {
    const MoeLayer& layer = map_.layers()[index(target)];
    const ExpertKey end = layer.first_key + static_cast<ExpertKey>(layer.experts);
    for (ExpertKey key = layer.first_key; key < end; ++key) announce(target, key, priority, ids_known);
  }
  void announce(int target, std::span<const ExpertKey> keys, const Handle& ids_known) {
    for (const ExpertKey key : keys) announce(target, key, priority_, ids_known);
  }

  /// Brings `key` in for a later layer, or keeps it there. Without a free slot the gate of that layer will
  /// fetch it.
  void announce(int target, ExpertKey key, std::uint8_t priority, const Handle& ids_known) {
    if (plan_.pinned[key] != 0) return;
    if (cache_ != nullptr && cache_->is_resident(key)) {
      cache_->pin(key);
      kept_[index(target)].push_back(key);
      if (slots_.stage_ahead(key, map_.layers()[index(target)].layer, ids_known))
        staged_[index(target)].push_back(key);
    } else if (!slots_.holds(key) && slots_.free_count() > 0) {
      slots_.fetch(key, map_.layers()[index(target)].layer, priority, ids_known);
      fetched_[index(target)].push_back(key);
    }
  }

  const ExpertMap& map_;
  const Plan& plan_;
  const std::vector<std::uint8_t>& offloaded_;
  cache::ExpertCache* cache_;
  ExpertSlots<Executor>& slots_;
  LookaheadKind kind_;
  int distance_;
  Predictor predictor_;
  std::uint8_t priority_;
  std::vector<std::vector<ExpertKey>> fetched_, kept_, staged_;  // by ordinal
  bool decode_ = true;
  std::pair<int, int> ordinals_;
  int announced_until_ = -1;
};

}  // namespace pregate::sim
