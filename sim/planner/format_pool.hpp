// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "sim/planner/expert_slots.hpp"
#include "sim/planner/plan.hpp"
#include "sim/planner/split_set.hpp"

namespace pregate::sim {

/// The GPU's experts of a second format: slots of their own, a cache of their own, and what a layer asks of
/// them. An expert may be held in both formats.
class FormatPool {
 public:
  /// `slots` as those of the first format, for this one.
  FormatPool(const FormatPlan& plan, ExpertSlots slots)
      : cache_(plan.cache_slots > 0 ? plan.make_cache() : nullptr), slots_(std::move(slots)) {}

  void begin_layer(int layer) {
    slots_.begin_layer(layer);
    used_.clear();
    looked_up_.clear();
    demanded_.clear();
  }
  [[nodiscard]] bool holds(ExpertKey key) const { return slots_.holds(key); }
  /// The layer computes `key`, which is there if it is held, else will be.
  void use(ExpertKey key, std::uint32_t tokens) {
    used_.add(key, tokens);
    looked_up_.push_back(key);
    if (!holds(key)) demanded_.push_back(key);
  }
  [[nodiscard]] const SplitSet& used() const { return used_; }
  [[nodiscard]] std::span<const ExpertKey> demanded() const { return demanded_; }

  /// Looks up what was used, as one batch.
  void look_up(std::uint32_t domain) {
    if (cache_) cache_->access(domain, looked_up_);
  }
  void fetch(int layer, std::uint8_t priority, OpId ids_known) {
    for (const ExpertKey key : demanded_) slots_.fetch(key, layer, priority, ids_known);
  }
  /// What `operation`, not yet issued, waits for, into `copies`.
  void wait_for_copies(int layer, OpId ids_known, std::vector<OpId>& copies) {
    for (const ExpertKey key : used_.keys()) slots_.wait_for_copy(key, layer, ids_known, copies);
  }
  void add_reader(OpId operation) { slots_.add_reader(operation, used_.keys()); }
  [[nodiscard]] std::int32_t slot_of(ExpertKey key) const { return slots_.slot_of(key); }
  /// The layer is done.
  void release() {
    if (cache_) {
      for (const ExpertKey key : cache_->evicted()) slots_.release(key);
    }
    for (const ExpertKey key : demanded_) {
      if (!cache_ || !cache_->is_resident(key)) slots_.release(key);
    }
  }
  /// Null where nothing is kept.
  [[nodiscard]] cache::ExpertCache* cache() { return cache_.get(); }

 private:
  std::unique_ptr<cache::ExpertCache> cache_;
  ExpertSlots slots_;
  SplitSet used_;
  std::vector<ExpertKey> looked_up_, demanded_;
};

}  // namespace pregate::sim
