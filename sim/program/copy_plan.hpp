// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/model.hpp"
#include "sim/policy/policy.hpp"

namespace pregate::sim {

/// How an expert is copied: in equal chunks, of which the last one takes what is left.
struct CopyPlan {
  int chunks = 1;  ///< at least 1
  Bytes chunk;     ///< of each but the last one
  Bytes last;
  [[nodiscard]] Bytes of(int chunk_index) const { return chunk_index + 1 == chunks ? last : chunk; }
  [[nodiscard]] Bytes expert() const { return chunk * (chunks - 1) + last; }
};

/// An expert counts with the mean size of all routed experts of the model: what a copy moves on average.
/// Slots hold the largest.
CopyPlan copy_plan(const ModelSpec& model, const PolicySpec& policy);

}  // namespace pregate::sim
