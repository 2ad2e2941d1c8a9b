// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/workload/step_gates.hpp"

namespace pregate::sim {

static_assert(cache::GateOutcome::no_id == trace::no_expert);

StepGates::StepGates(const ExpertMap& map) : map_(map) {
  for (std::size_t i = 0; i < map.layers().size(); ++i) {
    const bool first = i == 0 || map.layers()[i].stack != map.layers()[i - 1].stack;
    entries_before_.push_back(
        first ? 0 : entries_before_.back() + static_cast<std::size_t>(map.layers()[i - 1].top_k));
  }
}

cache::PassStart StepGates::load(const trace::Step& step) {
  step_ = step;
  const std::uint64_t first = batches_;
  const auto [begin, end] = map_.ordinals(step.stack);
  batches_ += static_cast<std::uint64_t>(end - begin);
  return {.is_encoder = step.phase == trace::Phase::encoder,
          .is_decode = step.phase == trace::Phase::decode,
          .first_of_request = step.first_of_request,
          .tokens = static_cast<std::uint32_t>(step.tokens),
          .first_batch = first};
}

cache::GateOutcome StepGates::outcome(int ordinal, const StepRouting& routing) const {
  const auto place = static_cast<std::size_t>(ordinal);
  const MoeLayer& layer = map_.layers()[place];
  const auto tokens = static_cast<std::size_t>(step_.tokens), top_k = static_cast<std::size_t>(layer.top_k);
  const std::size_t first = tokens * entries_before_[place], count = tokens * top_k;
  return {.ordinal = static_cast<std::uint32_t>(ordinal),
          .activated = routing.activated(ordinal),
          .tokens = routing.tokens(ordinal),
          .ids = step_.experts.subspan(first, count),
          .weights = step_.weights.empty() ? std::span<const float>{} : step_.weights.subspan(first, count),
          .top_k = static_cast<std::uint32_t>(top_k),
          .first_key = layer.first_key};
}

}  // namespace pregate::sim
