// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/stack_lookups.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

bool has_stack(const Plan& plan) {
  const cache::CacheGeometry& geometry = plan.geometry;
  const auto is_slot = [](std::int64_t size) { return size == 1; };
  return plan.cache_slots > 0 && eviction_of(plan).make_stacks != nullptr && geometry.start.empty() &&
         geometry.admission == Admission::always && !geometry.make_filter &&
         std::all_of(geometry.size.begin(), geometry.size.end(), is_slot);
}

}  // namespace

bool share_lookups(const Plan& a, const Plan& b) {
  return has_stack(a) && has_stack(b) && a.policy.cache.eviction == b.policy.cache.eviction &&
         a.policy.cache.scope == b.policy.cache.scope && a.resident == b.resident;
}

StackLookups::StackLookups(const ExpertMap& map, const Plan& plan)
    : map_(map),
      stacks_(eviction_of(plan).make_stacks(plan.geometry)),
      of_each_layer_(plan.policy.cache.scope == CacheScope::layer),
      whole_layers_(plan.policy.lookahead.predictor->predicts() &&
                    plan.policy.lookahead.predictor->is_whole_layer),
      distance_(plan.policy.lookahead.distance),
      ranges_(map.layers().size()),
      depths_(map.layers().size()) {}

void StackLookups::look_up(const Pass& pass) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  // Who fetches whole layers and was not announced holds all residents (WholeLayerLookups).
  const bool decode = pass.info.step.phase == trace::Phase::decode;
  const int first_announced = decode ? first + distance_ : last;
  std::size_t begin = 0;
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const auto layer = static_cast<std::size_t>(ordinal);
    const std::span<const cache::ExpertKey> activated = pass.routing.activated(ordinal);
    const std::uint32_t domain = of_each_layer_ ? static_cast<std::uint32_t>(ordinal) : 0;
    ranges_[layer] = {begin, begin + activated.size()};
    if (distances_.size() < begin + activated.size()) distances_.resize(2 * (begin + activated.size()));
    depths_[layer] = stacks_->depth(domain);
    if (whole_layers_ && ordinal < first_announced) {
      stacks_->access_held(domain, activated, distances_.data() + begin);
    } else {
      stacks_->access(domain, activated, distances_.data() + begin);
    }
    begin += activated.size();
  }
}

}  // namespace pregate::sim
