// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/counted_decisions.hpp"

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
  for (std::size_t i = 0; i < activated.size(); ++i) {
    if (!offloads_) hits[i] = activated[i].size();
    counts.hits += hits[i];
    counts.misses += activated[i].size() - hits[i];
  }
}

void CountedDecisions::find_shared_hits(int first, int last) {
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const auto slots = static_cast<std::uint32_t>(capacity(ordinal));
    std::uint32_t hits = 0;
    for (const std::uint32_t distance : shared_->distances(ordinal)) hits += distance <= slots ? 1U : 0U;
    hits_[static_cast<std::size_t>(ordinal)] = hits;
  }
}

CountedDecisions::Copies CountedDecisions::copies(int ordinal, const Pass& pass, AccessCounts& counts) const {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  const StepRouting& routing = pass.routing;
  const bool decode = pass.info.step.phase == trace::Phase::decode;
  const std::uint32_t missed = misses(ordinal, routing);
  Copies copies;
  copies.is_announced = decode && ordinal - first >= distance_;
  if (copies.is_announced || whole_layers_) counts.prefetched += missed;
  if (!offloads_) return copies;
  const std::uint32_t here = experts_of(ordinal, routing);
  if (whole_layers_) counts.wasted += here - missed;
  if (copies.is_announced) {
    const std::uint32_t activated = routing.activated_count(ordinal);
    counts.foreseeable += activated;
    counts.guesses += whole_layers_ ? experts(ordinal) : activated;
    counts.right_guesses += activated;
  } else {
    copies.own = here;
  }
  const int target = ordinal + distance_;
  copies.announces = decode && target < last;
  if (copies.announces) copies.announced = experts_of(target, routing);
  return copies;
}

}  // namespace pregate::sim
