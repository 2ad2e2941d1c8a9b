// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// By how much the tokens of a pass could do without an expert, from the weights that the router gave.
class GateShares {
 public:
  /// Of `outcome`, whose weights the trace must have. Of each token the experts are ranked by weight, of
  /// equal ones the first named first; better(i) is the least, over the tokens of outcome.activated[i], of
  /// the weights of better-ranked experts, as a share of all of the token's. Weights that are not above 0
  /// count as 0, those of a token with none above 0 as equal.
  void load(const cache::GateOutcome& outcome);
  [[nodiscard]] double better(std::size_t activated) const { return better_[activated]; }

 private:
  std::vector<double> better_;
  std::vector<std::uint32_t> place_;  // by expert of the layer: in outcome.activated
  std::vector<std::size_t> ranked_;   // of a token
};

}  // namespace pregate::sim
