// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
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
    most = std::min(most, scores.size());
    keys_.resize(most);
    scores_.resize(most);
    std::size_t count = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const double score = scores[i];
      if (score <= 0 || (count == most && (most == 0 || score <= scores_[most - 1]))) continue;
      std::size_t at = count == most ? most - 1 : count++;
      for (; at > 0 && scores_[at - 1] < score; --at) {
        scores_[at] = scores_[at - 1];
        keys_[at] = keys_[at - 1];
      }
      scores_[at] = score;
      keys_[at] = first_key + static_cast<ExpertKey>(i);
    }
    keys_.resize(count);
    scores_.resize(count);
  }
  [[nodiscard]] std::span<const ExpertKey> keys() const { return keys_; }
  [[nodiscard]] std::span<const double> scores() const { return scores_; }

 private:
  std::vector<ExpertKey> keys_;
  std::vector<double> scores_;
};

}  // namespace pregate::sim
