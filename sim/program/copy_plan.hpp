// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/model.hpp"

namespace pregate::sim {

/// How an expert is copied: in equal chunks, of which the last one takes what is left.
struct CopyPlan {
  int chunks = 1;  ///< at least 1
  Bytes chunk;     ///< of each but the last one
  Bytes last;
  [[nodiscard]] Bytes of(int chunk_index) const { return chunk_index + 1 == chunks ? last : chunk; }
  [[nodiscard]] Bytes expert() const { return chunk * (chunks - 1) + last; }
};

/// Rounded up to whole bytes.
Bytes share_of_expert(Bytes expert, double share);

/// An expert counts with the mean size of all routed experts of the model: what a copy moves on average.
/// Slots hold the largest.
/// `chunk` as PolicySpec::transfer.chunk: 0 = whole experts.
/// `share`: of an expert's bytes that are copied, rounded up.
CopyPlan copy_plan(const ModelSpec& model, Bytes chunk, double share = 1);

}  // namespace pregate::sim
