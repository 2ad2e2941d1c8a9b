// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "sim/expert_placement/routing_statistics.hpp"
#include "sim/workload/routing.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// Calls `use(step)` for the steps `span` of `source`, which is rewound before and after; returns how many
/// there are.
template <class Use>
std::int64_t each_step(trace::StepSource& source, StepSpan span, const Use& use) {
  trace::Step step;
  std::int64_t taken = 0;
  source.rewind();
  for (std::int64_t at = 0; at < span.last && source.next(step); ++at) {
    if (at < span.first) continue;
    use(step);
    ++taken;
  }
  source.rewind();
  return taken;
}

/// The experts of one token in one layer after the other of a step's stack, as keys; those that are not
/// recorded are left out.
class TokenRoutes {
 public:
  TokenRoutes(const ExpertMap& map, const trace::Step& step)
      : map_(map), step_(step), range_(map.ordinals(step.stack)) {
    std::size_t begin = 0;
    for (int ordinal = range_.first; ordinal < range_.second; ++ordinal) {
      begin_.push_back(begin);
      begin += static_cast<std::size_t>(step.tokens) * top_k(ordinal);
    }
  }
  [[nodiscard]] std::pair<int, int> ordinals() const { return range_; }
  void read(int token, int ordinal, std::vector<ExpertKey>& keys) const {
    const ExpertKey first = map_.layers()[static_cast<std::size_t>(ordinal)].first_key;
    const std::size_t begin = begin_[static_cast<std::size_t>(ordinal - range_.first)];
    keys.clear();
    for (const std::uint16_t id :
         step_.experts.subspan(begin + static_cast<std::size_t>(token) * top_k(ordinal), top_k(ordinal)))
      if (id != trace::no_expert) keys.push_back(first + id);
  }

 private:
  [[nodiscard]] std::size_t top_k(int ordinal) const {
    return static_cast<std::size_t>(map_.layers()[static_cast<std::size_t>(ordinal)].top_k);
  }

  const ExpertMap& map_;
  const trace::Step& step_;
  std::pair<int, int> range_;
  std::vector<std::size_t> begin_;
};

}  // namespace pregate::sim
