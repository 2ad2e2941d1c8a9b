// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// How often experts of a layer were activated where others were, some MoE layers before: of order 1 by one
/// expert of that layer, of order 2 by one of that layer and one of the layer before it.
class Transitions {
 public:
  using Keys = std::span<const ExpertKey>;

  /// `map` must outlive this. Counts in `bytes_left`, which it lowers; InputError where they do not fit.
  Transitions(const ExpertMap& map, int order, int distance, std::int64_t& bytes_left);

  [[nodiscard]] int distance() const { return distance_; }
  /// `before` is of the layer before `ordinal` in its stack, empty where there is none; `target` of the layer
  /// that comes distance() after `ordinal`.
  void learn(int ordinal, Keys before, Keys activated, Keys target);
  /// Of order 1: by expert of the target layer, how often it was activated where `expert` of layer `ordinal`
  /// was; empty where nothing comes so far behind. Whole up to 2^24.
  [[nodiscard]] std::span<const float> counts(int ordinal, int expert) const;
  /// By expert of the target layer: the sum over what was activated of the share that it had then. Valid
  /// until the next call.
  std::span<const double> scores(int ordinal, Keys before, Keys activated);

 private:
  struct Table {
    std::size_t width = 0;  // experts of the target layer
    std::vector<float> counts, sums;
  };
  /// Calls `use` with each row that (before, activated) leads to.
  template <class Use>
  void each_row(int ordinal, Keys before, Keys activated, const Use& use);

  const ExpertMap& map_;
  int order_, distance_;
  std::vector<Table> tables_;  // by ordinal; empty where nothing comes so far behind
  std::vector<double> scores_;
};

}  // namespace pregate::sim
