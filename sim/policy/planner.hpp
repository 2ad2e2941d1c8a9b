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
#include "sim/policy/access_counts.hpp"
#include "sim/policy/cpu_experts.hpp"
#include "sim/policy/expert_slots.hpp"
#include "sim/policy/lookahead.hpp"
#include "sim/policy/plan.hpp"
#include "sim/policy/routing.hpp"
#include "sim/policy/split_set.hpp"
#include "sim/policy/waves.hpp"

namespace pregate::sim {

/// The planner: at each decision point (step begins, a layer begins, its gate is known, step ends) it issues
/// operations to an executor. The same code drives the simulated executors and a real device.
///
/// Order of issue within a MoE layer: attention, gate, read-back of the ids; the layer's own missing experts
/// and, where there are any, staging copies of those that are there;
/// the experts that the lookahead announces for a later layer; the expert computation. Encoder and prefill
/// passes are on-demand (docs/model.md). Where the CPU computes misses: activations to the host, the experts
/// there, their result back; beside it what is on the GPU; then both are combined. When the missing experts
/// outnumber the free slots, the layer runs in waves.
///
/// Its parts: Lookahead (who is known early), ExpertSlots (slots, copies, their hazards), Waves, CpuExperts.
/// What becomes of an expert that misses is decided in serve_misses(); what leaves the GPU, in release().
///
/// `Executor` gives
///   Handle          of an issued operation; copyable. `nothing` is one that every operation may follow
///   Dependencies    add(handle), add_copy(handle): what an operation waits for, copies apart from the rest
///   issue(request, dependencies) -> Handle
///   record_block(first, its duration, last)   a MoE layer ran from the start of `first` to the end of `last`
///   records         constant; true: each Request names its experts. A fetch or device_copy has `key`, the
///                   experts operation has `uses`, the slot of every expert that it computes (-1: pinned), as
///                   has a device_copy of an expert that is in its slot already
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
        offloaded_(map.layers().size()),
        cache_(plan.cache_slots > 0 ? plan.make_cache() : nullptr),
        slots_(map, static_cast<std::size_t>(plan.cache_slots + plan.buffer_slots + plan.prefill_slots),
               plan.policy.transfer.write_back, costs, executor),
        lookahead_(map, plan, offloaded_, cache_.get(), slots_),
        cpu_(costs, executor),
        hits_are_decreed_(plan.hits_are_decreed) {
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
    counts_now_ = decode_ ? &decode_counts_ : &other_counts_;
    lookahead_.begin_step(decode_, map_.ordinals(step.stack));
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
    slots_.begin_layer(layer_);
    block_first_ = compute(OpKind::attention, cost.attention, layer_, {});
    const Handle gate = compute(OpKind::gate, cost.gate, layer_, {});
    reads_back_ = offloaded_[index(ordinal)] != 0 || lookahead_.announces(ordinal);
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
    if (offloaded_[index(ordinal)] == 0) {
      counts_now_->hits += static_cast<std::int64_t>(activated.size());
      announce(ordinal, routing, predictions);
      compute_wave(activated, routing.tokens(ordinal), routing.routed(ordinal), true, {});
    } else {
      if (lookahead_.is_active()) lookahead_.arrive(ordinal, ids_known_);
      if (plan_.computes_on_cpu()) {
        split(ordinal, activated, routing.tokens(ordinal));
        serve_on_cpu(ordinal, routing, predictions);
      } else {
        classify(ordinal, activated);
        serve_misses(ordinal, routing, predictions);
      }
      release(ordinal);
    }
    if (decode_ || plan_.measures_all_phases) {
      executor_.record_block(block_first_, costs_.layer(layer_class_).attention.whole(), last_);
    }
  }

  /// The last operation of the step.
  Handle end_step() {
    if (costs_.head().count > 0) last_ = compute(OpKind::head, costs_.head(), -1, {});
    counts_now_->written_back += slots_.written_back() - written_back_before_;
    written_back_before_ = slots_.written_back();
    return last_;
  }

  [[nodiscard]] const AccessCounts& decode_counts() const { return decode_counts_; }
  [[nodiscard]] const AccessCounts& other_counts() const { return other_counts_; }

 private:
  static constexpr std::uint8_t demand_priority = 0, background_priority = 1;
  static std::size_t index(int ordinal) { return static_cast<std::size_t>(ordinal); }

  [[gnu::always_inline]] Handle compute(OpKind kind, const GpuTime& time, int layer,
                                        const Dependencies& dependencies) {
    return executor_.issue(
        {.kind = kind, .stream = StreamId::compute, .duration = time.whole(), .gpu = &time, .layer = layer},
        dependencies);
  }

  void announce(int ordinal, const StepRouting& routing, const StepPredictions* predictions) {
    if (lookahead_.announces(ordinal)) {
      lookahead_.announce_target(ordinal, routing, predictions, ids_known_);
    }
  }

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
      cache_->access(cache_domain(ordinal), looked_up);
      misses_ = cache_->misses();
    } else {
      misses_ = looked_up;
    }
    counts_now_->misses += static_cast<std::int64_t>(misses_.size());
    counts_now_->hits += static_cast<std::int64_t>(activated.size() - misses_.size());
    to_fetch_ = misses_.size();
    if (lookahead_.is_active()) {
      for (const ExpertKey key : misses_) to_fetch_ -= slots_.holds(key) ? 1U : 0U;
    }
    counts_now_->prefetched += static_cast<std::int64_t>(misses_.size() - to_fetch_);
  }

  /// Parts the activated set into what is on the GPU and what the CPU computes, and picks of the latter those
  /// that the cache takes in. The others leave no trace in the cache.
  void split(int ordinal, std::span<const ExpertKey> activated, std::span<const std::uint32_t> tokens) {
    on_gpu_.clear();
    on_cpu_.clear();
    unpinned_.clear();
    std::size_t prefetched = 0;
    for (std::size_t i = 0; i < activated.size(); ++i) {
      const ExpertKey key = activated[i];
      const bool pinned = plan_.pinned[key] != 0;
      if (!pinned && !slots_.holds(key)) {
        on_cpu_.add(key, tokens[i]);
        continue;
      }
      on_gpu_.add(key, tokens[i]);
      if (pinned) continue;
      unpinned_.push_back(key);
      if (!cache_ || !cache_->is_resident(key)) ++prefetched;
    }
    misses_ = {};
    if (cache_) {
      std::size_t free = slots_.free_count();
      for (const ExpertKey key : on_cpu_.keys()) {
        if (free == 0 || !cpu_.take_credit()) break;
        unpinned_.push_back(key);
        --free;
      }
      cache_->access(cache_domain(ordinal), unpinned_);
      misses_ = cache_->misses();
    }
    const std::size_t missed = on_cpu_.keys().size() + prefetched;
    counts_now_->misses += static_cast<std::int64_t>(missed);
    counts_now_->hits += static_cast<std::int64_t>(activated.size() - missed);
    counts_now_->prefetched += static_cast<std::int64_t>(prefetched);
    counts_now_->computed_on_cpu += static_cast<std::int64_t>(on_cpu_.keys().size());
  }

  void serve_on_cpu(int ordinal, const StepRouting& routing, const StepPredictions* predictions) {
    const bool some = !on_cpu_.keys().empty();
    const Handle result = some ? cpu_.compute(on_cpu_, layer_, layer_class_, ids_known_) : Executor::nothing;
    if (cache_) {
      for (const ExpertKey key : on_cpu_.keys()) {
        if (cache_->is_resident(key)) slots_.fetch(key, layer_, background_priority, ids_known_);
      }
    }
    announce(ordinal, routing, predictions);
    compute_experts(ordinal, on_gpu_.keys(), on_gpu_.keys(), on_gpu_.tokens(), on_gpu_.routed(), true);
    if (!some) return;
    Dependencies after;
    after.add(result);
    last_ = compute(OpKind::combine, {}, layer_, after);
  }

  /// Said to be on the GPU, in no slot that anything could wait for.
  [[nodiscard]] bool is_decreed_hit(ExpertKey key) const {
    return hits_are_decreed_ && plan_.pinned[key] == 0 && cache_->is_resident(key);
  }

  [[nodiscard]] std::uint32_t cache_domain(int ordinal) const {
    return plan_.policy.cache.scope == CacheScope::global ? 0U : static_cast<std::uint32_t>(ordinal);
  }

  /// Fetches what is missing and computes the layer.
  void serve_misses(int ordinal, const StepRouting& routing, const StepPredictions* predictions) {
    const std::span<const ExpertKey> activated = routing.activated(ordinal);
    const std::span<const std::uint32_t> tokens = routing.tokens(ordinal);
    if (to_fetch_ > slots_.free_count()) {
      run_waves(ordinal, activated, tokens);
      announce(ordinal, routing, predictions);
      return;
    }
    for (const ExpertKey key : misses_) {
      if (!slots_.holds(key)) slots_.fetch(key, layer_, demand_priority, ids_known_);
    }
    write_back_evicted();
    const bool stages = costs_.device_copy().count > 0;
    if (stages) stage_hits(activated);
    announce(ordinal, routing, predictions);
    // Staging copies follow every expert, hits as well.
    compute_experts(ordinal, activated, stages ? activated : misses_, tokens, routing.routed(ordinal), true);
    if (!stages || !hits_are_decreed_) return;
    for (const ExpertKey key : activated) slots_.forget_staging(key);
  }

  /// Before what is announced for a later layer, which would delay them.
  void stage_hits(std::span<const ExpertKey> activated) {
    for (const ExpertKey key : activated) {
      if (slots_.holds(key) || is_decreed_hit(key)) slots_.stage_ahead(key, layer_, ids_known_);
    }
  }

  void run_waves(int ordinal, std::span<const ExpertKey> activated, std::span<const std::uint32_t> tokens) {
    waves_.begin(activated, tokens, [&](ExpertKey key) {
      return plan_.pinned[key] == 0 && !slots_.holds(key) && !is_decreed_hit(key);
    });
    for (bool first_wave = true; !waves_.all_taken(); first_wave = false) {
      if (slots_.free_count() == 0 && !first_wave)
        throw std::logic_error("planner: no expert slot was released by a wave");
      for (const ExpertKey key : waves_.take(slots_.free_count())) {
        slots_.fetch(key, layer_, demand_priority, ids_known_);
      }
      compute_experts(ordinal, waves_.keys(), waves_.keys(), waves_.tokens(), waves_.routed(), first_wave);
      if (first_wave) release_evicted();
      for (const ExpertKey key : waves_.keys()) release_transient(key);
      waves_.clear();
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

  /// One experts operation for `keys`, waiting for the copies of `copied`: those of the keys that were not
  /// there before.
  void compute_set(int ordinal, std::span<const ExpertKey> keys, std::span<const ExpertKey> copied,
                   std::span<const std::uint32_t> tokens, std::uint32_t routed, bool with_shared) {
    Dependencies dependencies;
    for (const ExpertKey key : copied) {
      if (slots_.holds(key)) {
        slots_.wait_for_copy(key, layer_, ids_known_, dependencies);
      } else if (is_decreed_hit(key)) {
        slots_.wait_for_staging(key, layer_, ids_known_, dependencies);
      }
    }
    if (lookahead_.fetches_whole_layers()) {
      for (const ExpertKey key : lookahead_.fetched(ordinal)) {
        if (slots_.holds(key)) dependencies.add_copy(slots_.ready(key));
      }
    }
    compute_wave(keys, tokens, routed, with_shared, dependencies);
    slots_.add_reader(last_, keys);
  }

  void compute_wave(std::span<const ExpertKey> keys, std::span<const std::uint32_t> tokens,
                    std::uint32_t routed, bool with_shared, Dependencies dependencies) {
    if (reads_back_) dependencies.add(ids_known_);
    const GpuTime time = costs_.experts(layer_class_, tokens, routed, step_tokens_, with_shared);
    Request request{
        .kind = OpKind::experts,
        .stream = StreamId::compute,
        .duration = time.whole(),
        .gpu = &time,
        .layer = layer_,
        .count = static_cast<std::int32_t>(tokens.size()),
    };
    if constexpr (Executor::records) request.uses = slots_.uses(keys);
    last_ = executor_.issue(request, dependencies);
  }

  /// The layer is done: what the cache evicted leaves, and what it did not retain.
  void release(int ordinal) {
    release_evicted();
    if (!cache_ || cache_->bypassed() > 0) {
      for (const ExpertKey key : misses_) release_transient(key);
    }
    if (!lookahead_.is_active()) return;
    for (const ExpertKey key : lookahead_.fetched(ordinal)) {
      if (!slots_.holds(key)) continue;
      if (!slots_.was_read(key)) ++counts_now_->wasted;
      release_transient(key);
    }
    lookahead_.leave(ordinal);
  }
  void release_evicted() {
    if (!cache_) return;
    for (const ExpertKey key : cache_->evicted()) slots_.release(key);
  }
  /// A swap: each miss brings one expert in and sends one out, before anything is fetched ahead.
  void write_back_evicted() {
    if (!cache_ || plan_.policy.transfer.write_back == WriteBack::none) return;
    for (const ExpertKey key : cache_->evicted()) slots_.write_back(key);
  }
  void release_transient(ExpertKey key) {
    if (!cache_ || !cache_->is_resident(key)) slots_.release(key);
  }

  const ExpertMap& map_;
  const Plan& plan_;
  CostModel& costs_;
  Executor& executor_;
  std::vector<std::uint8_t> offloaded_;  // by ordinal: some expert is not pinned
  std::unique_ptr<cache::ExpertCache> cache_;
  ExpertSlots<Executor> slots_;
  Lookahead<Executor> lookahead_;
  CpuExperts<Executor> cpu_;
  bool hits_are_decreed_;
  Waves waves_;
  std::int64_t written_back_before_ = 0;
  bool some_pinned_ = false;

  // of the step
  bool decode_ = true;
  int step_tokens_ = 0;
  AccessCounts* counts_now_ = nullptr;
  // of the layer
  int layer_ = 0, layer_class_ = 0;
  bool reads_back_ = false;
  Handle block_first_ = Executor::nothing, ids_known_ = Executor::nothing, last_ = Executor::nothing;
  std::span<const ExpertKey> misses_;
  std::size_t to_fetch_ = 0;
  std::vector<ExpertKey> unpinned_;
  SplitSet on_gpu_, on_cpu_;

  AccessCounts decode_counts_, other_counts_;
};

}  // namespace pregate::sim
