// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "sim/planner/expert_slots.hpp"
#include "sim/planner/given_recall.hpp"
#include "sim/planner/plan.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// Who is announced before their own gate has run, and what becomes of them: a resident is kept in the cache
/// until its layer comes (and goes on to its working buffer at once, where there are staging copies), another
/// is fetched into a free slot.
class Lookahead {
 public:
  /// `offloaded` by ordinal: the layer has experts that are not pinned. `cache` may be null. All outlive
  /// this.
  Lookahead(const ExpertMap& map, const Plan& plan, const std::vector<std::uint8_t>& offloaded,
            cache::ExpertCache* cache, ExpertSlots& slots);

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
                       OpId ids_known);

  /// The layer has come: the residents kept for it may leave again. A layer that is always fetched whole and
  /// was not announced (the first of a step, every one of a prefill) is fetched now.
  void arrive(int ordinal, OpId ids_known);

  /// The layer is done: forgets what was fetched and staged for it.
  void leave(int ordinal);

 private:
  static std::size_t index(int ordinal) { return static_cast<std::size_t>(ordinal); }

  /// The first layers of a step have nobody before them who could announce them.
  [[nodiscard]] bool is_announced(int ordinal) const {
    return ordinal <= announced_until_ && ordinal >= ordinals_.first + distance_;
  }
  void announce_whole_layer(int target, std::uint8_t priority, OpId ids_known);
  void announce(int target, std::span<const ExpertKey> keys, OpId ids_known);
  void announce(int target, ExpertKey key, std::uint8_t priority, OpId ids_known);

  const ExpertMap& map_;
  const Plan& plan_;
  const std::vector<std::uint8_t>& offloaded_;
  cache::ExpertCache* cache_;
  ExpertSlots& slots_;
  LookaheadKind kind_;
  int distance_;
  GivenRecall given_recall_;
  std::uint8_t priority_;
  std::vector<std::vector<ExpertKey>> fetched_, kept_, staged_;  // by ordinal
  bool decode_ = true;
  std::pair<int, int> ordinals_;
  int announced_until_ = -1;
};

}  // namespace pregate::sim
