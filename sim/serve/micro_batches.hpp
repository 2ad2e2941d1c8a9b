// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/program/step_shape.hpp"
#include "sim/serve/batcher.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// A pass cut into parts of consecutive sequences, which go through each layer one after the other: what is
/// fetched for a layer serves them all. Parts differ by one sequence at most, the larger ones last; there are
/// no more of them than sequences. Sequences that a recording has merged are taken to have equally many
/// tokens, one behind the other.
///
/// Where groups of GPUs attend to sequences of their own, dealt to them one after the other, the sequences of
/// the first group are cut so, and each part has those that are dealt with its own.
class MicroBatches {
 public:
  /// `most` >= 1 parts, `groups` >= 1. `map` must outlive this.
  MicroBatches(const ExpertMap& map, int most, int groups = 1) : map_(map), most_(most), groups_(groups) {}

  /// `step` with the routing that is computed, whose rows are those of `pass`; `whole` of all of them. Both
  /// are read only here.
  void cut(const ServedPass& pass, const trace::Step& step, const StepShape& whole);

  /// Of the pass that was cut last, valid until the next; empty where it is one part.
  [[nodiscard]] std::span<const StepShape> shapes() const { return shapes_; }
  [[nodiscard]] std::span<const StepRouting> routings() const { return {routings_.data(), shapes_.size()}; }

 private:
  void load(const trace::Step& step, std::size_t part, int first_token, int tokens);

  const ExpertMap& map_;
  int most_, groups_;
  std::vector<StepShape> shapes_;
  std::vector<StepRouting> routings_;
  std::vector<std::vector<AlikeSequences>> alike_;
  std::vector<Row> rows_;
  std::vector<std::uint16_t> experts_;
};

}  // namespace pregate::sim
