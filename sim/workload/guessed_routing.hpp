// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/parts/predictor/draws.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// Passes as they run when what a predictor guessed is computed instead of what the gates chose: each of a
/// token's experts stays with a given probability, otherwise another that the token did not have, drawn
/// evenly, takes its place. What then comes out is not what the model says.
class GuessedRouting {
 public:
  /// `map` must outlive this. Deterministic in the seed and the order of calls.
  GuessedRouting(double accuracy, std::uint64_t seed, const ExpertMap& map);

  /// `step` with other experts; valid until the next call.
  trace::Step guess(const trace::Step& step);

 private:
  void guess(std::uint16_t* row, std::size_t size, int experts);

  const ExpertMap& map_;
  std::uint64_t right_below_;  // of 2^53
  Draws random_;
  std::vector<std::uint16_t> experts_;
};

}  // namespace pregate::sim
