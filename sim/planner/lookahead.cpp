// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/lookahead.hpp"

#include <algorithm>
#include <stdexcept>

namespace pregate::sim {

Lookahead::Lookahead(const ExpertMap& map, const Plan& plan, const std::vector<std::uint8_t>& offloaded,
                     cache::ExpertCache* cache, ExpertSlots& slots, HostReads& reads, Executor& executor)
    : map_(map),
      plan_(plan),
      offloaded_(offloaded),
      cache_(cache),
      slots_(slots),
      reads_(reads),
      executor_(executor),
      whole_layers_(plan.policy.lookahead.predictor->is_whole_layer),
      names_later_steps_(plan.policy.lookahead.predictor->names_later_steps && cache != nullptr &&
                         !plan.hits_are_decreed),
      cancels_(plan.policy.prefetch.wrong == WrongGuesses::cancel),
      splits_(plan.splits_experts()),
      fetched_(map.layers().size()),
      kept_(map.layers().size()),
      staged_(map.layers().size()),
      announced_(map.layers().size()),
      marks_(map.keys()),
      guesses_(map.layers().size()) {
  const auto& predictor = plan.policy.lookahead.predictor;
  if (!predictor->predicts()) return;
  predictor_ = predictor->make(predictor.parameters(), map);
  if (predictor->is_oracle) oracle_ = &dynamic_cast<Oracle&>(*predictor_);
  if (oracle_ != nullptr) oracle_->show(plan.decode_uses.get());
  if (oracle_ != nullptr && whole_layers_)
    throw std::logic_error("a predictor of whole layers is asked before it could be shown anything");
  const auto& prefetcher = plan.policy.prefetch.prefetcher;
  prefetcher_ = prefetcher->make(prefetcher.parameters(), plan.policy.lookahead.distance);
  before_passes_ = prefetcher->before_passes;
  crosses_steps_ = prefetcher->crosses_steps;
}

void Lookahead::begin_step(const trace::Step& step, std::pair<int, int> ordinals) {
  decode_ = step.phase == trace::Phase::decode;
  ordinals_ = ordinals;
  if (!is_active()) return;
  // Else nothing crosses from one step to the next.
  if (!crosses_steps_) std::fill(announced_.begin(), announced_.end(), 0);
  predictor_->begin_pass(step.phase, step.first_of_request);
  prefetcher_->begin_pass();
}

void Lookahead::announce_pass(const StepRouting& routing, const StepPredictions* predictions, OpId known) {
  ids_known_ = known;
  show(routing, predictions);
  prefetcher_->pass_begins(ahead_of(ordinals_.first - 1), *predictor_, *this);
}

void Lookahead::arrive(const Moment& moment, const StepRouting& routing, OpId ids_known) {
  const int ordinal = moment.ordinal;
  for (const ExpertKey key : kept_[index(ordinal)]) {
    cache_->let_go(key);
    marks_[key] &= static_cast<std::uint8_t>(~is_kept);
  }
  kept_[index(ordinal)].clear();
  predictor_->observe(ordinal, routing.activated(ordinal), routing.tokens(ordinal));
  prefetcher_->gate_known(moment, routing.activated(ordinal), *this);
  judge(ordinal, routing.activated(ordinal));
  if (!whole_layers_ || announced_[index(ordinal)] != 0) return;
  ids_known_ = ids_known;
  const std::span<const ExpertKey> all = predictor_->predict(ordinal, ordinal);
  read_absent(ordinal, all);
  const std::uint8_t demanded = priority(CopyReason::demanded, ordinal);
  for (const ExpertKey key : all) want(ordinal, key, demanded);
}

void Lookahead::announce(const Moment& moment, const StepRouting& routing, const StepPredictions* predictions,
                         OpId ids_known) {
  ids_known_ = ids_known;
  show(routing, predictions);
  prefetcher_->look_ahead(moment, ahead_of(moment.ordinal), *predictor_, *this);
}

/// Holds what was announced for a layer against what it activates, and takes back what is not.
void Lookahead::judge(int ordinal, std::span<const ExpertKey> activated) {
  if (announced_[index(ordinal)] == 0) return;
  std::vector<ExpertKey>& guesses = guesses_[index(ordinal)];
  for (const ExpertKey key : activated) {
    counts_.right += marks_[key] & is_guessed;
    marks_[key] |= is_activated;
  }
  counts_.foreseeable += static_cast<std::int64_t>(activated.size());
  counts_.guesses += static_cast<std::int64_t>(guesses.size());
  if (cancels_) cancel_wrong(ordinal);
  for (const ExpertKey key : activated) marks_[key] = 0;
  for (const ExpertKey key : guesses) marks_[key] = 0;
  guesses.clear();
}

/// The last one first: what has started is before what has not.
void Lookahead::cancel_wrong(int ordinal) {
  const std::vector<ExpertKey>& fetched = fetched_[index(ordinal)];
  for (std::size_t i = fetched.size(); i-- > 0;) {
    const ExpertKey key = fetched[i];
    if ((marks_[key] & is_activated) == 0 && !is_for_later(key)) drop(ordinal, key);
  }
}

void Lookahead::leave(int ordinal) {
  fetched_[index(ordinal)].clear();
  if (crosses_steps_) announced_[index(ordinal)] = 0;
  for (const ExpertKey key : staged_[index(ordinal)]) slots_.forget_staging(key);
  staged_[index(ordinal)].clear();
}

void Lookahead::note_guesses(int target, std::span<const ExpertKey> keys) {
  announced_[index(target)] = 1;
  for (const ExpertKey key : keys) {
    if ((marks_[key] & is_guessed) != 0) continue;
    marks_[key] |= is_guessed;
    guesses_[index(target)].push_back(key);
  }
}

void Lookahead::compute_ahead(int target, std::span<const ExpertKey> keys) {
  note_guesses(target, keys);
  on_cpu_.target = target;
  on_cpu_.keys.assign(keys.begin(), keys.end());
}

void Lookahead::want(int target, std::span<const ExpertKey> keys) {
  note_guesses(target, keys);
  read_absent(target, keys);
  const std::uint8_t announced = priority(CopyReason::announced, target);
  for (const ExpertKey key : keys) want(target, key, announced);
}

void Lookahead::read_absent(int target, std::span<const ExpertKey> keys) {
  if (!reads_.any()) return;
  to_read_.clear();
  for (const ExpertKey key : keys) {
    if (to_read_.size() == slots_.free_count()) break;
    const bool stays = plan_.resident[key] != 0 || plan_.lives_elsewhere(key);
    const bool is_there = slots_.holds(key) || (cache_ != nullptr && cache_->is_resident(key));
    const bool again = std::find(to_read_.begin(), to_read_.end(), key) != to_read_.end();
    if (!stays && !is_there && !again) to_read_.push_back(key);
  }
  reads_.bring(target, map_.layers()[index(target)].layer, to_read_, ids_known_);
}

/// Brings `key` in for a later layer, or keeps it there. Without a free slot the gate of that layer will
/// fetch it.
void Lookahead::want(int target, ExpertKey key, std::uint8_t priority) {
  if (plan_.resident[key] != 0 || plan_.lives_elsewhere(key)) return;
  const int layer = map_.layers()[index(target)].layer;
  if (cache_ != nullptr && cache_->is_resident(key)) {
    if ((marks_[key] & is_kept) == 0) {
      marks_[key] |= is_kept;
      cache_->hold(key);
      kept_[index(target)].push_back(key);
    }
    if (slots_.stage_ahead(key, layer, ids_known_)) staged_[index(target)].push_back(key);
    if (!splits_ || slots_.holds(key) || slots_.free_count() == 0) return;
    slots_.fetch(key, layer, priority, ids_known_, rest_of_expert);
    fetched_[index(target)].push_back(key);
  } else if (!slots_.holds(key) && slots_.free_count() > 0) {
    slots_.fetch(key, layer, priority, ids_known_);
    fetched_[index(target)].push_back(key);
  }
}

bool Lookahead::is_brought(ExpertKey key) const {
  return plan_.resident[key] != 0 || plan_.lives_elsewhere(key) || slots_.holds(key) ||
         (cache_ != nullptr && !splits_ && cache_->is_resident(key));
}

bool Lookahead::has_arrived(ExpertKey key) const {
  return slots_.holds(key) && executor_.is_done(slots_.ready(key));
}

bool Lookahead::drop(int target, ExpertKey key) {
  std::vector<ExpertKey>& fetched = fetched_[index(target)];
  const auto place = std::find(fetched.begin(), fetched.end(), key);
  if (place == fetched.end() || !slots_.take_back(key, executor_)) return false;
  fetched.erase(place);
  ++counts_.cancelled;
  return true;
}

}  // namespace pregate::sim
