// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/parallel/rank.hpp"
#include "sim/program/step_shape.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// The requests of a pass dealt to groups of GPUs that attend to requests of their own, one after the other,
/// those with the longest context first: then the first group has the most to do, and others wait for it.
class DealtTokens {
 public:
  explicit DealtTokens(const ParallelSpec& spec) : spec_(spec) {}

  /// What the first group attends to of the pass; the pass itself where there is one group. Valid until the
  /// next call.
  const StepShape& shape_of_first(const StepShape& shape);

  /// By whom each token of the pass is attended to.
  void deal(const trace::Step& step);
  [[nodiscard]] std::size_t tokens() const { return sender_.size(); }
  /// What the GPU that sends or gets most sends or gets for an expert layer of the pass: a token once for
  /// each of its experts that is elsewhere; not what it keeps. `ids`: tokens x top_k of the layer; `owner`:
  /// of each expert; `row`: activations of a token.
  [[nodiscard]] Bytes most_exchanged(std::span<const std::uint16_t> ids, int top_k,
                                     std::span<const std::uint8_t> owner, Bytes row);

 private:
  ParallelSpec spec_;
  StepShape first_;
  std::vector<AlikeSequences> alike_, kept_;
  std::vector<std::uint8_t> sender_;  // of each token
  std::vector<Bytes> from_to_;        // GPU by GPU, of a layer
};

}  // namespace pregate::sim
