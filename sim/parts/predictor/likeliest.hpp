// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

#include "sim/workload/routing.hpp"
#include "sim/workload/trace_scan.hpp"

namespace pregate::sim {

/// Guesses for a layer whose step activates so many experts, when tokens activate `top_k` each; `guesses` are
/// for each token, 0: as many as it activates.
inline std::size_t guesses_for(std::size_t activated, int guesses, int top_k) {
  const auto each = static_cast<std::size_t>(guesses), of = static_cast<std::size_t>(std::max(1, top_k));
  return guesses == 0 ? activated : (activated * each + of - 1) / of;
}

/// The most of those, of any layer.
inline int most_guesses_of(int guesses, const ExpertMap& map, const TraceScan& scan) {
  std::size_t most = 0;
  for (const MoeLayer& layer : map.layers()) {
    const auto activated = static_cast<std::size_t>(scan.most_activated);
    most = std::max(most, std::min(guesses_for(activated, guesses, layer.top_k),
                                   static_cast<std::size_t>(layer.experts)));
  }
  return static_cast<int>(most);
}

/// Those of a layer's experts that score highest, the lower id on a tie; who scores 0 is none of them.
class Likeliest {
 public:
  void choose(std::span<const double> scores, ExpertKey first_key, std::size_t most) {
    keys_.clear();
    scores_.clear();
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const double score = scores[i];
      const bool full = scores_.size() == most;
      if (score <= 0 || most == 0 || (full && score <= scores_.back())) continue;
      if (full) {
        keys_.pop_back();
        scores_.pop_back();
      }
      const auto place = std::upper_bound(scores_.begin(), scores_.end(), score, std::greater<>());
      keys_.insert(keys_.begin() + (place - scores_.begin()), first_key + static_cast<ExpertKey>(i));
      scores_.insert(place, score);
    }
  }
  [[nodiscard]] std::span<const ExpertKey> keys() const { return keys_; }
  [[nodiscard]] std::span<const double> scores() const { return scores_; }

 private:
  std::vector<ExpertKey> keys_;
  std::vector<double> scores_;
};

}  // namespace pregate::sim
