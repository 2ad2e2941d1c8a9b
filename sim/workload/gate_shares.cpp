// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/workload/gate_shares.hpp"

#include <algorithm>

namespace pregate::sim {

void GateShares::load(const cache::GateOutcome& outcome) {
  better_.assign(outcome.activated.size(), 1.0);
  for (std::size_t i = 0; i < outcome.activated.size(); ++i) {
    const std::size_t expert = outcome.activated[i] - outcome.first_key;
    if (place_.size() <= expert) place_.resize(expert + 1);
    place_[expert] = static_cast<std::uint32_t>(i);
  }
  const std::size_t top_k = outcome.top_k;
  for (std::size_t first = 0; first + top_k <= outcome.ids.size(); first += top_k) {
    const auto ids = outcome.ids.subspan(first, top_k);
    const auto weights = outcome.weights.subspan(first, top_k);
    ranked_.clear();
    double sum = 0;
    const auto weight = [&](std::size_t i) { return weights[i] > 0 ? static_cast<double>(weights[i]) : 0.0; };
    for (std::size_t i = 0; i < top_k; ++i) {
      if (ids[i] == cache::GateOutcome::no_id) continue;
      ranked_.push_back(i);
      sum += weight(i);
    }
    std::stable_sort(ranked_.begin(), ranked_.end(),
                     [&](std::size_t a, std::size_t b) { return weight(a) > weight(b); });
    double before = 0;
    for (std::size_t rank = 0; rank < ranked_.size(); ++rank) {
      const double share =
          sum > 0 ? before / sum : static_cast<double>(rank) / static_cast<double>(ranked_.size());
      double& better = better_[place_[ids[ranked_[rank]]]];
      better = std::min(better, share);
      before += weight(ranked_[rank]);
    }
  }
}

}  // namespace pregate::sim
