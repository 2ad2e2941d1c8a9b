// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/workload/decode_uses.hpp"

#include <limits>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

/// Calls `use` with each (key, decode step), in the trace's order.
template <class Use>
void each_decode_use(trace::StepSource& source, const ExpertMap& map, const Use& use) {
  StepRouting routing(map);
  trace::Step step;
  std::uint64_t number = 0;
  source.rewind();
  while (source.next(step)) {
    if (step.phase != trace::Phase::decode) continue;
    if (number == std::numeric_limits<std::uint32_t>::max()) {
      throw InputError("trace", "too long for a predictor that knows the future: 2^32 decode steps",
                       "choose another lookahead.kind");
    }
    routing.load(step);
    const auto [first, last] = map.ordinals(step.stack);
    for (int ordinal = first; ordinal < last; ++ordinal) {
      for (const ExpertKey key : routing.activated(ordinal)) use(key, static_cast<std::uint32_t>(number));
    }
    ++number;
  }
  source.rewind();
}

}  // namespace

DecodeUses::DecodeUses(trace::StepSource& source, const ExpertMap& map)
    : first_(std::size_t{map.keys()} + 1) {
  each_decode_use(source, map, [this](ExpertKey key, std::uint32_t) { ++first_[std::size_t{key} + 1]; });
  for (std::size_t key = 1; key < first_.size(); ++key) first_[key] += first_[key - 1];
  steps_.resize(first_.back());
  std::vector<std::size_t> next(first_.begin(), first_.end() - 1);
  each_decode_use(source, map, [&](ExpertKey key, std::uint32_t number) { steps_[next[key]++] = number; });
}

}  // namespace pregate::sim
