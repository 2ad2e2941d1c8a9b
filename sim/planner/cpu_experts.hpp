// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/planner/split_set.hpp"
#include "sim/program/estimates.hpp"
#include "sim/program/layer_program.hpp"

namespace pregate::sim {

/// Experts that the CPU computes, and the credit that this earns: a copy in the background is paid with as
/// much CPU work as it takes, so that such copies do not pile up on the link.
class CpuExperts {
 public:
  /// `estimates` may be null where the CPU computes nothing. All outlive this.
  CpuExperts(const Topology& topology, PlaceId gpu, const Estimates* estimates, LayerProgram& program);

  /// Issues the computation of `experts`, not empty, with the activations on their way there and back. The
  /// result is on the GPU when the returned operation is done.
  OpId compute(const SplitSet& experts, int layer, int layer_class, OpId ids_known);

  /// Pays for the copy of one expert; false when the credit does not reach.
  bool take_credit();

 private:
  const Place& cpu_;
  Hop out_, back_;
  const Estimates* estimates_;
  LayerProgram& program_;
  Picoseconds credit_;
};

}  // namespace pregate::sim
