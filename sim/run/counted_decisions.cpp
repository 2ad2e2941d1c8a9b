// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/counted_decisions.hpp"

#include <cstddef>

namespace pregate::sim {

void CountedDecisions::look_up(const Pass& pass, AccessCounts& counts) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  const std::span<const cache::BatchRange> activated = pass.routing.ranges(first, last);
  std::uint32_t* const hits = hits_.data() + first;
  if (cache_) cache_->count(pass.info.step, pass.routing, hits);
  if (whole_) {
    const bool decode = pass.info.step.phase == trace::Phase::decode;
    whole_->count(pass.info.step, pass.routing, decode ? first + distance_ : last, hits);
  }
  if (shared_ != nullptr) find_shared_hits(first, last);
  // One layer's stand behind those of the one before.
  const std::uint32_t all = activated.empty() ? 0 : activated.back().end - activated.front().begin;
  std::uint32_t hit = 0;
  if (!offloads_) {
    for (std::size_t i = 0; i < activated.size(); ++i) hits[i] = activated[i].size();
    hit = all;
  } else if (!hits_alike()) {
    for (std::size_t i = 0; i < activated.size(); ++i) hit += hits[i];
  }
  counts.hits += hit;
  counts.misses += all - hit;
  if (announces_) decide_copies(pass, counts);
}

void CountedDecisions::find_shared_hits(int first, int last) {
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const auto slots = static_cast<std::uint32_t>(capacity(ordinal));
    std::uint32_t hits = 0;
    for (const std::uint32_t distance : shared_->distances(ordinal)) hits += distance <= slots ? 1U : 0U;
    hits_[static_cast<std::size_t>(ordinal)] = hits;
  }
}

/// All layers of the pass at once: how far an announcement reaches is then where two ranges begin, and no
/// question to each layer.
void CountedDecisions::decide_copies(const Pass& pass, AccessCounts& counts) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  const StepRouting& routing = pass.routing;
  const auto layers = static_cast<std::size_t>(last - first);
  const bool decode = pass.info.step.phase == trace::Phase::decode;
  // The first so many layers are announced by none.
  const std::size_t own = decode ? std::min(layers, static_cast<std::size_t>(distance_)) : layers;
  std::uint32_t* const needed = needed_.data() + first;
  std::int64_t needed_in_all = 0, missed = 0, missed_announced = 0, activated = 0, guessed = 0;
  const std::span<const cache::BatchRange> ranges = routing.ranges(first, last);
  const std::uint32_t* const hits = hits_.data() + first;
  for (std::size_t i = 0; i < layers; ++i) {
    const std::uint32_t misses = ranges[i].size() - hits[i];
    needed[i] = whole_layers_ && offloads_ ? experts_of(first + static_cast<int>(i), routing) : misses;
    needed_in_all += needed[i];
    missed += misses;
  }
  for (std::size_t i = own; i < layers; ++i) {
    missed_announced += ranges[i].size() - hits[i];
    activated += ranges[i].size();
  }
  counts.prefetched += whole_layers_ ? missed : missed_announced;
  announced_begin_ = first + static_cast<int>(own);
  announcing_end_ = decode && offloads_ ? last - static_cast<int>(own) : first;
  if (!offloads_) return;  // nobody is needed
  guessed = activated;
  if (whole_layers_) {
    counts.wasted += needed_in_all - missed;
    guessed = 0;
    for (std::size_t i = own; i < layers; ++i) guessed += experts(first + static_cast<int>(i));
  }
  counts.foreseeable += activated;
  counts.right_guesses += activated;
  counts.guesses += guessed;
}

}  // namespace pregate::sim
