// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/engine/counted_clock.hpp"
#include "sim/planner/plan.hpp"
#include "sim/run/pass_lookups.hpp"
#include "sim/run/pass_runner.hpp"
#include "sim/run/stack_lookups.hpp"
#include "sim/run/whole_layer_lookups.hpp"

namespace pregate::sim {

/// What a plan that decides by counts (sim/planner/by_counts.hpp) decides in a pass: how many experts of each
/// MoE layer are there, how many are copied for it and, in it, for a later one. Nothing of it depends on
/// time.
class CountedDecisions {
 public:
  /// All outlive this. `shared`: looks every pass up before this does, for caches of several capacities;
  /// null: the plan's cache is its own.
  CountedDecisions(const ExpertMap& map, const Plan& plan, StackLookups* shared = nullptr)
      : map_(map),
        announces_(plan.policy.lookahead.predictor->predicts()),
        whole_layers_(plan.policy.lookahead.predictor->is_whole_layer),
        offloads_(plan.offloads()),
        distance_(plan.policy.lookahead.distance),
        hits_(map.layers().size()),
        needed_(map.layers().size()),
        shared_(shared),
        capacity_(plan.geometry.capacity) {
    if (plan.cache_slots == 0 || shared != nullptr) return;
    if (announces_ && whole_layers_) {
      whole_.emplace(map, plan);
    } else {
      cache_.emplace(map, plan);
    }
  }

  [[nodiscard]] bool announces() const { return announces_; }
  [[nodiscard]] bool offloads() const { return offloads_; }
  /// MoE layers from the one that announces to the one that it announces for.
  [[nodiscard]] int distance() const { return distance_; }

  /// Of the whole pass, before anything else is asked of it.
  void look_up(const Pass& pass, AccessCounts& counts);
  /// Activated experts that are not there.
  [[nodiscard]] std::uint32_t misses(int ordinal, const StepRouting& routing) const {
    return routing.activated_count(ordinal) - hits_[static_cast<std::size_t>(ordinal)];
  }

  /// Nobody hits, as there is no cache, or everybody does.
  [[nodiscard]] bool hits_alike() const { return !offloads_ || (!cache_ && !whole_ && shared_ == nullptr); }
  /// Activated experts that are there, of the layers from `ordinal` on.
  [[nodiscard]] const std::uint32_t* hits_from(int ordinal) const { return hits_.data() + ordinal; }

  struct Copies {
    std::uint32_t own = 0;        ///< because this layer's gate chose them
    std::uint32_t announced = 0;  ///< for the layer distance() later
  };
  /// Of a plan that announces, of the pass that was looked up. Decode steps announce; a layer that is fetched
  /// whole and that nobody announced is fetched whole now.
  [[nodiscard]] Copies copies(int ordinal) const {
    const AnnouncingLayers layers = announcing();
    const auto place = static_cast<std::size_t>(ordinal - first_);
    return {layers.misses(place), layers.announced(place)};
  }
  /// The same of all layers; their kinds are left to the caller. Valid until the next pass is looked up.
  [[nodiscard]] AnnouncingLayers announcing() const {
    return {.needed = needed_.data() + first_,
            .own = own_,
            .announcing = announcing_,
            .distance = static_cast<std::size_t>(distance_)};
  }

 private:
  /// That are copied for a layer.
  [[nodiscard]] std::uint32_t experts_of(int ordinal, const StepRouting& routing) const {
    if (!whole_layers_) return misses(ordinal, routing);
    if (shared_ != nullptr)
      return experts(ordinal) -
             static_cast<std::uint32_t>(std::min<std::int64_t>(shared_->depth(ordinal), capacity(ordinal)));
    return whole_ ? whole_->lacked(ordinal) : experts(ordinal);
  }
  [[nodiscard]] std::int64_t capacity(int ordinal) const {
    return capacity_.size() == 1 ? capacity_.front() : capacity_[static_cast<std::size_t>(ordinal)];
  }
  void find_shared_hits(int first, int last);
  void decide_copies(const Pass& pass, AccessCounts& counts);
  [[nodiscard]] std::uint32_t experts(int ordinal) const {
    return static_cast<std::uint32_t>(map_.layers()[static_cast<std::size_t>(ordinal)].experts);
  }

  const ExpertMap& map_;
  std::optional<PassLookups> cache_;
  std::optional<WholeLayerLookups> whole_;  // instead, where whole layers are announced
  bool announces_, whole_layers_, offloads_;
  int distance_;
  std::vector<std::uint32_t> hits_;       // by ordinal, of the pass; 0 without a cache
  std::vector<std::uint32_t> needed_;     // likewise: that are copied for the layer
  int first_ = 0;                         // ordinal of the pass's stack
  std::size_t own_ = 0, announcing_ = 0;  // as AnnouncingLayers
  const StackLookups* shared_;
  std::span<const std::int64_t> capacity_;  // by domain
};

}  // namespace pregate::sim
