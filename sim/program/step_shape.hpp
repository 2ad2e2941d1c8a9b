// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "models/units.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// Sequences of a step that are alike: equally many tokens each, after equally many.
struct AlikeSequences {
  int tokens = 0;  ///< over all of them
  int sequences = 1;
  int position = 0;        ///< cached tokens before, of each
  int encoder_tokens = 0;  ///< of each; context of cross-attention
};

/// Shape of one step, as costs depend on it.
struct StepShape {
  int model_stack = 0;
  trace::Phase phase = trace::Phase::decode;
  int tokens = 0;  ///< over all sequences
  int sequences = 1;
  int position = 0;        ///< cached tokens before, a sequence
  int encoder_tokens = 0;  ///< a sequence; context of cross-attention
  int logit_rows = -1;     ///< tokens whose logits are wanted; -1: as many as the phase says
  bool first_of_request = false;
  Picoseconds drafting = {};  ///< of the next step's drafts, after the head
  /// What attention costs is summed over these, where sequences differ. Empty: all are alike, or count as
  /// their mean. Valid while the step begins.
  std::span<const AlikeSequences> alike = {};
  /// Of GPUs with requests of their own, this one's shape: its experts get tokens of so many groups.
  int groups = 1;
};

}  // namespace pregate::sim
