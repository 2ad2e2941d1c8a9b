// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/counted_decisions.hpp"

#include <cstddef>
#include <numeric>

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
  const std::span<const cache::BatchRange> ranges = routing.ranges(first, last);
  const std::uint32_t* const hits = hits_.data() + first;
  for (std::size_t i = 0; i < layers; ++i) needed[i] = ranges[i].size() - hits[i];
  const std::int64_t missed = std::accumulate(needed, needed + layers, std::int64_t{0});
  const std::int64_t missed_announced = missed - std::accumulate(needed, needed + own, std::int64_t{0});
  const std::int64_t activated = own < layers ? ranges.back().end - ranges[own].begin : 0;
  counts.prefetched += whole_layers_ ? missed : missed_announced;
  first_ = first;
  own_ = offloads_ ? own : layers;  // without that nobody is needed
  announcing_ = decode && offloads_ ? layers - own : 0;
  if (!offloads_) return;
  std::int64_t guessed = activated;
  if (whole_layers_) {
    for (std::size_t i = 0; i < layers; ++i) needed[i] = experts_of(first + static_cast<int>(i), routing);
    counts.wasted += std::accumulate(needed, needed + layers, std::int64_t{0}) - missed;
    guessed = 0;
    for (std::size_t i = own; i < layers; ++i) guessed += experts(first + static_cast<int>(i));
  }
  counts.foreseeable += activated;
  counts.right_guesses += activated;
  counts.guesses += guessed;
}

}  // namespace pregate::sim
