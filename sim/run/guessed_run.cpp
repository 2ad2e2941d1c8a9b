// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/guessed_run.hpp"

#include <algorithm>
#include <stdexcept>

#include "sim/run/copy_train.hpp"

namespace pregate::sim {

GuessedRun::GuessedRun(const Topology& topology, const ExpertMap& map, const Plan& plan, CostModel& costs)
    : map_(map),
      costs_(costs),
      cache_(plan.cache_slots > 0 ? plan.make_cache() : nullptr),
      distance_(plan.policy.lookahead.distance),
      one_domain_(plan.policy.cache.scope == CacheScope::global),
      overtakes_(!plan.policy.transfer.queue->in_order()),
      measures_all_phases_(plan.measures_all_phases),
      copy_time_(costs.fetch_train()),
      clock_(topology, copies_of_expert(costs), true),
      arena_(static_cast<std::size_t>(plan.cache_slots + plan.buffer_slots + plan.prefill_slots)),
      slot_of_(map.keys(), -1),
      is_activated_(map.keys()),
      announced_(map.layers().size()),
      alike_(static_cast<std::size_t>(costs.layer_classes())) {
  const auto& predictor = plan.policy.lookahead.predictor;
  predictor_ = predictor->make(predictor.parameters(), map);
  if (predictor->is_oracle) oracle_ = &dynamic_cast<Oracle&>(*predictor_);
}

Picoseconds GuessedRun::run(const Pass& pass) {
  decode_ = pass.info.step.phase == trace::Phase::decode;
  counts_ = decode_ ? &decode_counts_ : &other_counts_;
  tokens_ = pass.info.shape.tokens;
  end_ordinal_ = map_.ordinals(pass.info.step.stack).second;
  costs_.begin_step(pass.info.shape);
  clock_.begin_pass(decode_ || measures_all_phases_);
  predictor_->begin_pass(pass.info.step.phase, pass.info.step.first_of_request);
  if (costs_.has_step_overhead()) clock_.compute(costs_.step_overhead());
  int ordinal = pass.first_ordinal;
  for (const PassLayer& layer : pass.layers) {
    if (layer.moe) {
      moe_layer(ordinal++, layer.layer_class, pass);
    } else {
      clock_.compute(costs_.layer(layer.layer_class).attention);
    }
  }
  for (Alike& alike : alike_) alike.is_known = false;  // another pass has other prices
  if (pass.info.step.phase != trace::Phase::encoder) clock_.compute(costs_.head());
  return clock_.end_pass();
}

void GuessedRun::moe_layer(int ordinal, int layer_class, const Pass& pass) {
  const StepRouting& routing = pass.routing;
  Announced& announced = announced_[place_of(ordinal)];
  const std::span<const ExpertKey> activated = routing.activated(ordinal);
  for (std::size_t i = 0; i < announced.kept_count; ++i) cache_->let_go(announced.kept[i]);
  announced.kept_count = 0;
  predictor_->observe(ordinal, activated, routing.tokens(ordinal));
  classify(ordinal, activated);
  take_slots();
  const std::uint32_t fetched = announce(ordinal, pass);
  const std::uint32_t kind = kind_of(ordinal, layer_class, routing);
  if (overtakes_) {
    clock_.run(OvertakingLayer{kind, demanded_, fetched, awaited_, held_by_});
  } else {
    CountedLayer layer{.kind = kind, .misses = demanded_, .announced = fetched, .ready = {}};
    if (awaited_ != no_copy) {
      const std::int64_t behind = announced.last - awaited_;
      layer.ready = announced.copies;
      layer.ready.finish -= copy_time_ * behind;
      layer.ready.experts -= behind;
    }
    const CountedCopies& copies = clock_.run(layer);
    if (fetched > 0) announced_[place_of(ordinal + distance_)].copies = copies;
  }
  // The copies that its experts waited for are there now.
  for (const ExpertKey key : activated) arena_[slot_of_[key]].reader = 1;
  release(announced);
}

std::uint32_t GuessedRun::kind_of(int ordinal, int layer_class, const StepRouting& routing) {
  const std::uint32_t activated = routing.activated_count(ordinal), routed = routing.routed(ordinal);
  const bool one_each = tokens_ == 1 && routed == activated;
  Alike& alike = alike_[place_of(layer_class)];
  if (one_each && alike.is_known && alike.activated == activated) return alike.kind;
  const LayerCost& cost = costs_.layer(layer_class);
  const std::uint32_t kind = clock_.describe(
      {cost.attention + cost.gate,
       costs_.experts(layer_class, routing.tokens(ordinal), routed, tokens_, true), cost.gate_readback});
  if (one_each) alike = {activated, kind, true};
  return kind;
}

void GuessedRun::classify(int ordinal, std::span<const ExpertKey> activated) {
  misses_ = activated;
  if (cache_) {
    cache_->access(one_domain_ ? 0U : static_cast<std::uint32_t>(ordinal), activated);
    misses_ = cache_->misses();
  }
  counts_->misses += static_cast<std::int64_t>(misses_.size());
  counts_->hits += static_cast<std::int64_t>(activated.size() - misses_.size());
}

inline void GuessedRun::fetch(ExpertKey key, std::int64_t copy) {
  const std::int32_t index = arena_.take();
  SlotArena::Slot& slot = arena_[index];
  // What was announced in vain may still be on its way into the slot; announced copies keep their order.
  if (copy == no_copy && slot.was_filled && slot.reader == 0) held_by_ = std::max(held_by_, slot.ready);
  slot.ready = copy;
  slot.reader = 0;
  slot.was_filled = true;
  slot_of_[key] = index;
}

/// Of the misses that were not announced.
void GuessedRun::take_slots() {
  demanded_ = 0;
  awaited_ = held_by_ = no_copy;
  for (const ExpertKey key : misses_) {
    if (slot_of_[key] >= 0) {
      const SlotArena::Slot& slot = arena_[slot_of_[key]];
      if (slot.reader == 0) awaited_ = std::max(awaited_, slot.ready);
      continue;
    }
    if (arena_.free_count() == 0) throw std::logic_error("guessed run: a miss finds no slot");
    fetch(key, no_copy);
    ++demanded_;
  }
  counts_->prefetched += static_cast<std::int64_t>(misses_.size()) - demanded_;
}

/// Keeps those that are there until their layer comes; the others. Which they are is close to a coin toss: no
/// branch.
std::span<const ExpertKey> GuessedRun::keep_residents(std::span<const ExpertKey> guesses,
                                                      Announced& announced) {
  if (missing_.size() < guesses.size()) missing_.resize(guesses.size());
  if (announced.kept.size() < guesses.size()) announced.kept.resize(guesses.size());
  ExpertKey* const kept = announced.kept.data();
  ExpertKey* const missing = missing_.data();
  const cache::ExpertCache& cache = *cache_;
  std::size_t kept_count = 0;
  std::size_t missing_count = 0;
  for (const ExpertKey key : guesses) {
    const std::size_t is_kept = cache.is_resident(key);
    kept[kept_count] = key;
    missing[missing_count] = key;
    kept_count += is_kept;
    missing_count += 1 - is_kept;
  }
  for (std::size_t i = 0; i < kept_count; ++i) cache_->hold(kept[i]);
  announced.kept_count = kept_count;
  return {missing, missing_count};
}

/// Its layer comes in this pass, with these.
void GuessedRun::judge(std::span<const ExpertKey> activated, std::span<const ExpertKey> guesses) {
  for (const ExpertKey key : activated) is_activated_[key] = 1;
  std::int64_t right = 0;
  for (const ExpertKey key : guesses) right += is_activated_[key];
  for (const ExpertKey key : activated) is_activated_[key] = 0;
  counts_->foreseeable += static_cast<std::int64_t>(activated.size());
  counts_->guesses += static_cast<std::int64_t>(guesses.size());
  counts_->right_guesses += right;
}

std::uint32_t GuessedRun::announce(int ordinal, const Pass& pass) {
  const int target = ordinal + distance_;
  if (!decode_ || target >= end_ordinal_) return 0;
  Announced& announced = announced_[place_of(target)];
  if (oracle_ != nullptr) oracle_->show(pass.routing, pass.predictions);
  std::span<const ExpertKey> missing = predictor_->predict(ordinal, target);
  judge(pass.routing.activated(target), missing);
  if (cache_) missing = keep_residents(missing, announced);
  const std::int64_t before = copies_;
  for (const ExpertKey key : missing) {
    if (slot_of_[key] >= 0 || arena_.free_count() == 0) continue;
    fetch(key, copies_++);
    announced.fetched.push_back(key);
  }
  announced.last = copies_ - 1;
  return static_cast<std::uint32_t>(copies_ - before);
}

/// The layer is done: what the cache evicted leaves, and what it did not retain.
void GuessedRun::release(Announced& announced) {
  if (cache_) {
    for (const ExpertKey key : cache_->evicted()) {
      if (slot_of_[key] >= 0) give_back(key);
    }
  }
  if (!cache_ || cache_->bypassed() > 0) {
    for (const ExpertKey key : misses_) {
      if (!is_resident(key) && slot_of_[key] >= 0) give_back(key);
    }
  }
  for (const ExpertKey key : announced.fetched) {
    if (slot_of_[key] < 0) continue;
    counts_->wasted += static_cast<std::int64_t>(arena_[slot_of_[key]].reader == 0);
    if (!is_resident(key)) give_back(key);
  }
  announced.fetched.clear();
}

}  // namespace pregate::sim
