// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#include "sim/cost/cost_model.hpp"
#include "sim/engine/request.hpp"
#include "sim/policy/plan.hpp"
#include "sim/policy/routing.hpp"
#include "sim/policy/slot_arena.hpp"

namespace pregate::sim {

/// What the planner counted, decode steps and other steps apart.
struct AccessCounts {
  std::int64_t hits = 0;  ///< activated experts that were resident (cached or pinned)
  std::int64_t misses = 0;
  std::int64_t prefetched = 0;  ///< misses whose copy had been issued before their own gate was known
  std::int64_t wasted = 0;      ///< experts copied for a layer that then did not activate them
};

/// The planner: at each decision point (step begins, a layer begins, its gate is known, step ends) it issues
/// operations to an executor. The same code drives the simulated executors and a real device; `Executor`
/// gives Handle, Dependencies and issue().
///
/// Order of issue within a MoE layer: attention, gate, read-back of the ids; the layer's own missing experts;
/// the experts that the lookahead announces for a later layer; the expert computation. Encoder and prefill
/// passes are on-demand (docs/model.md). When the missing experts outnumber the free slots, the layer runs in
/// waves.
template <class Executor>
class Planner {
 public:
  using Handle = typename Executor::Handle;
  using Dependencies = typename Executor::Dependencies;

  Planner(const ExpertMap& map, const Plan& plan, CostModel& costs, Executor& executor)
      : map_(map),
        plan_(plan),
        costs_(costs),
        executor_(executor),
        cache_(plan.cache_slots > 0 ? plan.make_cache() : nullptr),
        arena_(static_cast<std::size_t>(plan.cache_slots + plan.buffer_slots + plan.prefill_slots)),
        slot_of_(map.keys(), -1),
        fetched_ahead_(map.layers().size()),
        pinned_ahead_(map.layers().size()),
        offloaded_(map.layers().size()),
        demand_priority_(0),
        ahead_priority_(plan.policy.transfer.queue == TransferQueue::demand_first ? 1 : 0) {
    looks_ahead_ = plan.policy.lookahead.kind != LookaheadKind::none;
    for (std::size_t i = 0; i < offloaded_.size(); ++i) {
      const MoeLayer& layer = map.layers()[i];
      const auto first = plan.pinned.begin() + layer.first_key;
      const auto pinned = std::count(first, first + layer.experts, 1);
      offloaded_[i] = pinned < layer.experts ? 1 : 0;
      some_pinned_ = some_pinned_ || pinned > 0;
    }
  }

  void begin_step(const trace::Step& step) {
    decode_ = step.phase == trace::Phase::decode;
    step_tokens_ = step.tokens;
    ordinals_ = map_.ordinals(step.stack);
    counts_now_ = decode_ ? &decode_counts_ : &other_counts_;
    if (costs_.step_overhead().count > 0) {
      last_ = compute(OpKind::step_overhead, costs_.step_overhead(), -1, {});
    }
  }

  void dense_layer(int layer, int layer_class) {
    last_ = compute(OpKind::dense_layer, costs_.layer(layer_class).attention, layer, {});
  }

  /// Attention, gate and, where the host must know the ids, their read-back.
  void begin_moe_layer(int ordinal, int layer_class) {
    layer_ = map_.layers()[index(ordinal)].layer;
    layer_class_ = layer_class;
    const LayerCost& cost = costs_.layer(layer_class);
    readers_of_layer_.clear();
    block_first_ = compute(OpKind::attention, cost.attention, layer_, {});
    const Handle gate = compute(OpKind::gate, cost.gate, layer_, {});
    reads_back_ = offloaded_[index(ordinal)] != 0 || announces(ordinal);
    if (reads_back_) {
      Dependencies after_gate;
      after_gate.add(gate);
      ids_known_ = executor_.issue({.kind = OpKind::gate_readback,
                                    .stream = StreamId::d2h,
                                    .duration = cost.gate_readback,
                                    .layer = layer_},
                                   after_gate);
    }
  }

  /// `predictions` may be null; it is asked only by the lookahead `recorded`.
  void gate_known(int ordinal, const StepRouting& routing, const StepPredictions* predictions) {
    const std::span<const ExpertKey> activated = routing.activated(ordinal);
    const std::span<const std::uint32_t> tokens = routing.tokens(ordinal);
    if (offloaded_[index(ordinal)] == 0) {
      counts_now_->hits += static_cast<std::int64_t>(activated.size());
      if (announces(ordinal)) announce_target(ordinal, routing, predictions);
      compute_wave(tokens, routing.routed(ordinal), true, {});
    } else {
      if (looks_ahead_) end_announcement(ordinal);
      classify(ordinal, activated);
      run_layer(ordinal, routing, predictions);
      release(ordinal);
    }
    if (decode_ || plan_.measures_all_phases) {
      executor_.record_block(block_first_, costs_.layer(layer_class_).attention, last_);
    }
  }

  /// The last operation of the step.
  Handle end_step() {
    announced_until_ = -1;
    if (costs_.head().count > 0) last_ = compute(OpKind::head, costs_.head(), -1, {});
    return last_;
  }

  [[nodiscard]] const AccessCounts& decode_counts() const { return decode_counts_; }
  [[nodiscard]] const AccessCounts& other_counts() const { return other_counts_; }

 private:
  static std::size_t index(int ordinal) { return static_cast<std::size_t>(ordinal); }

  [[gnu::always_inline]] Handle compute(OpKind kind, Picoseconds duration, int layer,
                                        const Dependencies& dependencies, int count = 0) {
    return executor_.issue(
        {.kind = kind, .stream = StreamId::compute, .duration = duration, .layer = layer, .count = count},
        dependencies);
  }

  // --- lookahead
  // -----------------------------------------------------------------------------------------------

  [[nodiscard]] int target_of(int ordinal) const { return ordinal + plan_.policy.lookahead.distance; }
  [[nodiscard]] bool announces(int ordinal) const {
    return decode_ && plan_.policy.lookahead.kind != LookaheadKind::none &&
           target_of(ordinal) < ordinals_.second && offloaded_[index(target_of(ordinal))];
  }
  /// The first layers of a step have nobody before them who could announce them.
  [[nodiscard]] bool is_announced(int ordinal) const {
    return ordinal <= announced_until_ && ordinal >= target_of(ordinals_.first);
  }

  void announce_target(int ordinal, const StepRouting& routing, const StepPredictions* predictions) {
    const int target = target_of(ordinal);
    switch (plan_.policy.lookahead.kind) {
      case LookaheadKind::none:
        return;
      case LookaheadKind::all_next:
        announce_whole_layer(target, ahead_priority_);
        break;
      case LookaheadKind::pre_gate:
        for (const ExpertKey key : routing.activated(target)) announce(target, key, ahead_priority_);
        break;
      case LookaheadKind::recorded:
        for (const ExpertKey key : predictions->predicted(target)) announce(target, key, ahead_priority_);
        break;
    }
    announced_until_ = target;
  }

  /// The announced layer has come: its residents may leave again. A layer that is always fetched whole and
  /// was not announced (the first of a step, every one of a prefill) is fetched now.
  void end_announcement(int ordinal) {
    for (const ExpertKey key : pinned_ahead_[index(ordinal)]) cache_->unpin(key);
    pinned_ahead_[index(ordinal)].clear();
    const bool whole_layer = plan_.policy.lookahead.kind == LookaheadKind::all_next;
    if (whole_layer && !is_announced(ordinal)) announce_whole_layer(ordinal, demand_priority_);
  }

  void announce_whole_layer(int target, std::uint8_t priority) {
    const MoeLayer& layer = map_.layers()[index(target)];
    const ExpertKey end = layer.first_key + static_cast<ExpertKey>(layer.experts);
    for (ExpertKey key = layer.first_key; key < end; ++key) announce(target, key, priority);
  }

  /// Brings `key` in for a later layer, or keeps it there. Without a free slot the gate of that layer will
  /// fetch it.
  void announce(int target, ExpertKey key, std::uint8_t priority) {
    if (plan_.pinned[key] != 0) return;
    if (cache_ && cache_->is_resident(key)) {
      cache_->pin(key);
      pinned_ahead_[index(target)].push_back(key);
    } else if (slot_of_[key] < 0 && arena_.free_count() > 0) {
      fetch(key, map_.layers()[index(target)].layer, priority);
      fetched_ahead_[index(target)].push_back(key);
    }
  }

  // --- the layer's own experts
  // -----------------------------------------------------------------------------------

  /// Classifies the activated set as one batch against the cache as it stands.
  void classify(int ordinal, std::span<const ExpertKey> activated) {
    std::span<const ExpertKey> looked_up = activated;
    if (some_pinned_) {
      unpinned_.clear();
      for (const ExpertKey key : activated) {
        if (plan_.pinned[key] == 0) unpinned_.push_back(key);
      }
      looked_up = unpinned_;
    }
    if (cache_) {
      cache_->access(
          plan_.policy.cache.scope == CacheScope::global ? 0U : static_cast<std::uint32_t>(ordinal),
          looked_up);
      misses_ = cache_->misses();
    } else {
      misses_ = looked_up;
    }
    counts_now_->misses += static_cast<std::int64_t>(misses_.size());
    counts_now_->hits += static_cast<std::int64_t>(activated.size() - misses_.size());
    to_fetch_ = misses_.size();
    if (looks_ahead_) {
      for (const ExpertKey key : misses_) to_fetch_ -= slot_of_[key] >= 0 ? 1U : 0U;
    }
    counts_now_->prefetched += static_cast<std::int64_t>(misses_.size() - to_fetch_);
  }

  void run_layer(int ordinal, const StepRouting& routing, const StepPredictions* predictions) {
    const std::span<const ExpertKey> activated = routing.activated(ordinal);
    const std::span<const std::uint32_t> tokens = routing.tokens(ordinal);
    if (to_fetch_ <= arena_.free_count()) {
      for (const ExpertKey key : misses_) {
        if (slot_of_[key] < 0) fetch(key, layer_, demand_priority_);
      }
      if (announces(ordinal)) announce_target(ordinal, routing, predictions);
      // Staging copies follow every expert, hits as well.
      const auto copied = costs_.device_copy().count == 0 ? misses_ : activated;
      compute_experts(ordinal, activated, copied, tokens, routing.routed(ordinal), true);
      return;
    }
    run_waves(ordinal, activated, tokens);
    if (announces(ordinal)) announce_target(ordinal, routing, predictions);
  }

  /// More misses than free slots: first what is there already, with as many copies as fit; then wave by wave,
  /// each half of the free slots so that the next wave's copies overlap this one's computation.
  void run_waves(int ordinal, std::span<const ExpertKey> activated, std::span<const std::uint32_t> tokens) {
    bool first_wave = true;
    waiting_.clear();
    wave_keys_.clear();
    wave_tokens_.clear();
    for (std::size_t i = 0; i < activated.size(); ++i) {
      if (plan_.pinned[activated[i]] == 0 && slot_of_[activated[i]] < 0) {
        waiting_.push_back(i);
      } else {
        wave_keys_.push_back(activated[i]);
        wave_tokens_.push_back(tokens[i]);
      }
    }
    for (std::size_t next = 0; next < waiting_.size();) {
      const std::size_t left = waiting_.size() - next;
      const std::size_t fitting = arena_.free_count();
      if (fitting == 0 && !first_wave)
        throw std::logic_error("planner: no expert slot was released by a wave");
      const std::size_t take =
          left <= fitting ? left : std::min(fitting, std::max<std::size_t>(1, fitting / 2));
      for (std::size_t i = 0; i < take; ++i, ++next) {
        fetch(activated[waiting_[next]], layer_, demand_priority_);
        wave_keys_.push_back(activated[waiting_[next]]);
        wave_tokens_.push_back(tokens[waiting_[next]]);
      }
      std::uint32_t routed = 0;
      for (const std::uint32_t count : wave_tokens_) routed += count;
      compute_experts(ordinal, wave_keys_, wave_keys_, wave_tokens_, routed, first_wave);
      if (first_wave) release_evicted();
      first_wave = false;
      for (const ExpertKey key : wave_keys_) release_transient(key);
      wave_keys_.clear();
      wave_tokens_.clear();
    }
  }

  /// One experts operation for `keys`, waiting for the copies of `copied`: those of the keys that were not
  /// there before.
  void compute_set(int ordinal, std::span<const ExpertKey> keys, std::span<const ExpertKey> copied,
                   std::span<const std::uint32_t> tokens, std::uint32_t routed, bool with_shared) {
    Dependencies dependencies;
    for (const ExpertKey key : copied) {
      if (slot_of_[key] >= 0) wait_for_copy(key, dependencies);
    }
    if (plan_.policy.lookahead.kind == LookaheadKind::all_next) {
      // A whole-layer transfer is one transfer: the kernel waits for its last copy.
      for (const ExpertKey key : fetched_ahead_[index(ordinal)]) {
        if (slot_of_[key] >= 0) dependencies.add_copy(arena_[slot_of_[key]].ready);
      }
    }
    compute_wave(tokens, routed, with_shared, dependencies);
    ++reader_;
    readers_of_layer_.push_back(last_);
    for (const ExpertKey key : keys) {
      if (slot_of_[key] >= 0) arena_[slot_of_[key]].reader = reader_;
    }
  }

  /// One operation for the whole set, or one an expert, each waiting only for its own copy.
  void compute_experts(int ordinal, std::span<const ExpertKey> keys, std::span<const ExpertKey> copied,
                       std::span<const std::uint32_t> tokens, std::uint32_t routed, bool with_shared) {
    if (plan_.policy.compute.experts == ExpertCompute::grouped || keys.empty()) {
      compute_set(ordinal, keys, copied, tokens, routed, with_shared);
      return;
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto key = keys.subspan(i, 1);
      compute_set(ordinal, key, key, tokens.subspan(i, 1), tokens[i], with_shared && i == 0);
    }
  }

  void compute_wave(std::span<const std::uint32_t> tokens, std::uint32_t routed, bool with_shared,
                    Dependencies dependencies) {
    if (reads_back_) dependencies.add(ids_known_);
    last_ = compute(OpKind::experts, costs_.experts(layer_class_, tokens, routed, step_tokens_, with_shared),
                    layer_, dependencies, static_cast<int>(tokens.size()));
  }

  /// The operation being put together reads `key`: it waits for the host copy, or the staging copy that
  /// follows it. An expert read before is there (its earlier reader waited, on the same stream) and needs
  /// only a staging copy.
  void wait_for_copy(ExpertKey key, Dependencies& dependencies) {
    auto& slot = arena_[slot_of_[key]];
    if (slot.reader == 0) {
      dependencies.add_copy(slot.ready);
      return;
    }
    if (costs_.device_copy().count == 0) return;
    Dependencies after;
    after.add(ids_known_);
    // Read from its working buffer by the operation that comes next, so the slot's own copy time is no longer
    // needed.
    slot.ready = executor_.issue({.kind = OpKind::device_copy,
                                  .stream = StreamId::h2d,
                                  .duration = costs_.device_copy(),
                                  .layer = layer_},
                                 after);
    dependencies.add_copy(slot.ready);
  }

  void fetch(ExpertKey key, int layer, std::uint8_t priority) {
    const std::int32_t slot_index = arena_.take();
    auto& slot = arena_[slot_index];
    Dependencies dependencies;
    dependencies.add(ids_known_);
    // A reader in an earlier layer ended before this layer's gate, hence before the ids were known.
    const std::uint64_t first_reader = reader_ - readers_of_layer_.size() + 1;
    if (slot.reader >= first_reader) {
      dependencies.add(readers_of_layer_[static_cast<std::size_t>(slot.reader - first_reader)]);
    } else if (slot.reader == 0 && slot.was_filled) {
      dependencies.add_copy(slot.ready);  // filled in vain: that copy must end first
    }
    Request request{.kind = OpKind::fetch,
                    .stream = StreamId::h2d,
                    .duration = {},
                    .priority = priority,
                    .layer = layer,
                    .expert = static_cast<std::int32_t>(key - first_key_of(key)),
                    .slot = slot_index};
    for (int chunk = 1; chunk <= costs_.chunks(); ++chunk) {
      const CopyCost& cost = chunk == costs_.chunks() ? costs_.last_chunk() : costs_.fetch();
      request.copy = &cost;
      request.duration = cost.duration;
      slot.ready = executor_.issue(request, dependencies);
    }
    if (costs_.device_copy().count > 0) {
      Dependencies after_copy;
      after_copy.add_copy(slot.ready);
      slot.ready = executor_.issue({.kind = OpKind::device_copy,
                                    .stream = StreamId::h2d,
                                    .duration = costs_.device_copy(),
                                    .priority = priority,
                                    .layer = layer,
                                    .expert = request.expert,
                                    .slot = slot_index},
                                   after_copy);
    }
    slot.was_filled = true;
    slot.reader = 0;
    slot_of_[key] = slot_index;
  }

  [[nodiscard]] ExpertKey first_key_of(ExpertKey key) const {
    if constexpr (!Executor::records) return 0;  // names are not recorded: no search in the hot loop
    const auto& layers = map_.layers();
    const auto after =
        std::upper_bound(layers.begin(), layers.end(), key,
                         [](ExpertKey k, const MoeLayer& layer) { return k < layer.first_key; });
    return (after - 1)->first_key;
  }

  // --- slots
  // -------------------------------------------------------------------------------------------------------

  void release(int ordinal) {
    release_evicted();
    if (!cache_ || cache_->bypassed() > 0) {
      for (const ExpertKey key : misses_) release_transient(key);
    }
    if (!looks_ahead_) return;
    for (const ExpertKey key : fetched_ahead_[index(ordinal)]) {
      if (slot_of_[key] < 0) continue;
      if (arena_[slot_of_[key]].reader == 0) ++counts_now_->wasted;
      release_transient(key);
    }
    fetched_ahead_[index(ordinal)].clear();
  }
  void release_evicted() {
    if (!cache_) return;
    for (const ExpertKey key : cache_->evicted()) {
      if (slot_of_[key] < 0) continue;
      arena_.give_back(slot_of_[key]);
      slot_of_[key] = -1;
    }
  }
  /// Gives the slot of an expert back that the cache did not retain.
  void release_transient(ExpertKey key) {
    if (slot_of_[key] < 0 || (cache_ && cache_->is_resident(key))) return;
    arena_.give_back(slot_of_[key]);
    slot_of_[key] = -1;
  }

  const ExpertMap& map_;
  const Plan& plan_;
  CostModel& costs_;
  Executor& executor_;
  std::unique_ptr<cache::ExpertCache> cache_;
  SlotArena<Handle> arena_;
  std::vector<std::int32_t> slot_of_;                  // by key; -1 = not in GPU memory (or pinned)
  std::vector<std::vector<ExpertKey>> fetched_ahead_;  // by ordinal
  std::vector<std::vector<ExpertKey>> pinned_ahead_;   // by ordinal
  std::vector<std::uint8_t> offloaded_;                // by ordinal: some expert is not pinned
  bool some_pinned_ = false;
  bool looks_ahead_ = false;
  std::uint8_t demand_priority_, ahead_priority_;

  // of the step
  bool decode_ = true;
  int step_tokens_ = 0;
  std::pair<int, int> ordinals_;
  int announced_until_ = -1;
  AccessCounts* counts_now_ = nullptr;
  // of the layer
  int layer_ = 0, layer_class_ = 0;
  bool reads_back_ = false;
  Handle block_first_ = Executor::nothing, ids_known_ = Executor::nothing, last_ = Executor::nothing;
  std::span<const ExpertKey> misses_;
  std::size_t to_fetch_ = 0;
  std::uint64_t reader_ = 0;              // experts operations so far
  std::vector<Handle> readers_of_layer_;  // those of this layer
  std::vector<ExpertKey> unpinned_, wave_keys_;
  std::vector<std::uint32_t> wave_tokens_;
  std::vector<std::size_t> waiting_;

  AccessCounts decode_counts_, other_counts_;
};

}  // namespace pregate::sim
