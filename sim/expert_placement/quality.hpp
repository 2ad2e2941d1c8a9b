// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/expert_placement/expert_homes.hpp"
#include "sim/expert_placement/routing_statistics.hpp"

namespace pregate::sim {

class TokenRoutes;

/// How a trace's tokens fall on GPUs. A batch is one (step, MoE layer) that routes something; the tokens of
/// an expert with copies take them in turn.
struct PlacementQuality {
  /// Of the pairs (expert of a token in a MoE layer, expert of the same token in the next), the share whose
  /// two are on different GPUs: what ExFlow (2401.08383) minimises. 0 where no layer follows another.
  double crossings = 0;
  double gpus_a_token = 0;  ///< mean over (token, layer): GPUs that its experts are on
  /// Over batches, of the share that the busiest GPU gets: the largest, and the mean (2303.06182, "max
  /// load").
  double max_load = 0, mean_max_load = 0;
  /// The busiest GPU's entries over all entries, summed over batches: with GPUs that wait for each other
  /// in every layer, the share of the experts' work that lies on the critical path; 1 / gpus at best.
  double slowest_share = 0;
  std::int64_t batches = 0, pairs = 0;
};

/// Watches steps go by, with homes that may change between them.
class PlacementJudge {
 public:
  /// `map` must outlive this.
  explicit PlacementJudge(const ExpertMap& map) : map_(map) {}

  /// From now on. `homes` are made for the map.
  void use(const ExpertHomes& homes);
  void watch(const trace::Step& step);
  [[nodiscard]] PlacementQuality quality() const;

 private:
  /// Where an expert's next token goes: its home and its copies take them in turn.
  std::uint8_t take(ExpertKey key);
  void watch_token(int token, const TokenRoutes& routes);

  const ExpertMap& map_;
  ExpertHomes homes_;
  std::vector<std::size_t> first_copy_, turn_;      // by key; first_copy_ has one more
  std::vector<std::vector<std::int64_t>> entries_;  // of a step: by layer of its stack, by GPU
  std::vector<ExpertKey> keys_;
  std::vector<std::uint8_t> here_, before_;
  std::int64_t batches_ = 0, pairs_ = 0, crossed_ = 0, visits_ = 0, visited_ = 0, slowest_ = 0, all_ = 0;
  double max_load_ = 0, max_loads_ = 0;
};

/// Of the steps `span` of `source`, which is rewound before and after. `homes` is made for `map`.
PlacementQuality judge(trace::StepSource& source, const ExpertMap& map, StepSpan span,
                       const ExpertHomes& homes);

}  // namespace pregate::sim
