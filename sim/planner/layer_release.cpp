// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What leaves the GPU: when a layer is done, and between passes.
#include "sim/planner/layer_planner.hpp"

namespace pregate::sim {

/// The layer is done: what the cache evicted leaves, and what it did not retain.
void LayerPlanner::release(int ordinal) {
  release_evicted();
  if (low_) low_->release();
  for (const ExpertKey key : assembled_) {
    leave_slot(key);
    is_cached_[key] = 0;
  }
  assembled_.clear();
  if (!cache_ || cache_->bypassed() > 0) {
    for (const ExpertKey key : misses_) release_transient(key);
  }
  if (!lookahead_.is_active()) return;
  if (lookahead_.names_later_steps()) keep_for_later(ordinal);
  for (const ExpertKey key : lookahead_.fetched(ordinal)) {
    if (!slots_.holds(key)) continue;
    if (!slots_.was_read(key)) ++counts_now_->wasted;
    release_transient(key);
  }
  lookahead_.leave(ordinal);
}

void LayerPlanner::release_evicted() {
  if (!cache_) return;
  for (const ExpertKey key : cache_->evicted()) leave_slot(key);
}

/// What was fetched for this layer in a later step enters the cache, as a batch of its own that nobody
/// counts.
void LayerPlanner::keep_for_later(int ordinal) {
  cacheable_.clear();
  for (const ExpertKey key : lookahead_.fetched(ordinal)) {
    if (slots_.holds(key) && !slots_.was_read(key) && !cache_->is_resident(key) &&
        lookahead_.is_for_later(key))
      cacheable_.push_back(key);
  }
  if (cacheable_.empty()) return;
  cache_->access(cache_domain(ordinal), cacheable_);
  release_evicted();
}

/// Between passes: copies that nothing waits for but who uses the expert next.
void LayerPlanner::exchange_experts() {
  if (!cache_) return;
  const std::uint8_t kept = priority(CopyReason::kept);
  for (const cache::Swap& swap : cache_->end_pass()) {
    slots_.release(swap.out);
    if (!slots_.holds(swap.in)) slots_.fetch(swap.in, layer_, kept, last_);
  }
}

/// A swap: each miss brings one expert in and sends one out, before anything is fetched ahead.
void LayerPlanner::write_back_evicted() {
  if (!cache_ || plan_.policy.transfer.write_back == WriteBack::none) return;
  for (const ExpertKey key : cache_->evicted()) slots_.write_back(key);
}

}  // namespace pregate::sim
