// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What becomes of the experts that a layer activates and the GPU lacks.
#include <algorithm>
#include <stdexcept>

#include "sim/planner/layer_planner.hpp"

namespace pregate::sim {

/// Classifies the activated set as one batch against the cache as it stands.
void LayerPlanner::classify(int ordinal, std::span<const ExpertKey> activated) {
  std::span<const ExpertKey> looked_up = activated;
  if (some_resident_) {
    cacheable_.clear();
    for (const ExpertKey key : activated) {
      if (plan_.resident[key] == 0) cacheable_.push_back(key);
    }
    looked_up = cacheable_;
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
  if (splits_) note_parts(looked_up);
}

/// Every activated expert needs a working buffer, where the cache holds a part of it (MoEpic): a hit is
/// copied the rest, a miss the whole.
void LayerPlanner::note_parts(std::span<const ExpertKey> activated) {
  assembled_.assign(activated.begin(), activated.end());
  to_fetch_ = 0;
  for (const ExpertKey key : activated) {
    is_cached_[key] = 1;
    to_fetch_ += slots_.holds(key) ? 0U : 1U;
  }
  for (const ExpertKey key : misses_) is_cached_[key] = 0;
}

void LayerPlanner::fetch_now(ExpertKey key, std::uint8_t demanded) {
  const bool rest = splits_ && is_cached_[key] != 0;
  slots_.fetch(key, layer_, demanded, known(key), rest ? rest_of_expert : model_format);
}

/// Parts the activated set into what is on the GPU or will be, and what is not; how many of the former are
/// not in the cache.
std::size_t LayerPlanner::part_activated(int ordinal, const StepRouting& routing) {
  const std::span<const ExpertKey> activated = routing.activated(ordinal);
  const std::span<const std::uint32_t> tokens = routing.tokens(ordinal);
  on_gpu_.clear();
  missing_.clear();
  missing_place_.clear();
  read_.clear();
  remote_.clear();
  cacheable_.clear();
  std::size_t prefetched = 0;
  begun_ahead_ = 0;
  for (std::size_t i = 0; i < activated.size(); ++i) {
    const ExpertKey key = activated[i];
    if (plan_.lives_elsewhere(key)) {
      remote_.add(*plan_.home[key], key, tokens[i]);
      continue;
    }
    const bool resident = plan_.resident[key] != 0;
    if (!resident && !slots_.holds(key) && !is_decreed_hit(key)) {
      if (is_begun_ahead(ordinal, key)) {
        ++begun_ahead_;
        continue;
      }
      missing_.add(key, tokens[i]);
      missing_place_.push_back(static_cast<std::uint32_t>(i));
      continue;
    }
    on_gpu_.add(key, tokens[i]);
    if (resident) continue;
    cacheable_.push_back(key);
    if (!cache_ || !cache_->is_resident(key)) ++prefetched;
  }
  return prefetched;
}

/// Of what the CPU computes, the cache takes some in; the others leave no trace in it.
void LayerPlanner::look_up_split(int ordinal, std::span<const ExpertKey> activated) {
  if (hits_are_decreed_) {  // by the look-up of whoever is activated
    cacheable_.insert(cacheable_.end(), missing_.keys().begin(), missing_.keys().end());
    cache_->access(cache_domain(ordinal), cacheable_);
    misses_ = demanded_;
  } else if (cache_) {
    if (plan_.computes_on_cpu() || !service_) {
      cacheable_.insert(cacheable_.end(), demanded_.begin(), demanded_.end());
    } else {
      put_demanded_in_order(activated);
    }
    std::size_t free = slots_.free_count() - std::min(slots_.free_count(), demanded_.size());
    for (const ExpertKey key : remote_.of(cpu_).keys()) {
      if (plan_.policy.miss.admission == MissAdmission::none || free == 0 || !remote_.take_credit()) break;
      cacheable_.push_back(key);
      --free;
    }
    for (std::size_t i = 0; i < copied_too_.size() && free > 0; ++i, --free)
      cacheable_.push_back(copied_too_[i]);
    cache_->access(cache_domain(ordinal), cacheable_);
    misses_ = cache_->misses();
  } else {
    misses_ = demanded_;
  }
}

/// Decides about the misses as the miss service says.
void LayerPlanner::split(int ordinal, const StepRouting& routing) {
  const std::span<const ExpertKey> activated = routing.activated(ordinal);
  const std::size_t prefetched = part_activated(ordinal, routing);
  found_low_ = 0;
  decide_misses(routing);
  if (low_) low_->look_up(cache_domain(ordinal));
  look_up_split(ordinal, activated);
  const std::size_t missed = missing_.keys().size() - found_low_ + prefetched + begun_ahead_;
  counts_now_->misses += static_cast<std::int64_t>(missed);
  counts_now_->hits += static_cast<std::int64_t>(activated.size() - missed);
  counts_now_->prefetched += static_cast<std::int64_t>(prefetched);
  counts_now_->computed_on_cpu += static_cast<std::int64_t>(remote_.of(cpu_).keys().size() + begun_ahead_);
  counts_now_->computed_ahead += static_cast<std::int64_t>(begun_ahead_);
  if (plan_.policy.miss.service->uses_near_data) {
    const PlaceId device = topology_.beside(gpu_, PlaceKind::near_data);
    counts_now_->near_data += static_cast<std::int64_t>(remote_.of(device).keys().size());
  }
}

void LayerPlanner::serve_split(int ordinal, const StepRouting& routing, const StepPredictions* predictions) {
  reads_.bring(ordinal, layer_, remote_.of(cpu_).keys(), ids_known_);
  remote_.compute(layer_, ordinal, layer_class_, ids_known_, awaits_tokens_ ? last_ : no_op);
  const bool in_waves = demanded_.size() > slots_.free_count();
  const std::uint8_t demanded = priority(CopyReason::demanded);
  if (!in_waves) reads_.bring(ordinal, layer_, demanded_, ids_known_);
  if (!in_waves) {
    for (const ExpertKey key : demanded_) slots_.fetch(key, layer_, demanded, ids_known_);
    if (!demanded_.empty()) write_back_evicted();
  }
  if (low_) low_->fetch(layer_, demanded, ids_known_);
  if (cache_) {
    const std::uint8_t kept = priority(CopyReason::kept);
    for (const ExpertKey key : remote_.of(cpu_).keys()) {
      if (cache_->is_resident(key)) slots_.fetch(key, layer_, kept, ids_known_);
    }
  }
  if (in_waves) {
    run_waves(ordinal, on_gpu_.keys(), on_gpu_.tokens());
    announce(routing, predictions);
  } else {
    announce(routing, predictions);
    const bool others = !read_.keys().empty() || (low_ && !low_->used().keys().empty());
    if (!others || !on_gpu_.keys().empty())
      compute_experts(ordinal, on_gpu_.keys(), on_gpu_.keys(), on_gpu_.tokens(), on_gpu_.routed(), true);
  }
  read_through();
  if (low_ && !low_->used().keys().empty()) compute_low_format(on_gpu_.keys().empty());
  if (remote_.results().empty() && begun_ahead_ == 0) return;
  program_.open(OpKind::combine, computes_, layer_);
  if (begun_ahead_ > 0) program_.after(begun_[static_cast<std::size_t>(ordinal)].result);
  for (const OpId result : remote_.results()) program_.after(result);
  last_ = program_.close();
}

/// Fetches what is missing and computes the layer.
void LayerPlanner::serve_misses(int ordinal, const StepRouting& routing, const StepPredictions* predictions) {
  const std::span<const ExpertKey> activated = routing.activated(ordinal);
  const std::span<const std::uint32_t> tokens = routing.tokens(ordinal);
  if (to_fetch_ > slots_.free_count()) {
    run_waves(ordinal, activated, tokens);
    announce(routing, predictions);
    return;
  }
  read_absent(misses_);
  const std::uint8_t demanded = priority(CopyReason::demanded);
  for (const ExpertKey key : splits_ ? std::span<const ExpertKey>(assembled_) : misses_) {
    if (!slots_.holds(key)) fetch_now(key, demanded);
  }
  write_back_evicted();
  const bool stages = program_.shape().stages;
  if (stages) stage_hits(activated);
  announce(routing, predictions);
  // Staging copies follow every expert, hits as well; and a hit may have been exchanged just now, or be on
  // its way since a step before.
  const bool exchanged = plan_.cache_swaps || lookahead_.names_later_steps();
  compute_experts(ordinal, activated, stages || exchanged || splits_ ? activated : misses_, tokens,
                  routing.routed(ordinal), true);
  if (!stages || !hits_are_decreed_) return;
  for (const ExpertKey key : activated) slots_.forget_staging(key);
}

void LayerPlanner::read_absent(std::span<const ExpertKey> keys) {
  if (!reads_.any()) return;
  to_read_.clear();
  for (const ExpertKey key : keys) {
    if (!slots_.holds(key)) to_read_.push_back(key);
  }
  reads_.bring(ordinal_, layer_, to_read_, ids_known_);
}

/// Before what is announced for a later layer, which would delay them.
void LayerPlanner::stage_hits(std::span<const ExpertKey> activated) {
  for (const ExpertKey key : activated) {
    if (slots_.holds(key) || is_decreed_hit(key)) slots_.stage_ahead(key, layer_, ids_known_);
  }
}

void LayerPlanner::run_waves(int ordinal, std::span<const ExpertKey> activated,
                             std::span<const std::uint32_t> tokens) {
  waves_.begin(activated, tokens, [&](ExpertKey key) {
    return plan_.resident[key] == 0 && !slots_.holds(key) && !is_decreed_hit(key);
  });
  const std::uint8_t demanded = priority(CopyReason::demanded);
  for (bool first_wave = true; !waves_.all_taken(); first_wave = false) {
    if (slots_.free_count() == 0 && !first_wave)
      throw std::logic_error("planner: no expert slot was released by a wave");
    const std::span<const ExpertKey> taken = waves_.take(slots_.free_count());
    reads_.bring(ordinal, layer_, taken, ids_known_);
    for (const ExpertKey key : taken) fetch_now(key, demanded);
    compute_experts(ordinal, waves_.keys(), waves_.keys(), waves_.tokens(), waves_.routed(), first_wave);
    if (first_wave) release_evicted();
    for (const ExpertKey key : waves_.keys()) release_transient(key);
    waves_.clear();
  }
}

}  // namespace pregate::sim
